// SPDX-License-Identifier: ISC

import Mail
import Testing

@testable import SMTP

@Suite struct `PROXY header` {
    private static func address(_ text: String) -> IPAddress {
        guard let address = IPAddress(text) else { preconditionFailure("a constant address") }
        return address
    }

    private static let signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10]

    private static let good: [(bytes: [UInt8], origin: ProxyHeader.Origin)] = [
        (Array("PROXY TCP4 192.0.2.7 198.51.100.1 40100 25\r\n".utf8), .client(address("192.0.2.7"), port: 40100)),
        (Array("PROXY TCP6 2001:db8::7 2001:db8::1 40100 25\r\n".utf8), .client(address("2001:db8::7"), port: 40100)),
        (
            signature + [0x21, 0x11, 0, 12, 192, 0, 2, 7, 198, 51, 100, 1, 0x9C, 0xA4, 0, 25],
            .client(address("192.0.2.7"), port: 40100)
        ),
        // With a TLV behind the addresses, which is left.
        (
            signature + [0x21, 0x11, 0, 16, 192, 0, 2, 7, 198, 51, 100, 1, 0x9C, 0xA4, 0, 25, 4, 0, 1, 0],
            .client(address("192.0.2.7"), port: 40100)
        ),
        (
            signature + [0x21, 0x21, 0, 36] + address("2001:db8::7").bytes + address("2001:db8::1").bytes
                + [0x9C, 0xA4, 0, 25],
            .client(address("2001:db8::7"), port: 40100)
        ),
        (signature + [0x20, 0x00, 0, 0], .proxy),
        (signature + [0x20, 0x11, 0, 12] + [UInt8](repeating: 0, count: 12), .proxy),
    ]

    private static let bad: [[UInt8]] = [
        Array("EHLO client.example.org\r\n".utf8),
        // A client of unknown address must not become the proxy itself.
        Array("PROXY UNKNOWN\r\n".utf8),
        Array("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n".utf8),
        Array("PROXY TCP4 192.0.2.7 198.51.100.1 40100\r\n".utf8),
        Array("PROXY TCP4 192.0.2.7 198.51.100.1 40100 25 MAIL\r\n".utf8),
        Array("PROXY TCP4  192.0.2.7 198.51.100.1 40100 25\r\n".utf8),
        Array("PROXY TCP6 192.0.2.7 198.51.100.1 40100 25\r\n".utf8),
        Array("PROXY TCP4 192.0.2.7 2001:db8::1 40100 25\r\n".utf8),
        Array("PROXY TCP4 192.0.2.7 198.51.100.1 65536 25\r\n".utf8),
        Array("PROXY TCP4 host.example.org 198.51.100.1 1 25\r\n".utf8),
        Array("PROXY TCP4 192.0.2.7 198.51.100.1 1 25\n".utf8),
        Array("PROXY TCP4 192.0.2.7\rx 198.51.100.1 1 25\r\n".utf8),
        Array("PROXY ".utf8) + [UInt8](repeating: 0x41, count: 200),
        signature + [0x11, 0x11, 0, 12],
        signature + [0x22, 0x11, 0, 12] + [UInt8](repeating: 0, count: 12),
        signature + [0x21, 0x12, 0, 12],
        signature + [0x21, 0x11, 0, 11],
        signature + [0x21, 0x11, 0xFF, 0xFF],
        signature + [0x21, 0x00, 0, 0],
        signature + [0x21, 0x31, 0, 216] + [UInt8](repeating: 0, count: 216),
    ]

    @Test(arguments: good.indices) func `a header says who the client is, and what comes behind it is left`(index: Int)
    {
        let (bytes, origin) = Self.good[index]
        let input = bytes + Array("EHLO x\r\n".utf8)
        guard case .header(let header, let consumed) = ProxyHeader.parse(input.span) else {
            Issue.record("\(index): \(ProxyHeader.parse(input.span))")
            return
        }
        #expect(header.origin == origin)
        #expect(consumed == bytes.count)
    }

    @Test(arguments: good.indices) func `part of a header is never taken for a whole one`(index: Int) {
        let bytes = Self.good[index].bytes
        for count in 0..<bytes.count {
            let part = Array(bytes[..<count])
            #expect(ProxyHeader.parse(part.span) == .incomplete, "\(count) of \(bytes.count)")
        }
    }

    @Test(arguments: bad.indices) func `anything else is refused`(index: Int) {
        let input = Self.bad[index]
        #expect(ProxyHeader.parse(input.span) == .invalid)
    }
}
