// SPDX-License-Identifier: ISC

import Bytes
public import Mail

/// A name of the DNS: labels of any bytes, compared without regard to case (RFC 1035 section 3.1).
public struct Name: Hashable, Sendable, CustomStringConvertible {
    // RFC 1035 section 2.3.4
    static let longest = 255
    static let longestLabel = 63
    // RFC 1035 section 4.1.4 has no limit; a name has at most 127 labels, each behind one pointer.
    static let mostJumps = 128

    /// Uncompressed wire form in lower case, the root's zero included.
    private let wire: [UInt8]

    public static let root = Name(wire: [0])

    private init(wire: [UInt8]) { self.wire = wire }

    /// nil for a name that is too long for the DNS by a byte or two.
    public init?(_ domain: Domain) { self.init(text: domain.canonical) }

    /// The name that `text` spells in labels between dots, with or without a dot at its end; nil when it is none.
    public init?(text: String) {
        var labels = text.utf8.split(separator: .dot, omittingEmptySubsequences: false)
        if labels.last?.isEmpty ?? false { labels.removeLast() }
        var wire: [UInt8] = []
        for label in labels {
            guard !label.isEmpty, label.count <= Self.longestLabel, wire.count + label.count + 2 <= Self.longest else {
                return nil
            }
            wire.append(UInt8(label.count))
            for byte in label { wire.append(byte.lowercased) }
        }
        wire.append(0)
        self.wire = wire
    }

    public var isRoot: Bool { wire.count == 1 }

    /// The name as a host's name in mail; nil for the root and for labels that no host name has.
    public var domain: Domain? {
        guard !isRoot else { return nil }
        // What the DNS has are A-labels; other bytes are no name of a host.
        return Domain(parsing: dotted.span).flatMap { $0.isASCII ? $0 : nil }
    }

    /// For display: bytes that are not printable as `\ddd`, no dot at the end but for the root.
    public var description: String {
        isRoot ? "." : VisibleText(dotted, limit: Self.longest).description
    }

    private var dotted: [UInt8] {
        var text: [UInt8] = []
        var index = 0
        while index < wire.count, wire[index] > 0 {
            if index > 0 { text.append(.dot) }
            let end = index + 1 + Int(wire[index])
            for byte in wire[(index + 1)..<end] {
                // A dot inside a label separates nothing; such a name is no host's, and a NUL makes it none.
                text.append(byte == .dot ? 0 : byte)
            }
            index = end
        }
        return text
    }

    /// Reads the name at `offset`, following pointers, and moves `offset` behind what stands there.
    ///
    /// Each pointer must lead to before the place where the labels that it ends began, so that a walk always ends.
    init(from packet: Span<UInt8>, at offset: inout Int) throws(PacketFault) {
        var wire: [UInt8] = []
        var index = offset
        var segmentStart = offset
        var jumps = 0
        while true {
            guard index < packet.count else { throw .truncated }
            let length = packet[index]
            switch length >> 6 {
            case 0:
                guard length > 0 else {
                    wire.append(0)
                    if jumps == 0 { offset = index + 1 }
                    self.wire = wire
                    return
                }
                let end = index + 1 + Int(length)
                guard end <= packet.count else { throw .truncated }
                guard wire.count + Int(length) + 2 <= Self.longest else { throw .nameTooLong }
                wire.append(length)
                for position in (index + 1)..<end { wire.append(packet[position].lowercased) }
                index = end
            case 3:
                guard index + 1 < packet.count else { throw .truncated }
                let target = Int(length & 0x3F) << 8 | Int(packet[index + 1])
                if jumps == 0 { offset = index + 2 }
                jumps += 1
                guard target < segmentStart, jumps <= Self.mostJumps else { throw .badPointer }
                index = target
                segmentStart = target
            default:
                throw .badLabel
            }
        }
    }
}
