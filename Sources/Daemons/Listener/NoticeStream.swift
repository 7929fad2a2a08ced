// SPDX-License-Identifier: ISC

import Bytes
import IPC
import Mail
import Reactor
import SMTP
import TLS

/// The client of an internal session: brings one notice in by the front door, command by command.
///
/// The next command is made only from the reply to the last, so that no content is ever taken for a command.
final class NoticeStream: SessionStream {
    private enum Step {
        case banner
        case greeting
        case mail
        case recipient
        case data
        case content
        case quit
    }

    private let recipient: Mailbox
    private let priority: MessageRequest.Priority?
    private let content: [UInt8]
    private var step = Step.banner
    private var input: [UInt8] = []
    private var start = 0
    /// What became of the notice.
    private(set) var result = InjectionResult.refused(
        Reply(451, EnhancedStatus(4, 3, 0), "The internal session ended early"))

    init(recipient: Mailbox, priority: MessageRequest.Priority?, content: [UInt8]) {
        self.recipient = recipient
        self.priority = priority
        self.content = content
    }

    var available: Int { input.count - start }

    func withInput<Result>(_ body: (Span<UInt8>) -> Result) -> Result {
        let shared = input
        return body(shared.span.extracting(start...))
    }

    func consume(_ count: Int) { start += count }

    func read(timeoutMilliseconds: UInt64) async throws(ConnectionError) { if available == 0 { throw .ended } }

    func write(_ reply: Reply) {
        switch step {
        case .banner where reply.isPositive:
            say("EHLO localhost", then: .greeting)
        case .greeting where reply.isPositive:
            // RFC 6531 section 3.6.2: a notice that speaks of such an address needs the extension itself.
            let isInternational = !recipient.isASCII || content.contains { $0 >= 0x80 }
            // RFC 6710 section 4.6
            let urgency = priority.map { " MT-PRIORITY=\($0.value)" } ?? ""
            say("MAIL FROM:<>" + (isInternational ? " SMTPUTF8" : "") + urgency, then: .mail)
        case .mail where reply.isPositive:
            say("RCPT TO:<\(recipient)>", then: .recipient)
        case .recipient where reply.isPositive:
            say("DATA", then: .data)
        case .data where reply.isIntermediate:
            start = 0
            input = []
            var encoder = DataEncoder()
            let content = content
            encoder.encode(content.span, into: &input)
            encoder.finish(into: &input)
            step = .content
        case .content where reply.isPositive:
            // `250 2.0.0 832a2432 Message accepted for delivery`
            let id = reply.lines.first.flatMap { $0.split(separator: " ").first }.flatMap { MessageID(String($0)) }
            if let id { result = .accepted(id) }
            say("QUIT", then: .quit)
        case .banner, .greeting, .mail, .recipient, .data, .content:
            result = .refused(reply)
            say("QUIT", then: .quit)
        case .quit:
            break
        }
    }

    private func say(_ command: String, then next: Step) {
        start = 0
        input = Array(command.utf8) + [.carriageReturn, .lineFeed]
        step = next
    }

    func room(timeoutMilliseconds: UInt64) async throws(ConnectionError) {}
    // An internal session asks for none.
    func startTLS(
        _ context: ServerContext, _ signer: any Signer, _ beginning: TLSBeginning
    ) async throws(TLSFault) -> ChannelSecurity {
        throw TLSFault("not over this stream")
    }

    func finish(_ farewell: Farewell) async {}
    func interrupt() {}
}
