// SPDX-License-Identifier: ISC

import Bytes
import Testing

struct SHA256Tests {
    private func text(_ bytes: [UInt8]) -> String {
        bytes.map { Hexadecimal.text(UInt64($0), width: 2) }.joined()
    }

    // RFC 6234 section 8.5, and what others say to a million times the same.
    @Test func `digests are those that everybody has`() {
        #expect(text(SHA256.digest([])) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(
            text(SHA256.digest(Array("abc".utf8)))
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        var hash = SHA256()
        for _ in 0..<10_000 { hash.update([UInt8](repeating: UInt8(ascii: "a"), count: 100)) }
        #expect(text(hash.finish()) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }

    // RFC 4231 section 4.2 and 4.7
    @Test func `keyed digests are, too`() {
        #expect(
            text(SHA256.authenticate(Array("Hi There".utf8), key: [UInt8](repeating: 0x0B, count: 20)))
                == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
        let message = Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8)
        #expect(
            text(SHA256.authenticate(message, key: [UInt8](repeating: 0xAA, count: 131)))
                == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
    }
}
