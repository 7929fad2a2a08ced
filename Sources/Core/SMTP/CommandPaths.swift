// SPDX-License-Identifier: ISC

import Bytes
import Mail

extension Span where Element == UInt8 {
    // Reverse-path = Path / "<>"
    /// Takes a sender from the front; a local part without a domain gets `defaultDomain`.
    mutating func takeReversePath(defaultDomain: Domain) -> ReversePath? {
        guard take(byte: UInt8(ascii: "<")) else { return nil }
        if take(byte: UInt8(ascii: ">")) { return .null }
        guard let mailbox = takeRestOfPath(defaultDomain: defaultDomain) else { return nil }
        return .mailbox(mailbox)
    }

    // Forward-path = Path / "<Postmaster>"
    /// Takes a recipient from the front; a local part without a domain gets `defaultDomain`.
    mutating func takeForwardPath(defaultDomain: Domain) -> ForwardPath? {
        guard take(byte: UInt8(ascii: "<")) else { return nil }
        if take(keyword: "Postmaster>") { return .postmaster }
        return takeRestOfPath(defaultDomain: defaultDomain).map(ForwardPath.mailbox)
    }

    // Path = "<" [ A-d-l ":" ] Mailbox ">"
    private mutating func takeRestOfPath(defaultDomain: Domain) -> Mailbox? {
        guard takeSourceRoute(), let mailbox = takeMailbox(defaultDomain: defaultDomain) else { return nil }
        return take(byte: UInt8(ascii: ">")) ? mailbox : nil
    }

    // A-d-l = At-domain *( "," At-domain ); At-domain = "@" Domain
    // RFC 5321 appendix C: a source route is understood and ignored. False when it is broken; true when there is none.
    private mutating func takeSourceRoute() -> Bool {
        guard first == UInt8(ascii: "@") else { return true }
        while take(byte: UInt8(ascii: "@")) {
            let name = take(while: { $0 != UInt8(ascii: ",") && $0 != .colon && $0 != UInt8(ascii: ">") })
            guard Domain(parsing: name) != nil else { return false }
            if take(byte: .colon) { return true }
            guard take(byte: UInt8(ascii: ",")) else { return false }
        }
        return false
    }

    // esmtp-param = esmtp-keyword [ "=" esmtp-value ]
    /// Takes the blanks at the front and the parameter behind them; nil when nothing is left.
    @_lifetime(copy self)
    @_lifetime(self: copy self)
    mutating func takeParameter() -> Span<UInt8>? {
        _ = take(while: { $0 == .space })
        return isEmpty ? nil : take(while: { $0 != .space })
    }

    // xtext = *( xchar / hexchar ); hexchar = "+" 2(%x30-39 / %x41-46)                  (RFC 3461 section 4)
    /// The printable text that the whole span stands for; nil when it is not xtext or stands for anything else.
    var decodedExtendedText: String? {
        var text: [UInt8] = []
        var index = 0
        while index < count {
            var byte = self[index]
            // A bare `=` is no xchar, and the digits are capitals, yet senders have others in addresses and nobody can mistake them.
            guard byte.isVisible else { return nil }
            if byte == UInt8(ascii: "+") {
                guard index + 2 < count, let high = self[index + 1].hexadecimalValue,
                    let low = self[index + 2].hexadecimalValue
                else { return nil }
                byte = high << 4 | low
                index += 2
            }
            guard byte.isPrintable else { return nil }
            text.append(byte)
            index += 1
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The same to the letter of the RFC: without `=`, and with capitals as digits.
    var strictlyDecodedExtendedText: String? {
        for index in indices {
            if self[index] == UInt8(ascii: "=") { return nil }
            guard self[index] == UInt8(ascii: "+") else { continue }
            for digit in (index + 1)..<Swift.min(index + 3, count) where (0x61...0x66).contains(self[digit]) {
                return nil
            }
        }
        return decodedExtendedText
    }
}
