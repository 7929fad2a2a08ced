// SPDX-License-Identifier: ISC

import Bytes
import CFuzzer
import Glibc
import Mail
import Message
import SMTP

// The first byte is the kind of notice; then come lines: the ENVID, the ORCPT and the address of a recipient, and what
// the remote host said. Whatever these are, the notice has its own lines and parts, and no others.

let fields: Set = [
    "Original-Envelope-Id", "Reporting-MTA", "Arrival-Date", "Original-Recipient", "Final-Recipient", "Action",
    "Status", "Remote-MTA", "Diagnostic-Code", "Last-Attempt-Date", "Will-Retry-Until",
]
let boundary = "a-boundary-that-nobody-foresees"

func notice(_ kind: UInt8, _ lines: [ArraySlice<UInt8>]) -> Notice? {
    guard lines.count == 4, let domain = Domain("example.org"), let sender = Mailbox("alice@example.org"),
        let recipient = Mailbox(String(decoding: lines[2], as: UTF8.self))
    else { return nil }
    var parser = ReplyParser()
    let said = Array(lines[3])
    var rest = said.span
    guard var reply = try? parser.next(from: &rest) else { return nil }
    reply.host = domain
    let kinds: [Notice.Kind] = [.failed, .delayed, .delivered, .relayed]
    let date = MailDate(Timestamp(seconds: 1_795_478_400))
    return Notice(
        kind: kinds[Int(kind) % kinds.count], reportingHost: domain, recipient: sender, date: date,
        messageID: "<1@example.org>", boundary: boundary,
        envelopeIdentifier: String(decoding: lines[0], as: UTF8.self), arrival: date,
        recipients: [
            Notice.Recipient(
                originalRecipient: String(decoding: lines[1], as: UTF8.self), finalRecipient: recipient, reply: reply,
                retriesUntil: date)
        ], retention: .days(4), returned: .headers(.sevenBit))
}

/// The lines, each of which ends with CRLF and holds neither.
func lines(_ bytes: [UInt8]) -> [[UInt8]] {
    var lines: [[UInt8]] = [[]]
    for byte in bytes {
        precondition(byte != 0, "a NUL")
        if byte == 10 {
            precondition(lines[lines.count - 1].popLast() == 13, "a line feed alone")
            lines.append([])
        } else {
            precondition(lines[lines.count - 1].last != 13, "a carriage return alone")
            lines[lines.count - 1].append(byte)
        }
    }
    precondition(lines.last == [], "an end without CRLF")
    return lines
}

func check(_ notice: Notice) {
    var output: [UInt8] = []
    notice.write(returning: Array("Subject: x\r\n".utf8).span, to: &output)
    let lines = lines(output)
    // RFC 5322 section 2.1.1
    precondition(lines.allSatisfy { $0.count <= 998 }, "a line too long")
    let border = Array("--\(boundary)".utf8)
    let borders = lines.indices.filter { lines[$0] == border || lines[$0] == border + Array("--".utf8) }
    precondition(borders.count == 4, "another part")
    for line in lines[(borders[1] + 1)..<borders[2]] where line.first.map({ $0 != 32 && $0 != 9 }) ?? false {
        let text = String(decoding: line, as: UTF8.self)
        if text.hasPrefix("Content-") { continue }
        precondition(fields.contains(String(text.prefix { $0 != ":" })), "another field: \(text)")
    }
    guard !notice.isInternational else { return }
    precondition(output.allSatisfy { $0 < 0x80 }, "eight bits in a notice of seven")
}

let status = martlet_fuzz(CommandLine.argc, CommandLine.unsafeArgv) { pointer, count in
    let input = Array(UnsafeBufferPointer(start: pointer, count: count))
    let parts = input.dropFirst().split(separator: 10, maxSplits: 3, omittingEmptySubsequences: false)
    if let notice = notice(input.first ?? 0, parts) { check(notice) }
    return 0
}
exit(status)
