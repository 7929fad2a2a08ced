// SPDX-License-Identifier: ISC

import Glibc
import IPC
import Mail
import Posix
import Testing

@testable import Delivery

@Suite @MainActor struct ContentTests {
    private func file(_ bytes: [UInt8]) throws -> FileDescriptor {
        var template = Array("/tmp/martlet-test.XXXXXX".utf8CString)
        let descriptor = FileDescriptor(owning: try SystemError.check("mkstemp", mkstemp(&template)))
        unlink(&template)
        try descriptor.writeAll(bytes)
        return descriptor
    }

    private func read(_ content: Content) throws(SystemError) -> [UInt8] {
        var reader = Content.Reader(content)
        var all: [UInt8] = []
        while let slice = try reader.next() {
            #expect(!slice.isEmpty && slice.count <= Content.sliceSize)
            all += slice
        }
        return all
    }

    @Test func `pieces come in order, in slices`() throws {
        let body = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let pieces: [MessagePiece] = [
            .bytes([1, 2]), .range(offset: 10, length: 150_000), .bytes([]), .range(offset: 0, length: 0),
            .range(offset: 199_999, length: 1), .bytes(Array(repeating: 7, count: 70_000)),
        ]
        let content = Content(.file(pieces), file: try file(body))
        let expected = [1, 2] + body[10..<150_010] + [body[199_999]] + Array(repeating: 7, count: 70_000)
        #expect(content.length == UInt64(expected.count))
        #expect(try read(content) == expected)
        #expect(try read(content) == expected)
    }

    @Test func `the header of a message in a file is known although our own field stands before it`() throws {
        let body = Array("Delivered-To: bob@example.org\r\n\r\n".utf8) + [UInt8](repeating: 0x61, count: 400_000)
        let known = Mailbox("bob@example.org")
        let bob = try #require(known)
        let own = MessagePiece.bytes(Array("Received: from a\r\n".utf8))
        let length = UInt64(body.count)
        let content = Content(.file([own, .range(offset: 0, length: length)]), file: try file(body))
        #expect(content.beginning.count == Content.sliceSize)
        #expect(LoopCheck.hasVisited(bob, content.beginning))
        // A small one is a single piece, and a file that ends early has at least its beginning.
        #expect(LoopCheck.hasVisited(bob, Content(.inline(body), file: nil).beginning))
        let short = Content(.file([own, .range(offset: 0, length: length)]), file: try file(Array(body[..<33])))
        #expect(LoopCheck.hasVisited(bob, short.beginning))
        #expect(Content(.inline([]), file: nil).beginning.isEmpty)
    }

    @Test func `what a file does not hold is an error`() throws {
        let short = Content(.file([.range(offset: 0, length: 11)]), file: try file(Array(repeating: 1, count: 10)))
        #expect(throws: SystemError.self) { try read(short) }
        let wild = Content(.file([.range(offset: .max, length: .max)]), file: try file([1]))
        #expect(throws: SystemError.self) { try read(wild) }
        let absent = Content(.file([.range(offset: 0, length: 1)]), file: nil)
        #expect(throws: SystemError.self) { try read(absent) }
    }

    @Test func `content in memory may be of any length`() throws {
        for count in [0, 1, 65_536, 65_537, 200_000] {
            let bytes = [UInt8](repeating: 5, count: count)
            #expect(try read(Content(.inline(bytes), file: nil)) == bytes)
        }
    }
}
