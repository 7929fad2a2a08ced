// SPDX-License-Identifier: ISC

import Bytes
import IPC
import Mail
import Message
import Posix

/// Brings the queue directory of an OpenSMTPD into ours. What has come is moved aside, never removed; what cannot come
/// stays where it is, and is named.
struct LegacyImport {
    private static let pieceSize = 256 * 1024
    private static let mostEnvelopes = 10_000

    private let program: ControlProgram
    private let directory: String
    private var imported = 0
    private var left = 0

    init(_ program: ControlProgram, _ directory: String) {
        self.program = program
        self.directory = directory
    }

    /// Where what has come is moved to: beside the directory, so that the other server would not find it again.
    private var aside: String {
        var path = directory[...]
        while path.count > 1, path.hasSuffix("/") { path = path.dropLast() }
        return "\(path).imported"
    }

    func run() async throws(ControlProgram.Failure) {
        var work = self
        try await work.all()
    }

    private mutating func all() async throws(ControlProgram.Failure) {
        let queue: QueueDirectory
        do {
            queue = try QueueDirectory(directory)
            for message in try queue.messages() {
                do {
                    try await bring(message, queue)
                } catch ControlProgram.Failure.notRunning {
                    throw ControlProgram.Failure.notRunning
                } catch let failure as ControlProgram.Failure {
                    left += 1
                    program.complain("\(message.name): \(failure.text)")
                } catch {
                    left += 1
                    program.complain("\(message.name): \(error)")
                }
            }
        } catch let error as ControlProgram.Failure {
            throw error
        } catch {
            throw .refused("\(directory): \(error)")
        }
        let noun = imported == 1 ? "envelope" : "envelopes"
        switch program.form {
        case .text: program.say("\(imported) \(noun) discovered\n")
        case .json:
            program.say(
                JSONText.object([
                    ControlField(name: "discovered", value: .number(Int64(imported))),
                    ControlField(name: "left", value: .number(Int64(left))),
                ]) + "\n")
        }
        if left > 0 { throw .refused("\(left) left in \(directory)") }
    }

    private mutating func bring(
        _ message: QueueDirectory.Message, _ queue: QueueDirectory
    ) async throws -> Void {
        var files: [String] = []
        var envelopes: [(LegacyEnvelope, ForeignEnvelope)] = []
        var dropped: [String] = []
        let names = try message.envelopes()
        for name in names.prefix(Self.mostEnvelopes) {
            do {
                let bytes = try message.read(name, limit: LegacyEnvelope.longest + 1)
                let envelope = try LegacyEnvelope(parsing: bytes.span)
                switch Self.foreign(envelope) {
                case .success(let foreign?):
                    envelopes.append((envelope, foreign))
                    files.append(name)
                case .success(nil):
                    dropped.append(name)
                case .failure(let reason):
                    left += 1
                    program.complain("\(name): \(reason.text)")
                }
            } catch {
                left += 1
                program.complain("\(name): \(error)")
            }
        }
        guard let first = envelopes.first?.0 else {
            if !dropped.isEmpty, dropped.count == names.count { try queue.moveAside(message, dropped, to: aside) }
            return
        }
        let id = try await send(message, first.request, envelopes.map(\.1))
        imported += envelopes.count
        try queue.moveAside(message, files + dropped, to: aside)
        if program.form == .text { program.say("\(message.name) is \(id)\n") }
    }

    /// nil for one that is not worth coming: a notice of delay or of success.
    private static func foreign(_ envelope: LegacyEnvelope) -> Result<ForeignEnvelope?, Reason> {
        let dispatch: Dispatch
        var owesNotice = false
        switch envelope.kind {
        case .relay: dispatch = .relay(action: envelope.action)
        case .local(_, _, let command?) where !command.isEmpty:
            return .failure(
                Reason(text: "delivers to a command or file of an alias or ~/.forward: let it go out there"))
        case .local(let user, let subaddress, _):
            dispatch = .local(action: envelope.action, user: user, subaddress: subaddress, form: .action)
        case .notice(.failed):
            dispatch = .relay(action: envelope.action)
            owesNotice = true
        case .notice(.delayed), .notice(.delivered): return .success(nil)
        }
        return .success(
            ForeignEnvelope(
                envelope: Envelope(
                    sender: envelope.sender, recipient: envelope.recipient, destination: envelope.destination,
                    dispatch: dispatch, report: envelope.report, origin: envelope.origin),
                created: envelope.created, attempts: envelope.attempts, lastTry: envelope.lastTry,
                isSuspended: envelope.isSuspended, reply: envelope.reply, owesNotice: owesNotice))
    }

    private struct Reason: Error {
        let text: String
    }

    /// The id of the message here.
    private func send(
        _ message: QueueDirectory.Message, _ request: MessageRequest, _ envelopes: [ForeignEnvelope]
    ) async throws -> String {
        let content = try message.openContent()
        let link = try program.open("queue")
        defer { link.close() }
        guard case .done(let number) = try await program.ask(link, .queue(.beginImport), part: { _ in }) else {
            throw ControlProgram.Failure.refused("no import")
        }
        var offset: UInt64 = 0
        var lines = LineEnds()
        while true {
            let bytes = try content.read(at: offset, count: Self.pieceSize)
            if offset == 0, let first = bytes.first, !first.isPrintable {
                throw ControlProgram.Failure.refused("\(message.name) is compressed or encrypted")
            }
            offset += UInt64(bytes.count)
            let isLast = bytes.count < Self.pieceSize
            let piece = lines.converted(bytes, isLast: isLast)
            if !piece.isEmpty {
                _ = try await program.ask(link, .queue(.importContent(number, piece)), part: { _ in })
            }
            if isLast { break }
        }
        var id = ""
        _ = try await program.ask(link, .queue(.finishImport(number, request: request, envelopes))) { part in
            if case .record(let fields) = part, case .text(let text)? = fields.first?.value { id = text }
        }
        return id
    }
}

/// Makes CRLF of the line ends of a file.
nonisolated struct LineEnds {
    private var last: UInt8 = 0

    mutating func converted(_ bytes: [UInt8], isLast: Bool) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count + bytes.count / 32 + 2)
        for byte in bytes {
            if byte == .lineFeed, last != .carriageReturn { output.append(.carriageReturn) }
            // A bare CR would be one in SMTP, too.
            if last == .carriageReturn, byte != .lineFeed { output.append(.lineFeed) }
            output.append(byte)
            last = byte
        }
        if isLast {
            if last == .carriageReturn { output.append(.lineFeed) }
            if last != .carriageReturn, last != .lineFeed, last != 0 {
                output += [.carriageReturn, .lineFeed]
            }
        }
        return output
    }
}
