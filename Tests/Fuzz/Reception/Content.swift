// SPDX-License-Identifier: ISC

import Bytes
import Mail
import Message
import SMTP

enum Content {
    private static let limit = ByteCount(3000)

    private struct Result: Equatable {
        var output: [UInt8] = []
        var findings = ContentFindings(size: ByteCount(0))
        var consumed = 0
        var isFinished = false
    }

    private static func decoded(_ bytes: [UInt8], _ discipline: LineDiscipline, pieces: Int) -> Result {
        var decoder = DataDecoder(discipline, limit: limit, maximumHops: 5)
        var result = Result()
        while result.consumed < bytes.count, !result.isFinished {
            let piece = Array(bytes[result.consumed..<min(bytes.count, result.consumed + pieces)])
            let (consumed, isFinished) = decoder.decode(piece.span, into: &result.output)
            precondition(isFinished || consumed == piece.count, "bytes that are left before the end")
            result.consumed += consumed
            result.isFinished = isFinished
        }
        result.findings = decoder.findings
        return result
    }

    /// The first byte says how the rest is cut, and whether it is typed by hand.
    static func lookAtData(_ input: [UInt8]) {
        guard let first = input.first else { return }
        let bytes = Array(input.dropFirst())
        let discipline: LineDiscipline = first & 0x80 == 0 ? .strict : .hand
        let whole = decoded(bytes, discipline, pieces: max(1, bytes.count))
        let cut = decoded(bytes, discipline, pieces: Int(first & 63) + 1)
        precondition(whole.isFinished == cut.isFinished && whole.consumed == cut.consumed, "the cut moves the end")
        // Of several faults another one may be seen first; what was read of a message that is refused counts for nothing.
        precondition(
            (whole.findings.violation == nil) == (cut.findings.violation == nil),
            "the cut makes a fault or takes it away")
        guard whole.findings.violation == nil else { return }
        precondition(whole.findings == cut.findings, "the cut makes a difference to what is found")
        precondition(whole.output == cut.output, "the cut makes a difference")
        guard whole.isFinished else { return }
        checkLines(whole.output)
        precondition(whole.output.count <= limit.value || discipline == .hand, "more than the limit")
        // Nothing but the one end of data was read as such.
        if discipline == .strict {
            let used = Array(bytes[..<whole.consumed])
            precondition(used == Array(".\r\n".utf8) || used.suffix(5) == Array("\r\n.\r\n".utf8), "another end")
        }
        var encoder = DataEncoder()
        var wire: [UInt8] = []
        encoder.encode(whole.output.span, into: &wire)
        encoder.finish(into: &wire)
        let again = decoded(wire, .strict, pieces: 7)
        precondition(again.isFinished && again.consumed == wire.count, "what is sent on ends elsewhere")
        precondition(again.findings.violation == whole.findings.violation, "what is sent on is in disorder")
        precondition(again.output == whole.output, "what is sent on is other content")
    }

    /// CRLF and nothing else ends a line, and there is no NUL.
    private static func checkLines(_ bytes: [UInt8]) {
        for (index, byte) in bytes.enumerated() {
            switch byte {
            case 0: preconditionFailure("a NUL")
            case 10: precondition(index > 0 && bytes[index - 1] == 13, "a bare LF")
            case 13: precondition(index + 1 < bytes.count && bytes[index + 1] == 10, "a bare CR")
            default: break
            }
        }
    }

    private static func chunked(_ bytes: [UInt8], _ body: MessageRequest.Body?, pieces: Int) -> Result {
        var decoder = ChunkDecoder(body, limit: limit, maximumHops: 5)
        var result = Result()
        while result.consumed < bytes.count {
            let piece = Array(bytes[result.consumed..<min(bytes.count, result.consumed + pieces)])
            decoder.decode(piece.span, into: &result.output)
            result.consumed += piece.count
        }
        decoder.finish()
        result.findings = decoder.findings
        return result
    }

    static func lookAtChunks(_ input: [UInt8]) {
        guard let first = input.first else { return }
        let bytes = Array(input.dropFirst())
        let body: MessageRequest.Body? = first & 0x80 == 0 ? nil : .binaryMIME
        let whole = chunked(bytes, body, pieces: max(1, bytes.count))
        let cut = chunked(bytes, body, pieces: Int(first & 63) + 1)
        // Of several faults another one may be seen first; what was read of a message that is refused counts for nothing.
        precondition(
            (whole.findings.violation == nil) == (cut.findings.violation == nil),
            "the cut makes a fault or takes it away")
        guard whole.findings.violation == nil else { return }
        precondition(whole.findings == cut.findings, "the cut makes a difference to what is found")
        precondition(whole.output == cut.output, "the cut makes a difference")
        precondition(whole.output.starts(with: bytes), "other bytes than came")
        if body == nil { checkLines(whole.output) }
    }

    private static func scanned(_ bytes: [UInt8], pieces: Int) -> HeaderFindings {
        var scanner = HeaderScanner(deliveredTo: .collected, addressFields: .collected)
        var start = 0
        while start < bytes.count {
            let piece = Array(bytes[start..<min(bytes.count, start + pieces)])
            scanner.scan(piece.span)
            start += piece.count
        }
        scanner.finish()
        return scanner.findings
    }

    static func lookAtHeader(_ input: [UInt8]) {
        guard let first = input.first, let author = Mailbox("joe@example.org") else { return }
        let bytes = Array(input.dropFirst())
        let whole = scanned(bytes, pieces: max(1, bytes.count))
        precondition(whole == scanned(bytes, pieces: Int(first & 63) + 1), "the cut makes a difference")
        precondition(whole.messageID.map { $0.utf8.count <= HeaderScanner.longestMessageID } ?? true, "a long one")
        guard whole.fault == nil else { return }
        // As submission makes a message of it: pieces in order, of what came or of ours, and nothing of Bcc.
        guard
            let replacements = MessagePieces.rewritten(
                whole, serverName: Commands.server, author: first & 0x40 == 0 ? nil : author)
        else { return }
        precondition(
            replacements.reduce(0) { $0 + $1.bytes.count } <= MessagePieces.mostRewritten, "more than Queue may take")
        for replacement in replacements {
            precondition(!replacement.bytes.contains(0) || bytes[replacement.range].contains(0), "a NUL of ours")
        }
        var place = 0
        for piece in MessagePieces.list(
            whole, contentCount: bytes.count, trace: Array("Received: x\r\n".utf8), replacements: replacements)
        {
            guard case .range(let range) = piece else { continue }
            precondition(range.lowerBound >= place && range.upperBound <= bytes.count && !range.isEmpty, "out of order")
            place = range.upperBound
        }
    }
}
