// SPDX-License-Identifier: ISC

import Bytes
import Mail
import SMTP

/// One line of a transcript: its two-letter mark and what follows.
struct TranscriptLine {
    let number: Int
    let mark: String
    let text: String
}

/// A dialogue that does not go as it is written.
struct TranscriptMismatch: Error, CustomStringConvertible {
    let line: Int
    let expected: String
    let found: String
    var description: String { "line \(line): expected \(expected), found \(found)" }
}

/// Plays a written dialogue against a `ServerSession`, as a driver would.
///
/// `=: setting value`, `C: line` with CRLF, `L: line` with LF, `R: bytes` with \r \n \0 \\ and no line end,
/// `S: reply line`, `?: question`, `!: answer`, `D: line of content`, `T: timeout` or `shutdown`, `X:` closed,
/// `B:` rolled back, `H:` a handshake that succeeds, `H: failed` one that does not. A question that the transcript does not mention is answered yes.
struct TranscriptWorld {
    enum Delivery { case batches, singleBytes }

    private var session: ServerSession
    private var decoder: DataDecoder?
    private var chunks: ChunkDecoder?
    /// Of the chunk that comes.
    private var chunkLeft = 0
    private var chunkPlace: Command.ChunkPlace?
    /// Of a chunk that nobody wants.
    private var skipLeft: Int?
    private var buffer: [UInt8] = []
    private var content: [UInt8] = []
    /// What happened and was not yet expected, as transcript lines.
    private var events: [String] = []
    private var lines: [TranscriptLine]
    private var next = 0
    private var failure: TranscriptMismatch?
    private var isClosed = false

