// SPDX-License-Identifier: ISC

import Configuration
import Testing

/// Strings are seen as elements of a list, the shortest way through the parser.
private func elements(_ text: String) -> [String]? {
    let configuration = parse("table t { \(text)\n}", .partial).configuration
    guard case .list(let elements)? = configuration?.tables.first?.kind else { return nil }
    return elements
}

struct LexerTests {
    static let strings: [(String, [String])] = [
        ("a", ["a"]),
        ("a b\tc", ["a", "b", "c"]),
        ("\"a b\"", ["a b"]),
        ("'a b'", ["a b"]),
        (#""a\"b" 'a\'b' "a'b" 'a"b'"#, [#"a"b"#, "a'b", "a'b", #"a"b"#]),
        (#""a\ b" "a\nb" "a\\b""#, ["a b", #"a\nb"#, #"a\\b"#]),
        ("\"a\\\tb\"", ["a\tb"]),
        ("\"a\nb\"", ["ab"]),
        ("\"a\\\nb\"", ["ab"]),
        ("a\\\nb", ["ab"]),
        (#"a\ b"#, ["a", "b"]),
        (#"a\b \c"#, ["ab", "c"]),
        (#"a\\b a\\"#, [#"a\b"#, #"a\"#]),
        (#"\"a b""#, ["a b"]),
        ("a#b\n c # d \\\n e\n f", ["a", "c", "f"]),
        ("::1 fe80::1%eth0 user+tag@x.org static/x _a", ["::1", "fe80::1%eth0", "user+tag@x.org", "static/x", "_a"]),
        ("4d 35M 192.0.2.1 10.0.0.0 1a2", ["4d", "35M", "192.0.2.1", "10.0.0.0", "1a2"]),
        ("a|b;c$d~e*f?g[h]i^j`k\"l'm&n-o+p.q/r\\\\s", ["a|b;c$d~e*f?g[h]i^j`k\"l'm&n-o+p.q/r\\s"]),
        ("Action", ["Action"]),
        ("\"action\"", ["action"]),
        ("\"\u{e9}\"", ["\u{e9}"]),
        ("\"\"", [""]),
    ]

    @Test(arguments: strings)
    func `strings and words`(text: String, expected: [String]) {
        #expect(elements(text) == expected)
    }

    static let wrong: [(String, String)] = [
        ("25", "1:4: syntax error: expected an element, found the number 25 (a string must be quoted here)"),
        ("-1", "1:4: syntax error: expected an element, found the number -1 (a string must be quoted here)"),
        ("10/8", "1:4: syntax error: expected an element, found the number 10 (a string must be quoted here)"),
        ("-", "1:4: syntax error: expected an element, found \"-\""),
        ("-a", "1:4: syntax error: expected an element, found \"-\""),
        ("/a", "1:4: syntax error: expected an element, found \"/\""),
        ("@a", "1:4: syntax error: expected an element, found \"@\""),
        ("*.a", "1:4: syntax error: expected an element, found \"*\""),
        ("~/a", "1:4: syntax error: expected an element, found \"~\""),
        ("[::1]", "1:4: syntax error: expected an element, found \"[\""),
        ("|a", "1:4: syntax error: expected an element, found \"|\""),
        (".a", "1:4: syntax error: expected an element, found \".\""),
        ("(", "1:4: syntax error: expected an element, found \"(\""),
        ("\u{e9}", "1:4: syntax error: expected an element, found \"\\303\""),
        ("\r", "1:4: syntax error: expected an element, found \"\\015\""),
        ("local", "1:4: syntax error: expected an element, found the keyword local (a string must be quoted here)"),
        ("$x", "1:4: macro 'x' not defined"),
        ("$", "1:4: macro '' not defined"),
        ("\"a\0\"", "1:4: syntax error: a string may not contain NUL"),
        ("\"a", "1:4: reached end of file while parsing quoted string"),
        ("'a\\", "1:4: reached end of file while parsing quoted string"),
        ("99999999999999999999", "1:4: \"99999999999999999999\" invalid number: too large"),
        ("-99999999999999999999", "1:4: \"-99999999999999999999\" invalid number: too small"),
        ("", "1:4: syntax error: expected an element, found end of file"),
    ]

    @Test(arguments: wrong)
    func `what starts no string`(text: String, expected: String) {
        // The table's head stands in front on the same line, in a macro, so that columns are those of the element.
        let head = MacroDefinition(name: "h", value: "table t {")
        let parsed = ServerConfiguration.parse(
            Array("$h \(text)".utf8), named: "t", options: ParseOptions(.partial, definitions: [head], unsupported: []))
        #expect(parsed.errors.first.map { "\($0.location.line):\($0.location.column): \($0.message)" } == expected)
    }

    @Test(arguments: [8094, 8095])
    func `a string has at most 8094 bytes`(count: Int) {
        let text = String(repeating: "a", count: count)
        let tooLong = count > 8094
        #expect(elements("\"\(text)\"") == (tooLong ? nil : [text]))
        #expect(elements(text) == (tooLong ? nil : [text]))
        let expected = tooLong ? ["1:11: string too long"] : []
        #expect(errors(of: "table t { \(text) }") == expected)
        #expect(errors(of: "table t { \"\(text)\" }") == expected)
    }

    @Test func `a string that is not UTF-8 is refused`() {
        let text = Array("admd \"".utf8) + [0xE9] + Array("\"\n".utf8)
        let parsed = ServerConfiguration.parse(text, named: "t", options: ParseOptions(.partial, unsupported: []))
        #expect(parsed.errors.map(\.message) == ["syntax error: the string is not UTF-8"])
    }

    @Test func `the last line needs no end`() {
        #expect(errors(of: "queue ttl 5d") == [])
        #expect(errors(of: "queue ttl 5d \\") == [])
        #expect(errors(of: "queue ttl 5d # x \\") == [])
        #expect(errors(of: "mta max-deferred 5") == [])
    }

    @Test func `an error quotes its line and its column`() {
        let parsed = parse("\n\tqueue \\\n  ttl 4x # here\n", .partial)
        #expect(parsed.errors.map(\.description) == ["t:3:7: invalid ttl delay: 4x"])
        #expect(parsed.errors.map(\.sourceLine) == ["  ttl 4x # here"])
    }
}
