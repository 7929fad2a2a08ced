// SPDX-License-Identifier: ISC

import Bytes
public import Mail

/// The servers to ask, from the text of /etc/resolv.conf (resolv.conf(5)); search lists and options are not for mail.
public struct ResolverFile: Hashable, Sendable {
    public struct Server: Hashable, Sendable {
        public var address: IPAddress
        public var port: UInt16

        public init(address: IPAddress, port: UInt16 = 53) {
            self.address = address
            self.port = port
        }
    }

    // MAXNS of resolv.conf(5) is 3; a few more do no harm.
    public static let mostServers = 8
    public static let mostLines = 1000

    /// In the order of the file; empty when it names none, which means the host itself.
    public private(set) var servers: [Server] = []

    // line = "nameserver" 1*blank server
    public init(parsing text: Span<UInt8>) {
        var rest = text
        var lines = 0
        while !rest.isEmpty, lines < Self.mostLines, servers.count < Self.mostServers {
            var line = rest.take(while: { $0 != .lineFeed })
            _ = rest.take(byte: .lineFeed)
            lines += 1
            guard let first = line.first, !first.isBlank, line.takeWord() == "nameserver" else { continue }
            guard let word = line.takeWord(), let server = Self.server(word), !servers.contains(server) else {
                continue
            }
            servers.append(server)
        }
    }

    // server = address / address "@" port / "[" address "]" [ ":" port ]
    private static func server(_ word: String) -> Server? {
        if let address = IPAddress(word) { return Server(address: address) }
        let bytes = Array(word.utf8)
        var rest = bytes.span
        let isBracketed = rest.take(byte: UInt8(ascii: "["))
        let end = isBracketed ? UInt8(ascii: "]") : UInt8(ascii: "@")
        guard let address = IPAddress(String(displaying: rest.take(while: { $0 != end }))), rest.take(byte: end) else {
            return nil
        }
        if isBracketed {
            if rest.isEmpty { return Server(address: address) }
            guard rest.take(byte: .colon) else { return nil }
        }
        guard let number = rest.decimal, let port = UInt16(exactly: number), port > 0 else { return nil }
        return Server(address: address, port: port)
    }
}
