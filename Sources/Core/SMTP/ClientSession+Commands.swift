// SPDX-License-Identifier: ISC

import Bytes
import Mail

/// The commands with the parameters that the server understands.
extension ClientSession {
    // Mail-parameters: SIZE (RFC 1870), BODY (RFC 6152), RET and ENVID (RFC 3461 section 4.3, 4.4), MT-PRIORITY (RFC 6710)
    func write(mail transaction: Transaction, to output: inout [UInt8]) {
        output.append("MAIL FROM:<\(transaction.sender)>")
        let extensions = offer.extensions
        if transaction.isInternational { output.append(" SMTPUTF8" as StaticString) }
        if transaction.request.requiresTLS, extensions.contains(.requireTLS) {
            output.append(" REQUIRETLS" as StaticString)
        }
        if let deadline = transaction.request.deadline, extensions.contains(.deliverBy) {
            let seconds = max(-999_999_999, min(999_999_999, (transaction.timeLeft ?? .seconds(1)).seconds))
            output.append(" BY=\(seconds);\(deadline.mode == .giveUp ? "R" : "N")")
            if deadline.trace == .relays { output.append("T" as StaticString) }
        }
        // RFC 6710 section 5: that of a message which asked for none is told, too.
        if extensions.contains(.priority) {
            output.append(" MT-PRIORITY=\((transaction.request.priority ?? .normal).value)")
        }
        if extensions.contains(.size) { output.append(" SIZE=\(transaction.size.value)") }
        if extensions.contains(.eightBitMIME), let body = transaction.request.body {
            switch body {
            case .sevenBit: output.append(" BODY=7BIT" as StaticString)
            case .eightBitMIME: output.append(" BODY=8BITMIME" as StaticString)
            // What is not so offered was refused before.
            case .binaryMIME: output.append(" BODY=BINARYMIME" as StaticString)
            }
        }
        if extensions.contains(.deliveryStatus) {
            switch transaction.request.returned {
            case .full: output.append(" RET=FULL" as StaticString)
            case .headers: output.append(" RET=HDRS" as StaticString)
            case nil: break
            }
            if let identifier = transaction.request.envelopeIdentifier, !identifier.isEmpty {
                output.append(" ENVID=" as StaticString)
                Self.write(xtext: identifier.utf8, to: &output)
            }
        }
        output.append("\r\n" as StaticString)
    }

    // Rcpt-parameters: NOTIFY and ORCPT (RFC 3461 section 4.1, 4.2)
    func write(recipient: Recipient, to output: inout [UInt8]) {
        output.append("RCPT TO:<\(recipient.path)>")
        if offer.extensions.contains(.deliveryStatus) {
            write(notify: recipient.report.notify, to: &output)
            if let original = recipient.report.originalRecipient { write(originalRecipient: original, to: &output) }
        }
        output.append("\r\n" as StaticString)
    }

    private func write(notify: ReportRequest.Notify, to output: inout [UInt8]) {
        guard !notify.isEmpty else { return }
        output.append(" NOTIFY=" as StaticString)
        // RFC 3461 section 4.1: NEVER stands alone.
        guard !notify.contains(.never) else { return output.append("NEVER" as StaticString) }
        var words: [String] = []
        if notify.contains(.success) { words.append("SUCCESS") }
        if notify.contains(.failure) { words.append("FAILURE") }
        if notify.contains(.delay) { words.append("DELAY") }
        output.append(words.joined(separator: ","))
    }

    // original-recipient-address = addr-type ";" xtext
    private func write(originalRecipient text: String, to output: inout [UInt8]) {
        let bytes = Array(text.utf8)
        guard let separator = bytes.firstIndex(of: UInt8(ascii: ";")), separator > 0,
            bytes[..<separator].allSatisfy({ $0.isAlphanumeric || $0 == UInt8(ascii: "-") })
        else { return }
        output.append(" ORCPT=" as StaticString)
        output.append(contentsOf: bytes[...separator])
        Self.write(xtext: bytes[(separator + 1)...], to: &output)
    }

    // xtext = *( xchar / hexchar ); hexchar = "+" 2(upper-case hexadecimal digit)        (RFC 3461 section 4)
    private static func write(xtext bytes: some Sequence<UInt8>, to output: inout [UInt8]) {
        let digits = "0123456789ABCDEF".utf8.map { $0 }
        for byte in bytes {
            if byte.isVisible, byte != UInt8(ascii: "+"), byte != UInt8(ascii: "=") {
                output.append(byte)
            } else {
                output.append(UInt8(ascii: "+"))
                output.append(digits[Int(byte >> 4)])
                output.append(digits[Int(byte & 15)])
            }
        }
    }
}
