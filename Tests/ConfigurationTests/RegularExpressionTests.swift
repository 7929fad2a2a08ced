// SPDX-License-Identifier: ISC

import Chance
import Configuration
import Testing

@Suite struct RegularExpressionTests {
    @Test(arguments: [
        ("", "anything", true), ("b", "abc", true), ("^b", "abc", false), ("^a.c$", "abc", true),
        ("^a.c$", "abcd", false),
        ("ab*c", "ac", true), ("^ab+c$", "ac", false), ("^ab+c$", "abbbc", true), ("^ab?c$", "abbc", false),
        ("^(ab|cd)+$", "abcdab", true), ("^(ab|cd)+$", "abc", false), ("^a{2,3}$", "a", false),
        ("^a{2,3}$", "aaa", true),
        ("^a{2,3}$", "aaaa", false), ("^a{2,}$", "aaaaa", true), ("^a{2}$", "aa", true), ("^a{0}$", "", true),
        ("[0-9]+-[0-9]+\\.dyn", "host-12-34.dyn.example.org", true), ("^[^.]+$", "a.b", false),
        ("[[:digit:]]", "x5", true),
        ("^[[:alpha:]_]+$", "ab_c", true), ("[]a]", "]", true), ("[^]a]", "]", false), ("[a-]", "-", true),
        ("(?i)EXAMPLE", "my.example.org", true), ("EXAMPLE", "example", false), ("(?i)[A-C]", "b", true),
        ("a|b|c", "xxc", true), ("^(a|b|cc)$", "c", false), ("^(a|b|cc)$", "cc", true), ("a|", "zzz", true),
        ("\\.", "a", false), ("\\w\\s\\w", "a b", true), ("\\S", " ", false), ("^(a*)*$", "aaa", true),
        ("()*x", "x", true),
        ("a)b", "a)b", true), ("x{1}y{1,2}", "xyy", true), ("^((a{2}){2}){2}$", "aaaaaaaa", true),
    ])
    func `matches as POSIX says`(pattern: String, text: String, expected: Bool) throws {
        #expect(try #require(RegularExpression(pattern)).matches(text) == expected)
    }

    @Test(arguments: [
        "*a", "+", "?x", "(", "(a", "[", "[a", "[b-a]", "a{", "a{2", "a{3,2}", "a{256}", "[[:nothing:]]", "\\", "\\1",
        "(a)\\1",
        "(?=a)", "((((a{255}){255}){255}){255}){255}", "[[.a.]]",
    ])
    func `what is no expression is refused`(pattern: String) {
        #expect(RegularExpression(pattern) == nil)
    }

    @Test func `deep groups and long texts are bounded`() throws {
        #expect(RegularExpression(String(repeating: "(", count: 1000)) == nil)
        #expect(RegularExpression(String(repeating: "a", count: 5000)) == nil)
        let slow = try #require(RegularExpression("(a|aa)+$"))
        #expect(!slow.matches(String(repeating: "a", count: 2000) + "b"))
    }

    @Test func `no pattern traps`() {
        var random = TestRandom(seed: 2)
        let alphabet = Array("ab()[]{}*+?|^$.\\-:,0129[:alpha:]".utf8) + [0, 0xFF]
        var valid = 0
        for _ in 0..<5000 {
            let pattern = String(decoding: random.bytes(from: alphabet, atMost: 14), as: UTF8.self)
            guard let expression = RegularExpression(pattern) else { continue }
            valid += 1
            _ = expression.matches(String(decoding: random.bytes(from: alphabet, atMost: 20), as: UTF8.self))
        }
        #expect(valid > 100)
    }
}
