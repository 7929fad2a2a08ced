// SPDX-License-Identifier: ISC

import Bytes

/// An address or a network such as `192.0.2.0/24`, `2001:db8::/32`, `[2001:db8::1]` or `IPv6:2001:db8::1`.
public struct NetworkPattern: Hashable, Sendable {
    /// With every bit behind the prefix cleared.
    public let address: IPAddress
    public let prefixLength: Int

    public init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = parts.first.flatMap({ IPAddress(hostText: String($0)) }) else { return nil }
        let longest = address.bytes.count * 8
        var prefixLength = longest
        if parts.count == 2 {
            guard (1...3).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy(\.isDigit),
                let value = Int(parts[1]), value <= longest
            else { return nil }
            prefixLength = value
        }
        self.init(address, prefixLength: prefixLength)
    }

    public init(_ address: IPAddress, prefixLength: Int) {
        var bytes = address.bytes
        for index in bytes.indices {
            let kept = min(8, max(0, prefixLength - index * 8))
            bytes[index] &= UInt8(truncatingIfNeeded: 0xFF00 >> kept)
        }
        self.address = IPAddress(bytes: bytes) ?? address
        self.prefixLength = prefixLength
    }

    /// As the configuration writes it.
    public var text: String {
        prefixLength == address.bytes.count * 8 ? "\(address)" : "\(address)/\(prefixLength)"
    }

    /// Families never match each other.
    public func matches(_ other: IPAddress) -> Bool {
        other.family == address.family && NetworkPattern(other, prefixLength: prefixLength) == self
    }

    /// Many networks at once: one look into a set for each length of prefix that occurs.
    public struct Index: Sendable {
        private var networks: Set<NetworkPattern> = []
        private var lengths: [IPAddress.Family: Set<Int>] = [:]

        public init() {}

        public mutating func insert(_ network: NetworkPattern) {
            networks.insert(network)
            lengths[network.address.family, default: []].insert(network.prefixLength)
        }

        public func matches(_ address: IPAddress) -> Bool {
            guard let lengths = lengths[address.family] else { return false }
            return lengths.contains { networks.contains(NetworkPattern(address, prefixLength: $0)) }
        }
    }
}

extension IPAddress {
    /// An address with or without brackets and the tag `IPv6:`.
    public init?(hostText text: String) {
        var text = text[...]
        if text.hasPrefix("[") {
            guard text.hasSuffix("]") else { return nil }
            text = text.dropFirst().dropLast()
        }
        let isTagged = text.prefix(5).lowercased() == "ipv6:"
        if isTagged { text = text.dropFirst(5) }
        guard let address = IPAddress(String(text)), !isTagged || address.family == .v6 else { return nil }
        self = address
    }
}
