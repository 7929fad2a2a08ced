// SPDX-License-Identifier: ISC

import Bytes
import SMTP

/// Headers of the PROXY protocol.
enum Proxies {
    static func look(_ input: [UInt8]) {
        switch ProxyHeader.parse(input.span) {
        case .incomplete, .invalid:
            break
        case .header(let header, let consumed):
            precondition((1...input.count).contains(consumed), "a header of no length")
            let alone = Array(input[..<consumed])
            precondition(ProxyHeader.parse(alone.span) == .header(header, consumed: consumed), "more was looked at")
            for count in 0..<min(consumed, 300) {
                precondition(
                    ProxyHeader.parse(alone.span.extracting(first: count)) == .incomplete, "the beginning of a header")
            }
        }
    }
}
