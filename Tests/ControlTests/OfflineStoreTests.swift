// SPDX-License-Identifier: ISC

import Testing

@testable import Control

@Suite struct OfflineStoreTests {
    @Test(arguments: [[], ["-t"], ["-f", "a@b", "", "c d@e"], ["-F", "Jürgen"]])
    func `arguments and message come back as they went`(arguments: [String]) throws {
        let line = try #require(OfflineStore.firstLine(arguments))
        let message = Array("Subject: x\n\n|body\n".utf8)
        let parts = try #require(OfflineStore.parts(of: line + message))
        #expect(parts.arguments == arguments)
        #expect(parts.message == message)
    }

    @Test(arguments: ["a|b", "a\nb", "a\0b", String(repeating: "x", count: 70_000)])
    func `an argument that would not come back is refused`(argument: String) {
        #expect(OfflineStore.firstLine([argument]) == nil)
    }

    @Test(arguments: ["", "-t\nTo: a@b\n", "martlet-offline 1", "martlet-offline 2|-t\n", "x martlet-offline 1|-t\n"])
    func `what sendmail did not write is none`(text: String) {
        #expect(OfflineStore.parts(of: Array(text.utf8)) == nil)
    }
}
