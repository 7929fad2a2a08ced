// SPDX-License-Identifier: ISC

import Testing

@testable import Account

@Suite struct AccountNameTests {
    @Test(arguments: ["a", "ann", "ann.b", "_martletq", "a-b", "0", String(repeating: "a", count: 32)])
    func `plain names are asked for`(name: String) { #expect(Users.isName(name)) }

    @Test(arguments: ["", "-a", "a b", "a/b", "a:b", "a\nb", "a@b", "ä", "a\0", String(repeating: "a", count: 33)])
    func `other names are nobody's`(name: String) { #expect(!Users.isName(name)) }
}
