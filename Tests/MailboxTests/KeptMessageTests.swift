// SPDX-License-Identifier: ISC

import Testing

@testable import Mailbox

@Suite struct KeptMessageTests {
    @Test(arguments: [0, 1, 1000, KeptMessage.mostInMemory - 1, KeptMessage.mostInMemory, 1 << 20])
    func `what was kept is given back, however it is cut`(length: Int) throws {
        let content = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }
        let message = KeptMessage(Array(content.prefix(10)))
        for start in stride(from: 10, to: length, by: 50_000) {
            message.append(Array(content[start..<min(start + 50_000, length)]))
        }
        #expect(message.count == length)
        #expect(message.failure == nil)
        var read: [UInt8] = []
        while true {
            let slice = try message.slice(at: read.count, atMost: 32_000)
            if slice.isEmpty { break }
            read += slice
        }
        #expect(read == content)
    }
}
