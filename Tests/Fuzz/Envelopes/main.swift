// SPDX-License-Identifier: ISC

import Bytes
import CFuzzer
import Glibc
import Mail
import Message
import SMTP

// The first byte is what the rest is: an envelope file of OpenSMTPD, a command with what a sender asks to be told, or
// the texts of others that a notice has to quote.

/// What is right as it stands here.
func known<Value>(_ value: Value?) -> Value {
    guard let value else { preconditionFailure("a value that is right") }
    return value
}

let server = known(Domain("mx.example.org"))
let joe = known(Mailbox("joe@mx.example.org"))
let moment = MailDate(Timestamp(seconds: 1_700_000_000), offset: 0, zone: "UTC")

// MARK: Notices

let statusFields: Set<String> = [
    "Original-Envelope-Id", "Reporting-MTA", "Arrival-Date", "Original-Recipient", "Final-Recipient", "Action",
    "Status",
    "Remote-MTA", "Diagnostic-Code", "Last-Attempt-Date", "Will-Retry-Until",
]

/// Each line of a status is a field of ours, goes on with one, or is empty between recipients.
func lookAtNotice(_ kind: Notice.Kind, identifier: String?, _ recipients: [Notice.Recipient]) {
    let notice = Notice(
        kind: kind, reportingHost: server, recipient: joe, date: moment, messageID: "<1@mx.example.org>",
        boundary: "boundary-of-the-fuzzer", envelopeIdentifier: identifier, arrival: moment, recipients: recipients,
        retention: .days(4), returned: .headers(.sevenBit))
    var output: [UInt8] = []
    notice.write(returning: [UInt8]().span, to: &output)
    let lines = output.split(separator: 10, omittingEmptySubsequences: false)
    for line in lines.dropLast() {
        precondition(line.last == 13 && line.filter { $0 == 13 }.count == 1, "a line end of another's making")
        precondition(line.count <= 999, "a line of \(line.count) bytes")
    }
    let texts = lines.map { String(decoding: $0.dropLast(), as: UTF8.self) }
    guard
        let start = texts.firstIndex(where: { $0.hasSuffix("delivery-status") && $0.hasPrefix("Content-Type: m") })
            ?? texts.firstIndex(where: { $0.hasPrefix("Content-Type: message/global-delivery-status") })
    else { preconditionFailure("no status") }
    let body = texts[start...].drop { !$0.isEmpty }.dropFirst()
    var recipientCount = -1
    for line in body {
        if line == "--boundary-of-the-fuzzer" { break }
        if line.isEmpty {
            recipientCount += 1
        } else if line.utf8.first != 32 {
            let name = String(line.prefix { $0 != ":" })
            precondition(statusFields.contains(name), "a field of another's making: \(line)")
        } else {
            precondition(line.utf8.contains { $0 > 32 }, "a folded line of blanks")
        }
    }
    // One empty line before each, and one before the boundary.
    precondition(recipientCount == recipients.count, "\(recipientCount) recipients of \(recipients.count)")
}

func lookAtTexts(_ bytes: [UInt8]) {
    let parts = bytes.split(separator: 0, maxSplits: 3, omittingEmptySubsequences: false)
    func part(_ index: Int) -> String? { parts.count > index ? String(decoding: parts[index], as: UTF8.self) : nil }
    var reply = Reply(550, EnhancedStatus(5, 1, 1), lines: (part(0) ?? "").split(separator: "\n").map(String.init))
    reply.host = Domain(part(3) ?? "")
    let original = part(1)
    let recipients = [
        Notice.Recipient(originalRecipient: original, finalRecipient: joe, reply: reply, lastAttempt: moment),
        Notice.Recipient(
            finalRecipient: joe, reply: Reply(554, nil, "late"), diagnostic: reply, retriesUntil: moment),
    ]
    for kind in [Notice.Kind.failed, .delayed, .delivered, .relayed] {
        lookAtNotice(kind, identifier: part(2), recipients)
    }
}

// MARK: Commands

