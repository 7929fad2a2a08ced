// SPDX-License-Identifier: ISC

import Bytes
import Glibc
import Mail
import SMTP
import Testing

/// What RFC 5321, with RFC 3030, makes of a dialogue, written down a second time and as simply as can be.
///
/// It knows nothing of bytes: commands come as values, and for each it names the one code that must be the answer.
private struct SessionModel {
    static let mostRecipients = 3
    static let mostMessages = 4
    static let mostFailures: Int32 = 20
    static let mostIdle: Int32 = 15

    enum Sender { case good, tooBig, unknownParameter, badValue, badSyntax, beyondASCII, binary }
    enum Recipient { case good, badSyntax, unknownParameter, beyondASCII }
    enum Place { case middle, last }
    enum Content { case good, strayLineFeed, nul, noHeader }

    enum Command {
        case greet
        case greetBadly
        case mail(Sender)
        case recipient(Recipient)
        case data(Content)
        case chunk(Place, Content, size: Int)
        case chunkOfNoSize
        case reset, noop, verify, help, expand, unknown, quit
    }

    var isGreeted = false
    var hasMail = false
    var isBinary = false
    var recipients = 0
    var isChunked = false
    var messages = 0
    var failures: Int32 = 0
    var idle: Int32 = 0
    var isClosed = false

    mutating func forget() {
        hasMail = false
        isBinary = false
        recipients = 0
        isChunked = false
    }

    /// A failure, or the end when there were too many.
    private mutating func fail(_ code: UInt16) -> UInt16 {
        failures += 1
        if failures > Self.mostFailures {
            isClosed = true
            forget()
            return 421
        }
        return code
    }

    /// Whether a command that brings no message further is one too many.
    private mutating func isIdleTooOften() -> Bool {
        idle += 1
        guard idle > Self.mostIdle else { return false }
        isClosed = true
        forget()
        return true
    }

    /// The code of the answer. `refusal`: what the world says no with, when it is asked.
    mutating func answer(to command: Command, refusal: UInt16?) -> UInt16 {
        switch command {
        case .greet, .greetBadly, .reset, .noop, .verify, .help:
            if isIdleTooOften() { return 421 }
        case .mail, .recipient, .data, .chunk, .chunkOfNoSize, .expand, .unknown, .quit: break
        }
        switch command {
        case .greet:
            if let refusal { return fail(refusal) }
            isGreeted = true
            forget()
            return 250
        case .greetBadly: return fail(501)
        case .mail(let sender):
            guard isGreeted, !hasMail else { return fail(503) }
            guard messages < Self.mostMessages else { return fail(452) }
            switch sender {
            case .tooBig: return fail(552)
            case .unknownParameter: return fail(555)
            case .badValue: return fail(501)
            case .badSyntax, .beyondASCII: return fail(553)
            case .good, .binary: break
            }
            if let refusal { return fail(refusal) }
            hasMail = true
            isBinary = sender == .binary
            messages += 1
            return 250
        case .recipient(let recipient):
            guard hasMail, !isChunked else { return fail(503) }
            guard recipients < Self.mostRecipients else { return fail(451) }
            switch recipient {
            case .badSyntax: return fail(501)
            case .unknownParameter: return fail(555)
            case .beyondASCII: return fail(553)
            case .good: break
            }
            if let refusal { return fail(refusal) }
            recipients += 1
            return 250
        case .data:
            guard hasMail, !isChunked, !isBinary, recipients > 0 else { return fail(503) }
            if let refusal { return fail(refusal) }
            return 354
        case .chunk:
            guard hasMail, recipients > 0 else { return fail(503) }
            if !isChunked, let refusal { return fail(refusal) }
            return 0
        case .chunkOfNoSize:
            isClosed = true
            forget()
            return 501
        case .reset:
            guard isGreeted else { return fail(503) }
            if let refusal { return fail(refusal) }
            forget()
            return 250
        case .noop:
            if let refusal { return fail(refusal) }
            return 250
        case .verify: return 252
        case .help: return 214
        case .expand: return fail(502)
        case .unknown: return fail(500)
        case .quit:
            if let refusal { return fail(refusal) }
            isClosed = true
            forget()
            return 221
        }
    }

    /// The code of the answer to the end of a message.
    mutating func verdict(_ content: Content, refusal: UInt16?) -> UInt16 {
        forget()
        switch content {
        case .good:
            if let refusal {
                failures += 1
                return refusal
            }
            failures = 0
            idle = 0
            return 250
        case .strayLineFeed, .nul, .noHeader:
            failures += 1
            return 550
        }
    }
}

/// Random sessions, played to the session as bytes and to the model as commands.
private struct ModelPlay {
    private var random: SplitMix
    private var session: ServerSession
    private var model = SessionModel()
    /// What the world refuses with, if it is asked at this command.
    private var refusal: UInt16?
    private(set) var accepted = 0
    private(set) var commands = 0
    private var chunks: ChunkDecoder?

