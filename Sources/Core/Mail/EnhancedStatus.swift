// SPDX-License-Identifier: ISC

import Bytes

/// The three numbers that say what kind of success or failure a reply means (RFC 3463).
public struct EnhancedStatus: Hashable, Sendable, CustomStringConvertible {
    public let statusClass: UInt8
    public let subject: UInt16
    public let detail: UInt16

    public init(_ statusClass: UInt8, _ subject: UInt16, _ detail: UInt16) {
        self.statusClass = statusClass
        self.subject = subject
        self.detail = detail
    }

    // status-code = class "." subject "." detail; class = "2" / "4" / "5"
    /// The status that `text` begins with, followed by a blank or the end; nil when there is none.
    public init?(prefixOf text: Span<UInt8>) {
        var rest = text
        let word = rest.take(while: { $0.isDigit || $0 == .dot })
        guard rest.isEmpty || rest[0].isBlank else { return nil }
        var numbers = word
        var values: [UInt64] = []
        while values.count < 3 {
            guard let value = numbers.take(while: \.isDigit).decimal, value <= 999 else { return nil }
            values.append(value)
            if values.count < 3, !numbers.take(byte: .dot) { return nil }
        }
        guard numbers.isEmpty, [2, 4, 5].contains(values[0]) else { return nil }
        self.init(UInt8(values[0]), UInt16(values[1]), UInt16(values[2]))
    }

    public var description: String { "\(statusClass).\(subject).\(detail)" }
}