/// What was asked for is asked for again of a next server that knows how, and means the same there.
func lookAtCommand(_ bytes: [UInt8]) {
    let extensions: ServerExtensions = [.deliveryStatus, .futureRelease, .deliverBy]
    guard let command = try? Command(parsing: bytes.span, serverName: server, extensions: extensions) else { return }
    if case .recipient(let path, let parameters) = command {
        let report = parameters.report
        lookAtNotice(
            .failed, identifier: nil,
            [.init(originalRecipient: report.originalRecipient, finalRecipient: joe, reply: Reply(550, nil, "no"))])
        guard let written = passedOn(MessageRequest(), report, .recipient) else { return }
        guard let again = try? Command(parsing: written.span, serverName: server, extensions: extensions),
            case .recipient(_, let passed) = again
        else { preconditionFailure("\(String(decoding: written, as: UTF8.self)) is no RCPT (\(path))") }
        precondition(passed.report.notify == report.notify, "another NOTIFY")
        // A type of address that is no atom of letters, digits and hyphens is left out.
        if let original = passed.report.originalRecipient {
            precondition(original == report.originalRecipient, "another ORCPT")
        }
    } else if case .mail(_, let parameters) = command {
        let request = parameters.request
        lookAtNotice(
            .failed, identifier: request.envelopeIdentifier, [.init(finalRecipient: joe, reply: Reply(550, nil, "no"))])
        guard let written = passedOn(request, ReportRequest(), .mail) else { return }
        guard let again = try? Command(parsing: written.span, serverName: server, extensions: extensions),
            case .mail(_, let passed) = again
        else { preconditionFailure("\(String(decoding: written, as: UTF8.self)) is no MAIL") }
        precondition(passed.request.returned == request.returned, "another RET")
        precondition(passed.request.envelopeIdentifier == request.envelopeIdentifier, "another ENVID")
    }
}

enum Wanted {
    case mail
    case recipient
}

/// The line that our client sends, without its end; nil when it sends none.
func passedOn(_ request: MessageRequest, _ report: ReportRequest, _ wanted: Wanted) -> [UInt8]? {
    var client = ClientSession(name: server)
    _ = client.begin()
    _ = client.receive(Reply(220, nil, "mx"))
    _ = client.receive(Reply(250, nil, lines: ["mx", "DSN", "PIPELINING"]))
    let transaction = ClientSession.Transaction(
        sender: .mailbox(joe), recipients: [.init(joe, report: report)], request: request, size: ByteCount(1))
    guard case .send(let bytes) = client.start(transaction) else { return nil }
    for line in bytes.split(separator: 10) {
        precondition(line.last == 13 && line.filter { $0 == 13 }.count == 1, "a line end of another's making")
        let prefix = wanted == .mail ? "MAIL" : "RCPT"
        if line.starts(with: prefix.utf8) { return Array(line.dropLast()) }
    }
    return nil
}

// MARK: Envelopes

func lookAtEnvelope(_ bytes: [UInt8]) {
    guard let envelope = try? LegacyEnvelope(parsing: bytes.span) else { return }
    precondition(bytes.count <= LegacyEnvelope.longest, "too long")
    precondition(Mailbox("\(envelope.recipient)") == envelope.recipient, "a recipient that is none")
    let texts = [envelope.action, envelope.origin.greeting, envelope.origin.hostName, envelope.origin.user ?? ""]
    precondition(texts.allSatisfy { !$0.utf8.contains(10) && !$0.utf8.contains(0) }, "a line end in a value")
    if let reply = envelope.reply {
        precondition((400...599).contains(reply.code), "a code that is no failure")
        precondition(reply.lines.allSatisfy { $0.utf8.allSatisfy(\.isPrintable) }, "a byte that is not printable")
        if let status = reply.enhancedStatus {
            precondition(UInt16(status.statusClass) == reply.code / 100, "a status of another class")
        }
    }
    lookAtNotice(
        .failed, identifier: envelope.request.envelopeIdentifier,
        [
            .init(
                originalRecipient: envelope.report.originalRecipient, finalRecipient: envelope.recipient,
                reply: envelope.reply ?? Reply(554, nil, "expired"))
        ])
    _ = passedOn(envelope.request, envelope.report, .recipient)
    _ = passedOn(envelope.request, envelope.report, .mail)
}

let status = martlet_fuzz(CommandLine.argc, CommandLine.unsafeArgv) { pointer, count in
    let input = Array(UnsafeBufferPointer(start: pointer, count: count))
    let rest = Array(input.dropFirst())
    switch (input.first ?? 0) % 3 {
    case 0: lookAtEnvelope(rest)
    case 1: lookAtCommand(rest)
    default: lookAtTexts(rest)
    }
    return 0
}
exit(status)
