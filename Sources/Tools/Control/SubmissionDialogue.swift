// SPDX-License-Identifier: ISC

import Bytes
import Mail
import SMTP

/// One message given to the server by SMTP, as a value. All recipients are taken or the message is not sent: who calls
/// sendmail learns of one result only.
nonisolated struct SubmissionDialogue: Hashable, Sendable {
    enum Action: Hashable, Sendable {
        case send([UInt8])
        /// Send the content through a `DataEncoder` and its end, then wait for a reply.
        case sendContent
        /// Send these bytes and close.
        case finish(Outcome, [UInt8])
    }

    enum Outcome: Hashable, Sendable {
        case accepted
        /// The reply, and the command that it answers.
        case refused(Reply, to: String)
    }

    private enum State: Hashable, Sendable {
        case greeting
        case hello
        case sender
        case recipient(Int)
        case data
        case verdict
        case finished
    }

    private var state = State.greeting
    private var offer = PeerOffer()
    private var command = "connection"
    private let message: MessagePreparation
    private let notify: String?
    private let returned: String?
    private let envelopeIdentifier: String?

    init(
        _ message: MessagePreparation, notify: String? = nil, returned: String? = nil,
        envelopeIdentifier: String? = nil
    ) {
        self.message = message
        self.notify = notify
        self.returned = returned
        self.envelopeIdentifier = envelopeIdentifier
    }

    mutating func receive(_ reply: Reply) -> Action {
        let isExpected = state == .data ? reply.isIntermediate : reply.isPositive
        guard isExpected else {
            state = .finished
            return .finish(.refused(reply, to: command), reply.code == 421 ? [] : Self.quit)
        }
        switch state {
        case .greeting:
            state = .hello
            return say("EHLO localhost")
        case .hello:
            offer = PeerOffer(reply)
            state = .sender
            return say("MAIL FROM:<\(message.sender)>" + mailParameters)
        case .sender: return recipient(0)
        case .recipient(let number): return recipient(number + 1)
        case .data:
            state = .verdict
            command = "message"
            return .sendContent
        case .verdict, .finished:
            state = .finished
            return .finish(.accepted, Self.quit)
        }
    }

    private mutating func recipient(_ number: Int) -> Action {
        guard number < message.recipients.count else {
            state = .data
            return say("DATA")
        }
        state = .recipient(number)
        let parameter = hasReports ? notify.map { " NOTIFY=\($0)" } ?? "" : ""
        return say("RCPT TO:<\(message.recipients[number])>" + parameter)
    }

    private mutating func say(_ line: String) -> Action {
        command = line
        return .send(Array((line + "\r\n").utf8))
    }

    private var hasReports: Bool { offer.extensions.contains(.deliveryStatus) }

    private var mailParameters: String {
        var text = ""
        if offer.extensions.contains(.size) { text += " SIZE=\(message.wireSize)" }
        if offer.extensions.contains(.eightBitMIME), message.hasEightBit { text += " BODY=8BITMIME" }
        if offer.extensions.contains(.internationalMail), message.isInternational { text += " SMTPUTF8" }
        guard hasReports else { return text }
        if let returned { text += " RET=\(returned)" }
        if let envelopeIdentifier { text += " ENVID=\(Self.extended(envelopeIdentifier))" }
        return text
    }

    // xtext = *( xchar / hexchar )                                                        (RFC 3461 section 4)
    private static func extended(_ text: String) -> String {
        var output: [UInt8] = []
        for byte in text.utf8 {
            if byte.isVisible, byte != UInt8(ascii: "+"), byte != UInt8(ascii: "=") {
                output.append(byte)
            } else {
                output.append(UInt8(ascii: "+"))
                output.append(Hexadecimal.text(UInt64(byte), width: 2).uppercased())
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    private static let quit = Array("QUIT\r\n".utf8)
}
