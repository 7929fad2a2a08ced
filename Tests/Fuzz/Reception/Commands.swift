// SPDX-License-Identifier: ISC

import Bytes
import Mail
import SMTP

enum Commands {
    static let server: Domain = {
        guard let name = Domain("mx.example.org") else { preconditionFailure("a constant name") }
        return name
    }()

    private static let everything: ServerExtensions = [
        .pipelining, .deliveryStatus, .chunking, .internationalMail, .requireTLS, .futureRelease, .deliverBy,
        .clientClaims, .forwardClaims, .priority, .authorship,
    ]

    /// What a piece-wise reader makes of the bytes: lines, and how it ends.
    private static func lines(_ bytes: [UInt8], _ discipline: LineDiscipline, pieces: Int) -> (
        [[UInt8]], FramingViolation?
    ) {
        var framer = LineFramer(discipline)
        var buffer: [UInt8] = []
        var found: [[UInt8]] = []
        var start = 0
        while start < bytes.count {
            let end = min(bytes.count, start + pieces)
            buffer += bytes[start..<end]
            start = end
            reading: while true {
                switch framer.next(in: buffer.span) {
                case .line(let length, let consumed):
                    precondition(length < LineFramer.longestLine && consumed <= buffer.count, "a line without an end")
                    found.append(Array(buffer[..<length]))
                    buffer.removeFirst(consumed)
                case .incomplete:
                    break reading
                case .violation(let violation):
                    return (found, violation)
                }
            }
        }
        return (found, nil)
    }

    /// The first byte says how the rest is cut, and for whom; however it is cut, the lines are the same.
    static func look(_ input: [UInt8]) {
        guard let first = input.first else { return }
        let bytes = Array(input.dropFirst())
        let disciplines: [LineDiscipline] = [.strict, .undecided, .hand]
        let discipline = disciplines[Int(first >> 6) % 3]
        let whole = lines(bytes, discipline, pieces: max(1, bytes.count))
        let cut = lines(bytes, discipline, pieces: Int(first & 63) + 1)
        precondition(whole.1 == cut.1, "the cut makes a difference to the end")
        precondition(whole.0 == cut.0, "the cut makes a difference")
        for line in whole.0 {
            precondition(!line.contains(10), "a line with a line end in it")
            check(line)
        }
    }

    static func lookAtParameters(_ input: [UInt8]) {
        check(Array("MAIL FROM:<a@example.org> ".utf8) + input)
        check(Array("RCPT TO:<b@example.org> ".utf8) + input)
    }

    static func lookAtClaims(_ input: [UInt8]) {
        check(Array("XCLIENT ".utf8) + input)
        check(Array("XFORWARD ".utf8) + input)
    }

    private static func check(_ line: [UInt8]) {
        // Lines of commands have a bound; a longer one is never parsed.
        guard line.count < LineFramer.longestLine, let command = parsed(line) else { return }
        switch command {
        case .helo(let name), .ehlo(let name), .lhlo(let name):
            precondition(name.utf8.allSatisfy { (0x21...0x7E).contains($0) }, "a greeting that is not visible")
        case .mail(let sender, let parameters):
            check(parameters)
            let again = parsed(Array("MAIL FROM:<\(sender)> SMTPUTF8".utf8))
            guard case .mail(let same, _) = again, same == sender else {
                preconditionFailure("another sender when it is written: \(sender)")
            }
        case .recipient(let path, let parameters):
            let mailbox = path.mailbox(at: server)
            precondition(isOneLine("\(mailbox)"), "a recipient of two lines")
            precondition(parameters.report.originalRecipient.map(isOneLine) ?? true, "an ORCPT of two lines")
            guard case .recipient(let same, _) = parsed(Array("RCPT TO:<\(mailbox)>".utf8)),
                same.mailbox(at: server) == mailbox
            else { preconditionFailure("another recipient when it is written: \(mailbox)") }
        case .client(let claim), .forward(let claim):
            precondition(claim.identifier.map(isOneLine) ?? true, "an identifier of two lines")
            if case .known(let name)? = claim.name { precondition(isOneLine(name.text) && name.isASCII, "a name") }
            if case .known(let name)? = claim.greeting { precondition(isOneLine(name.text) && name.isASCII, "a HELO") }
        case .chunk(let size, _):
            precondition(size >= 0, "a chunk of negative size")
        case .auth(let mechanism, _):
            // Told to the client again, when it is not known.
            precondition(Reply(504, nil, mechanism).lines.allSatisfy(isOneLine), "a reply of two lines")
        case .startTLS, .data, .reset, .noop, .quit, .help, .verify, .expand, .wizard:
            break
        }
    }

    private static func check(_ parameters: MailParameters) {
        precondition(parameters.request.envelopeIdentifier.map(isOneLine) ?? true, "an ENVID of two lines")
        precondition(parameters.size.map { $0.value >= 0 } ?? true, "a negative SIZE")
        if let deadline = parameters.deliverBy {
            precondition(deadline.mode == .notify || deadline.interval.seconds > 0, "a deadline that has passed")
        }
        if case .interval(let interval)? = parameters.hold {
            precondition((0...999_999_999).contains(interval.seconds), "a hold of no length")
        }
    }

    private static func parsed(_ line: [UInt8]) -> Command? {
        try? Command(parsing: line.span, serverName: server, extensions: everything)
    }

    private static func isOneLine(_ text: String) -> Bool { !text.utf8.contains { $0 < 0x20 || $0 == 0x7F } }
}
