// SPDX-License-Identifier: ISC

import Bytes
import IPC

/// What a command said, how it ended, and what that means for the message.
nonisolated struct CommandReport: Hashable, Sendable {
    enum End: Hashable, Sendable {
        case exited(Int32)
        case signalled(Int32)
        case timedOut
    }

    // Of the last line.
    static let longestText = 255
    private static let keptBytes = 4096

    // sysexits(3)
    private static let systemFailure: Int32 = 71
    private static let temporaryFailure: Int32 = 75

    private var tail: [UInt8] = []

    mutating func append(_ output: [UInt8]) {
        tail += output.suffix(Self.keptBytes)
        if tail.count > Self.keptBytes { tail.removeFirst(tail.count - Self.keptBytes) }
    }

    /// The last line that is not empty, in quotes, printable.
    var lastLine: String? {
        let lines = tail.filter { $0 != .carriageReturn }.split(separator: .lineFeed)
        guard let line = lines.last(where: { !$0.span.trimmed.isEmpty }) else { return nil }
        let visible = VisibleText(line, limit: Self.longestText).description
        return "\"\(String(visible.prefix(Self.longestText)))\""
    }

    /// `hasTakenAll` tells whether the whole message could be handed over.
    func outcome(_ end: End, hasTakenAll: Bool) -> MailboxOutcome {
        switch end {
        case .timedOut:
            return .deferred("terminated; timeout")
        case .signalled(let signal):
            return .deferred(lastLine ?? "terminated; signal \(signal)")
        case .exited(0):
            return hasTakenAll ? .delivered : .deferred("mda exited prematurely")
        case .exited(let code):
            let text = lastLine ?? "exited abnormally"
            let sentence = Self.name(of: code).map { "\($0): \(text)" } ?? text
            return code == Self.systemFailure || code == Self.temporaryFailure ? .deferred(sentence) : .failed(sentence)
        }
    }

    private static func name(of code: Int32) -> String? {
        switch code {
        case 64: "command line usage error"
        case 65: "data format error"
        case 66: "cannot open input"
        case 67: "user unknown"
        case 68: "host name unknown"
        case 69: "service unavailable"
        case 70: "internal software error"
        case 71: "system resource problem"
        case 72: "critical OS file missing"
        case 73: "cannot create user output file"
        case 74: "input/output error"
        case 75: "temporary failure"
        case 76: "remote error in protocol"
        case 77: "permission denied"
        case 78: "local configuration error"
        default: nil
        }
    }
}
