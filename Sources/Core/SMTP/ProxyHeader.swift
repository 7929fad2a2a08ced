// SPDX-License-Identifier: ISC

import Bytes
public import Mail

/// What a proxy says of the connection that it passes on: the PROXY protocol of HAProxy, version 1 (a line) or 2.
///
/// It comes before all else and once. Nothing of it is kept but an address and a port, so it can put no text anywhere.
public struct ProxyHeader: Hashable, Sendable {
    public enum Origin: Hashable, Sendable {
        /// The proxy speaks for itself, as to see whether we live.
        case proxy
        case client(IPAddress, port: UInt16)
    }

    public enum Parsing: Hashable, Sendable {
        case incomplete
        /// The header takes the first `consumed` bytes.
        case header(ProxyHeader, consumed: Int)
        case invalid
    }

    // Version 1: the longest line, its end included.
    static let longestLine = 107
    // Version 2: the reference takes so many bytes of addresses and more; others need fewer.
    static let longestBlock = 65_519

    private static let signature: [UInt8] = [
        0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A,
    ]

    public let origin: Origin

    /// Looks for a header at the front of what a proxy has sent.
    public static func parse(_ input: Span<UInt8>) -> Parsing {
        guard let first = input.first else { return .incomplete }
        return first == .carriageReturn ? parseBinary(input) : parseLine(input)
    }

    // "PROXY" SP ( "TCP4" / "TCP6" ) SP source SP destination SP source-port SP destination-port CRLF
    // "PROXY" SP "UNKNOWN" ... CRLF would be a client of unknown address: rules for addresses would mean nothing, and the
    // connection's own is the proxy's. The specification knows servers that refuse it, and tells proxies not to check
    // with it whether we live.
    private static func parseLine(_ input: Span<UInt8>) -> Parsing {
        let word: StaticString = "PROXY "
        let window = input.extracting(first: longestLine)
        var prefix = window.extracting(first: word.utf8CodeUnitCount)
        if prefix.count < word.utf8CodeUnitCount {
            // What can no longer become the word need not be waited for.
            let isBeginning = word.withUTF8Buffer { wanted in
                for index in prefix.indices where prefix[index] != wanted[index] { return false }
                return true
            }
            return isBeginning ? .incomplete : .invalid
        }
        for index in prefix.indices where word.withUTF8Buffer({ $0[index] }) != prefix[index] { return .invalid }
        prefix = window
        guard let end = window.firstIndex(of: .lineFeed) else {
            return window.count == longestLine ? .invalid : .incomplete
        }
        guard window[end - 1] == .carriageReturn else { return .invalid }
        let line = window.extracting(word.utf8CodeUnitCount..<(end - 1))
        for index in line.indices where !line[index].isPrintable { return .invalid }
        let words = String(displaying: line).split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        guard words.count == 5, let source = IPAddress(words[1]), let destination = IPAddress(words[2]),
            let port = UInt16(words[3]), UInt16(words[4]) != nil, source.family == destination.family
        else { return .invalid }
        guard words[0] == (source.family == .v4 ? "TCP4" : "TCP6") else { return .invalid }
        return .header(ProxyHeader(origin: .client(source, port: port)), consumed: end + 1)
    }

    // signature:12 version-and-command:1 family:1 length:2 addresses TLVs
    private static func parseBinary(_ input: Span<UInt8>) -> Parsing {
        for index in 0..<min(input.count, signature.count) where input[index] != signature[index] { return .invalid }
        guard input.count >= 16 else { return .incomplete }
        let length = Int(input[14]) << 8 | Int(input[15])
        guard input[12] >> 4 == 2, length <= longestBlock else { return .invalid }
        let needed: Int
        switch input[13] {
        case 0x00: needed = 0
        case 0x11: needed = 12
        case 0x21: needed = 36
        case 0x31: needed = 216
        default: return .invalid
        }
        guard length >= needed else { return .invalid }
        guard input.count >= 16 + length else { return .incomplete }
        switch input[12] & 0x0F {
        case 0:
            return .header(ProxyHeader(origin: .proxy), consumed: 16 + length)
        case 1:
            let size: Int
            switch input[13] {
            case 0x11: size = 4
            case 0x21: size = 16
            // From where a client came must be known, or rules for addresses would mean nothing.
            default: return .invalid
            }
            let port = UInt16(input[16 + 2 * size]) << 8 | UInt16(input[17 + 2 * size])
            guard let address = IPAddress(bytes: input.extracting(16..<(16 + size)).array) else { return .invalid }
            return .header(ProxyHeader(origin: .client(address, port: port)), consumed: 16 + length)
        default:
            return .invalid
        }
    }
}
