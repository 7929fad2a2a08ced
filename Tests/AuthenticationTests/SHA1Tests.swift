// SPDX-License-Identifier: ISC

import Bytes
import Testing

@testable import Authentication

struct SHA1Tests {
    private func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { (($0 < 16 ? "0" : "") + String($0, radix: 16)) }.joined()
    }

    // RFC 3174 section 7.3, and the empty message.
    @Test(arguments: [
        ("abc", 1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
        ),
        ("a", 1_000_000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f"),
        (
            "0123456701234567012345670123456701234567012345670123456701234567", 10,
            "dea356a2cddd90c7a7ecedc5ebb563934f460452"
        ),
        ("", 1, "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
    ])
    func `the vectors of RFC 3174`(text: String, times: Int, digest: String) {
        var hash = SHA1()
        for _ in 0..<times { hash.update(text.utf8) }
        #expect(hexadecimal(hash.finish()) == digest)
    }

    @Test func `how a message is cut makes no difference`() {
        let message = (0..<300).map { UInt8(truncatingIfNeeded: $0) }
        let whole = SHA1.digest(message)
        for cut in 0...message.count {
            var hash = SHA1()
            hash.update(message[..<cut])
            hash.update(message[cut...])
            #expect(hash.finish() == whole)
        }
    }
}