    init(seed: UInt64) throws {
        random = SplitMix(seed: seed)
        var settings = ServerSession.Settings(serverName: try #require(Domain("mx.example.org")))
        settings.maximumRecipients = SessionModel.mostRecipients
        settings.maximumMessages = SessionModel.mostMessages
        settings.maximumFailures = SessionModel.mostFailures
        settings.maximumIdleCommands = SessionModel.mostIdle
        session = ServerSession(
            settings: settings, client: ServerSession.Client(address: IPAddress("192.0.2.7"), hostName: "<unknown>"))
    }

    /// What went otherwise than it must; nil when nothing did.
    mutating func play() -> String? {
        guard code(of: session.begin()) == 220 else { return "no banner" }
        while !model.isClosed {
            // The client may vanish at any moment.
            if random.next(below: 40) == 0 {
                _ = session.disconnected()
                return session.isClosed && session.transaction == nil ? nil : "something is left of a session"
            }
            let command = next()
            commands += 1
            if let fault = play(command) { return "\(command): \(fault)" }
            guard model.hasMail == (session.transaction != nil),
                session.transaction?.recipients ?? 0 == model.recipients
            else { return "\(command): another transaction than the model's" }
        }
        return session.isClosed ? nil : "the session goes on"
    }

    private mutating func play(_ command: SessionModel.Command) -> String? {
        refusal = random.next(below: 10) == 0 ? (random.next(below: 2) == 0 ? 550 : 450) : nil
        let line = Array(text(of: command).utf8)
        let action = session.receive(line.span, waiting: random.next(below: 3))
        let before = model
        var wanted = model.answer(to: command, refusal: refusal)
        // A message, from its first byte to the verdict.
        switch command {
        case .data(let content) where wanted == 354:
            guard case .startData(let reply) = settled(action), reply.code == 354 else { return "no content is wanted" }
            refusal = random.next(below: 10) == 0 ? 452 : nil
            let found = send(content)
            wanted = model.verdict(content, refusal: refusal)
            return found == wanted ? nil : "\(found) instead of \(wanted)"
        case .chunk(let place, let content, let size):
            var next = settled(action)
            if wanted != 0 {
                guard case .skip(let count) = next, count == size else { return "the chunk is not left out: \(next)" }
                let found = code(of: session.skipped())
                return found == wanted ? nil : "\(found) instead of \(wanted)"
            }
            guard case .takeChunk(let count, let order, _) = next, count == size else { return "no chunk is taken" }
            guard (order == .first) == !before.isChunked else { return "not the first chunk" }
            if order == .first { chunks = session.makeChunkDecoder() }
            let bytes = Self.bytes(of: content, size: size, isFirst: order == .first)
            var output: [UInt8] = []
            let cut = random.next(below: size + 1)
            let parts = [Array(bytes[..<cut]), Array(bytes[cut...])]
            for part in parts { chunks?.decode(part.span, into: &output) }
            if place == .last { chunks?.finish() }
            guard let findings = chunks?.findings else { return "no decoder" }
            refusal = random.next(below: 10) == 0 ? 452 : nil
            next = session.receive(endOfChunk: findings)
            let found = code(of: next)
            let isSound = findings.violation == nil
            if isSound, place == .middle {
                model.isChunked = true
                return found == 250 ? nil : "\(found) to a chunk"
            }
            wanted = model.verdict(isSound ? .good : .nul, refusal: refusal)
            return found == wanted ? nil : "\(found) instead of \(wanted)"
        case .greet, .greetBadly, .mail, .recipient, .data, .chunkOfNoSize, .reset, .noop, .verify, .help, .expand,
            .unknown, .quit:
            let found = code(of: action)
            return found == wanted ? nil : "\(found) instead of \(wanted)"
        }
    }

    private mutating func send(_ content: SessionModel.Content) -> UInt16 {
        var decoder = session.makeDecoder()
        let bytes = Self.bytes(of: content, size: 40, isFirst: true) + Array("\r\n.\r\n".utf8)
        var output: [UInt8] = []
        var start = 0
        while start < bytes.count {
            let part = Array(bytes[start..<min(bytes.count, start + 1 + random.next(below: 12))])
            let (consumed, isFinished) = decoder.decode(part.span, into: &output)
            start += consumed
            if isFinished { break }
        }
        guard start == bytes.count else { return 0 }
        return code(of: session.receive(endOfData: decoder.findings, waiting: 0))
    }

    private static func bytes(of content: SessionModel.Content, size: Int, isFirst: Bool) -> [UInt8] {
        let header = isFirst ? Array("Subject: x\r\n\r\n".utf8) : []
        let text: [UInt8]
        switch content {
        case .good: text = header
        case .strayLineFeed: text = header + Array("\n.\n".utf8)
        case .nul: text = header + [0]
        case .noHeader: text = Array("no header\r\n".utf8)
        }
        return Array((text + [UInt8](repeating: 0x61, count: max(0, size - text.count))).prefix(size))
    }

    // MARK: The world

    /// The action behind all questions.
    private mutating func settled(_ first: ServerSession.Action) -> ServerSession.Action {
        var action = first
        while case .ask(let question) = action {
            if let refusal {
                action = session.answer(.refuse(Reply(refusal, nil, "no")))
            } else if case .endOfData = question {
                accepted += 1
                action = session.answer(.accepted(MessageID(1)))
            } else {
                action = session.answer(.proceed)
            }
        }
        return action
    }

    private mutating func code(of action: ServerSession.Action) -> UInt16 {
        switch settled(action) {
        case .reply(let reply), .rollback(let reply), .startData(let reply): return reply.code
        case .close(let reply): return reply?.code ?? 0
        case .ask, .takeChunk, .skip, .startTLS, .awaitCommand: return 0
        }
    }

    // MARK: The client

    /// Half of the time what would come next, so that whole messages happen.
    private mutating func next() -> SessionModel.Command {
        if random.next(below: 2) == 0 {
            if !model.isGreeted { return .greet }
            if !model.hasMail { return .mail(random.next(below: 4) == 0 ? .binary : .good) }
            if model.recipients == 0 { return .recipient(.good) }
            if model.isChunked || model.isBinary { return chunk() }
            return random.next(below: 2) == 0 ? .data(content()) : chunk()
        }
        switch random.next(below: 16) {
        case 0: return .greet
        case 1: return .greetBadly
        case 2:
            let senders: [SessionModel.Sender] = [
                .good, .tooBig, .unknownParameter, .badValue, .badSyntax, .beyondASCII, .binary,
            ]
            return .mail(senders[random.next(below: senders.count)])
        case 3, 4:
            let recipients: [SessionModel.Recipient] = [.good, .good, .badSyntax, .unknownParameter, .beyondASCII]
            return .recipient(recipients[random.next(below: recipients.count)])
        case 5: return .data(content())
        case 6, 7: return chunk()
        case 8: return random.next(below: 10) == 0 ? .chunkOfNoSize : .noop
        case 9: return .reset
        case 10: return .noop
        case 11: return .verify
        case 12: return .help
        case 13: return .expand
        case 14: return .unknown
        default: return random.next(below: 4) == 0 ? .quit : .noop
        }
    }

    private mutating func content() -> SessionModel.Content {
        switch random.next(below: 8) {
        case 0: .strayLineFeed
        case 1: .nul
        case 2: .noHeader
        default: .good
        }
    }

    private mutating func chunk() -> SessionModel.Command {
        .chunk(random.next(below: 2) == 0 ? .middle : .last, content(), size: 14 + random.next(below: 30))
    }

    private func text(of command: SessionModel.Command) -> String {
        switch command {
        case .greet: return "EHLO client.example.org"
        case .greetBadly: return "EHLO under way"
        case .mail(let sender):
            switch sender {
            case .good: return "MAIL FROM:<a@example.org> BODY=8BITMIME"
            case .tooBig: return "MAIL FROM:<a@example.org> SIZE=99999999999"
            case .unknownParameter: return "MAIL FROM:<a@example.org> COLOUR=red"
            case .badValue: return "MAIL FROM:<a@example.org> RET=SOME"
            case .badSyntax: return "MAIL FROM:<a@@example.org>"
            case .beyondASCII: return "MAIL FROM:<ü@example.org>"
            case .binary: return "MAIL FROM:<> BODY=BINARYMIME"
            }
        case .recipient(let recipient):
            switch recipient {
            case .good: return "RCPT TO:<b@example.org>"
            case .badSyntax: return "RCPT TO:b@example.org"
            case .unknownParameter: return "RCPT TO:<b@example.org> SIZE=1"
            case .beyondASCII: return "RCPT TO:<ü@example.org>"
            }
        case .data: return "DATA"
        case .chunk(let place, _, let size): return "BDAT \(size)" + (place == .last ? " LAST" : "")
        case .chunkOfNoSize: return "BDAT LAST"
        case .reset: return "RSET"
        case .noop: return "NOOP"
        case .verify: return "VRFY a"
        case .help: return "HELP"
        case .expand: return "EXPN a"
        case .unknown: return "FROB"
        case .quit: return "QUIT"
        }
    }
}

@Suite struct `Random sessions` {
    // A million, and another seed, are asked for by MARTLET_SESSIONS and MARTLET_SEED.
    private static func number(_ name: String, _ usual: UInt64) -> UInt64 {
        getenv(name).flatMap { UInt64(String(cString: $0)) } ?? usual
    }

    @Test func `every reply is the one that the model of RFC 5321 allows`() throws {
        let count = Self.number("MARTLET_SESSIONS", 3_000)
        let first = Self.number("MARTLET_SEED", 5_321)
        var accepted = 0
        var commands = 0
        for offset in 0..<count {
            var play = try ModelPlay(seed: first &+ offset &* 0x9E37_79B9)
            let fault = play.play()
            accepted += play.accepted
            commands += play.commands
            if let fault {
                Issue.record("seed \(first), session \(offset): \(fault)")
                return
            }
        }
        print("\(count) sessions of seed \(first): \(commands) commands, \(accepted) messages accepted")
        #expect(accepted > Int(count) / 20)
    }
}