    init(_ text: String) throws {
        lines = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if line.isEmpty || line.hasPrefix("#") { continue }
            lines.append(
                TranscriptLine(number: index + 1, mark: String(line.prefix(2)), text: String(line.dropFirst(3))))
        }
        guard let name = Domain("mx.example.org") else { throw Self.broken(0, "server name") }
        var settings = ServerSession.Settings(serverName: name)
        var security: ChannelSecurity?
        var mechanisms: [SASLMechanism] = []
        var client = ServerSession.Client(address: IPAddress("192.0.2.7"), hostName: "<unknown>")
        while next < lines.count, lines[next].mark == "=:" {
            let line = lines[next]
            let words = line.text.split(separator: " ").map(String.init)
            guard words.count == 2 else { throw Self.broken(line.number, line.text) }
            switch words[0] {
            case "secure":
                security = ChannelSecurity(
                    version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384", bits: 256,
                    binding: words[1] == "unbound" ? [] : Array(words[1].utf8))
            case "mechanisms":
                mechanisms = words[1].split(separator: ",").compactMap { SASLMechanism(rawValue: String($0)) }
            default:
                try Self.set(words[0], words[1], line.number, &settings, &client)
            }
            next += 1
        }
        session = ServerSession(settings: settings, client: client, security: security)
        session.mechanisms = mechanisms
        session.now = Timestamp(seconds: 1_000_000_000)
    }

    private static func broken(_ line: Int, _ text: String) -> TranscriptMismatch {
        TranscriptMismatch(line: line, expected: "a transcript", found: text)
    }

    private static func set(
        _ name: String, _ value: String, _ line: Int, _ settings: inout ServerSession.Settings,
        _ client: inout ServerSession.Client
    ) throws {
        switch name {
        case "server":
            guard let domain = Domain(value) else { throw broken(line, value) }
            settings.serverName = domain
        case "client": client.address = IPAddress(value)
        case "transport": client.transport = value == "tls" ? .tls : .proxied
        case "trust": client.trust = value == "submission" ? .submission : .none
        case "auth": settings.authentication = value == "required" ? .required : .optional
        case "priority": settings.takesPriority = value == "taken"
        case "dialect": settings.dialect = value == "lmtp" ? .lmtp : .smtp
        case "with": settings.extensions.insert(value == "XCLIENT" ? .clientClaims : .forwardClaims)
        case "size": settings.sizeLimit = ByteCount(Int(value) ?? 0)
        case "recipients": settings.maximumRecipients = Int(value) ?? 0
        case "messages": settings.maximumMessages = Int(value) ?? 0
        case "failures": settings.maximumFailures = Int32(value) ?? 0
        case "idle": settings.maximumIdleCommands = Int32(value) ?? 0
        case "tls": settings.encryption = value == "required" ? .required : .offered
        case "hops": settings.maximumHops = Int(value) ?? 0
        case "without": settings.extensions.remove(value == "DSN" ? .deliveryStatus : .pipelining)
        default: throw broken(line, name)
        }
    }

    /// Plays to the end; throws where the session says something else.
    mutating func play(_ delivery: Delivery) throws {
        perform(session.begin())
        while next < lines.count {
            try check()
            let line = lines[next]
            switch line.mark {
            case "C:", "L:", "R:":
                try expectNothingElse(before: line)
                send(batch(), delivery)
            case "H:" where events.first == "H:":
                events.removeFirst()
                next += 1
                perform(
                    line.text == "failed"
                        ? session.tlsFailed()
                        : session.tlsStarted(
                            ChannelSecurity(version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384", bits: 256)))
            case "T:":
                next += 1
                perform(line.text == "shutdown" ? session.shutDown() : session.timedOut())
            default:
                guard let event = events.first, event == "\(line.mark) \(line.text)" || event == line.mark else {
                    throw TranscriptMismatch(
                        line: line.number, expected: "\(line.mark) \(line.text)", found: events.first ?? "nothing")
                }
                events.removeFirst()
                next += 1
            }
        }
        try check()
        if let event = events.first { throw TranscriptMismatch(line: 0, expected: "the end", found: event) }
    }

    private func check() throws {
        if let failure { throw failure }
    }

    private func expectNothingElse(before line: TranscriptLine) throws {
        if let event = events.first {
            throw TranscriptMismatch(line: line.number, expected: line.text, found: event)
        }
    }

    // All that the client sends in one go.
    private mutating func batch() -> [UInt8] {
        var bytes: [UInt8] = []
        while next < lines.count {
            switch lines[next].mark {
            case "C:": bytes += Array((lines[next].text + "\r\n").utf8)
            case "L:": bytes += Array((lines[next].text + "\n").utf8)
            case "R:": bytes += Self.unescaped(lines[next].text)
            default: return bytes
            }
            next += 1
        }
        return bytes
    }

    private static func unescaped(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        var isEscaped = false
        for byte in text.utf8 {
            if isEscaped {
                switch byte {
                case UInt8(ascii: "r"): bytes.append(0x0D)
                case UInt8(ascii: "n"): bytes.append(0x0A)
                case UInt8(ascii: "0"): bytes.append(0)
                default: bytes.append(byte)
                }
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else {
                bytes.append(byte)
            }
        }
        return bytes
    }

    private mutating func send(_ bytes: [UInt8], _ delivery: Delivery) {
        switch delivery {
        case .batches:
            buffer += bytes
            drain()
        case .singleBytes:
            for byte in bytes {
                buffer.append(byte)
                drain()
            }
        }
    }

    private mutating func drain() {
        while !buffer.isEmpty, !isClosed, failure == nil {
            let received = buffer
            if let left = skipLeft {
                let count = min(left, buffer.count)
                buffer.removeFirst(count)
                skipLeft = left - count
                if left == count {
                    skipLeft = nil
                    perform(session.skipped())
                }
                continue
            }
            if let place = chunkPlace {
                takeChunk(place)
                continue
            }
            if var open = decoder {
                let (consumed, isFinished) = open.decode(received.span, into: &content)
                buffer.removeFirst(consumed)
                decoder = open
                guard isFinished else { return }
                decoder = nil
                let findings = open.findings
                perform(session.receive(endOfData: findings, waiting: buffer.count))
                continue
            }
            switch session.nextLine(in: received.span) {
            case .incomplete:
                return
            case .violation(let violation):
                perform(session.receive(violation))
            case .line(let length, let consumed):
                let line = Array(buffer[..<length])
                buffer.removeFirst(consumed)
                perform(session.receive(line.span, waiting: buffer.count))
            }
        }
    }

    private mutating func takeChunk(_ place: Command.ChunkPlace) {
        let received = buffer
        let count = min(chunkLeft, buffer.count)
        chunks?.decode(received.span.extracting(first: count), into: &content)
        buffer.removeFirst(count)
        chunkLeft -= count
        guard chunkLeft == 0 else { return }
        chunkPlace = nil
        if place == .last { chunks?.finish() }
        if let findings = chunks?.findings { perform(session.receive(endOfChunk: findings)) }
    }

    private mutating func perform(_ first: ServerSession.Action) {
        var action = first
        while failure == nil {
            switch action {
            case .reply(let reply):
                return say(reply)
            case .rollback(let reply):
                events.append("B:")
                return say(reply)
            case .startData(let reply):
                decoder = session.makeDecoder()
                content = []
                return say(reply)
            case .startTLS(let reply):
                say(reply)
                events.append("H:")
                return
            case .awaitCommand:
                return
            case .takeChunk(let size, let order, let place):
                if order == .first {
                    chunks = session.makeChunkDecoder()
                    content = []
                }
                chunkLeft = size
                chunkPlace = place
                if size == 0 { takeChunk(place) }
                return
            case .skip(let count):
                skipLeft = count > 0 ? count : nil
                guard count == 0 else { return }
                action = session.skipped()
            case .close(let reply):
                if let reply { say(reply) }
                events.append("X:")
                isClosed = true
                return
            case .ask(let question):
                action = session.answer(answer(to: question))
            }
        }
    }

    private mutating func say(_ reply: Reply) {
        var bytes: [UInt8] = []
        for _ in 0..<session.verdicts { reply.write(to: &bytes) }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\r\n") { events.append("S: \(line)") }
    }

    // A question stands in the transcript behind the replies that come before it.
    private mutating func answer(to question: ServerSession.Question) -> ServerSession.Answer {
        let isContent: Bool
        if case .endOfData = question { isContent = true } else { isContent = false }
        while next < lines.count, let event = events.first, event == "\(lines[next].mark) \(lines[next].text)" {
            events.removeFirst()
            next += 1
        }
        if isContent { compareContent() }
        // The clock of transcripts stands at 2001-09-09T01:46:40Z.
        session.now = Timestamp(seconds: 1_000_000_000)
        let yes: ServerSession.Answer = isContent ? .accepted(MessageID(0x832A_2432)) : .proceed
        guard next < lines.count, lines[next].mark == "?:", events.isEmpty else { return yes }
        let line = lines[next]
        guard line.text == Self.text(of: question) else {
            failure = TranscriptMismatch(
                line: line.number, expected: line.text, found: "?: " + Self.text(of: question))
            return yes
        }
        next += 1
        guard next < lines.count, lines[next].mark == "!:" else { return yes }
        let words = lines[next].text.split(separator: " ", maxSplits: 2).map(String.init)
        next += 1
        let reply = Reply(UInt16(words.count > 1 ? words[1] : "") ?? 0, nil, words.count > 2 ? words[2] : "")
        switch words.first {
        case "refuse": return .refuse(reply)
        case "user":
            return .authenticated(
                user: words[1], proof: words.count > 2 ? Base64.decode(Array(words[2].utf8).span) ?? [] : [])
        case "challenge":
            let rest = words[2].split(separator: " ").map(String.init)
            return .challenged(
                ScramChallenge(
                    nonce: words[1], salt: Base64.decode(Array(rest[0].utf8).span) ?? [], rounds: UInt32(rest[1]) ?? 0))
        case "disconnect": return .disconnect(reply)
        default: return yes
        }
    }

    private static func text(of claim: ClientClaim) -> String {
        var text = ""
        if case .known(let name)? = claim.name { text += " name=\(name)" }
        if case .known(let address)? = claim.address { text += " address=\(address)" }
        if case .known(let greeting)? = claim.greeting { text += " greeting=\(greeting)" }
        if let identifier = claim.identifier { text += " identifier=\(identifier)" }
        return text
    }

    private mutating func compareContent() {
        guard next < lines.count, lines[next].mark == "D:" else { return }
        var expected: [UInt8] = []
        let first = lines[next].number
        while next < lines.count, lines[next].mark == "D:" {
            expected += Array((lines[next].text + "\r\n").utf8)
            next += 1
        }
        if expected != content {
            failure = TranscriptMismatch(
                line: first, expected: "this content", found: String(decoding: content, as: UTF8.self))
        }
    }

    static func text(of question: ServerSession.Question) -> String {
        switch question {
        case .connect: return "connect"
        case .greeting(let name, .helo): return "helo \(name)"
        case .startTLS: return "starttls"
        case .greeting(let name, .ehlo): return "ehlo \(name)"
        case .authenticate(_, .password(let user, let password)):
            return "password \(user) \(String(decoding: password, as: UTF8.self))"
        case .authenticate(let mechanism, .scramBegin(let beginning)):
            return "\(mechanism.rawValue) \(beginning.user) \(beginning.nonce)"
        case .authenticate(_, .scramProof(let user, let message, let proof)):
            return "proof \(user) \(String(decoding: message, as: UTF8.self)) "
                + String(decoding: Base64.encode(proof.span), as: UTF8.self)
        case .authenticate(_, .external(let wanted)): return "external \(wanted ?? "-")"
        case .greeting(let name, .lhlo): return "lhlo \(name)"
        case .client(let claim): return "client" + text(of: claim)
        case .forward(let claim): return "forward" + text(of: claim)
        case .mail(let sender, let request, let size):
            var text = "mail <\(sender)>"
            if let size { text += " size=\(size.value)" }
            if let body = request.body { text += " body=\(body)" }
            if let part = request.returned { text += " return=\(part)" }
            if request.isInternational { text += " international" }
            if request.requiresTLS { text += " tls" }
            if let time = request.notBefore { text += " not-before=\(time.seconds)" }
            if let deadline = request.deadline {
                text += " by=\(deadline.time.seconds)-\(deadline.mode)"
                if deadline.trace == .relays { text += "-traced" }
            }
            if let priority = request.priority { text += " priority=\(priority.value)" }
            if let identifier = request.envelopeIdentifier { text += " identifier=\(identifier)" }
            return text
        case .recipient(let number, let mailbox, let report):
            var text = "recipient \(number) <\(mailbox)>"
            if report.notify.contains(.success) { text += " success" }
            if report.notify.contains(.failure) { text += " failure" }
            if report.notify.contains(.delay) { text += " delay" }
            if report.notify.contains(.never) { text += " never" }
            if let original = report.originalRecipient { text += " original=\(original)" }
            return text
        case .data: return "data"
        case .endOfData(let findings): return "end of data \(findings.size.value)"
        case .reset: return "reset"
        case .noop: return "noop"
        case .quit: return "quit"
        }
    }
}
