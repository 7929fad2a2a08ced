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
        ("25", "1:3: syntax error: expected an element, found the number 25 (a string must be quoted here)"),
        ("-1", "1:3: syntax error: expected an element, found the number -1 (a string must be quoted here)"),
        ("10/8", "1:3: syntax error: expected an element, found the number 10 (a string must be quoted here)"),
        ("-", "1:3: syntax error: expected an element, found \"-\""),
        ("-a", "1:3: syntax error: expected an element, found \"-\""),
        ("/a", "1:3: syntax error: expected an element, found \"/\""),
        ("@a", "1:3: syntax error: expected an element, found \"@\""),
        ("*.a", "1:3: syntax error: expected an element, found \"*\""),
        ("~/a", "1:3: syntax error: expected an element, found \"~\""),
        ("[::1]", "1:3: syntax error: expected an element, found \"[\""),
        ("|a", "1:3: syntax error: expected an element, found \"|\""),
        (".a", "1:3: syntax error: expected an element, found \".\""),
        ("(", "1:3: syntax error: expected an element, found \"(\""),
        ("\u{e9}", "1:3: syntax error: expected an element, found \"\\303\""),
        ("\r", "1:3: syntax error: expected an element, found \"\\015\""),
        ("local", "1:3: syntax error: expected an element, found the keyword local (a string must be quoted here)"),
        ("$x", "1:3: macro 'x' not defined"),
        ("$", "1:3: macro '' not defined"),
        ("\"a\0\"", "1:3: syntax error: a string may not contain NUL"),
        ("\"a", "1:3: reached end of file while parsing quoted string"),
        ("'a\\", "1:3: reached end of file while parsing quoted string"),
        ("99999999999999999999", "1:3: \"99999999999999999999\" invalid number: too large"),
        ("-99999999999999999999", "1:3: \"-99999999999999999999\" invalid number: too small"),
        ("", "1:3: syntax error: expected an element, found end of file"),
    ]

    @Test(arguments: wrong)
    func `what starts no string`(text: String, expected: String) {
        // The table's head stands in front on the same line, in a macro, so that columns are those of the element.
        let head = MacroDefinition(name: "h", value: "table t {")
        let parsed = ServerConfiguration.parse(
            Array("$h\(text)".utf8), named: "t", options: ParseOptions(.partial, definitions: [head], unsupported: []))
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

struct MacroTests {
    static let good: [(String, String)] = [
        ("x = \"lo port 2525\"\nlisten on $x", "listen on lo port 2525\n"),
        ("p = \"25\"\nlisten on lo port $p", "listen on lo port 25\n"),
        ("d = a\nlisten on $d.example.org", "listen on a.example.org\n"),
        ("d = \"'/a'\"\nlisten on $d", "listen on \"/a\"\n"),
        ("a = b\na = c\nlisten on $a", "listen on c\n"),
        ("l = \"listen on\"\n$l eth0", "listen on eth0\n"),
        ("c = \"eth0 # a comment\"\nlisten on $c", "listen on eth0\n"),
        ("\"a\" = b\nlisten on $a", "listen on b\n"),
        ("a_1 = b\nlisten on $a_1-c", "listen on b-c\n"),
        ("listen on a$b", "listen on \"a$b\"\n"),
    ]

    @Test(arguments: good)
    func `a macro stands for its value`(text: String, expected: String) {
        let parsed = parse(text, .partial)
        #expect(parsed.errors == [])
        #expect(parsed.configuration?.printed(for: .listener) == expected)
    }

    static let wrong: [(String, String)] = [
        (
            "p = 25",
            "1:5: syntax error: expected a macro's value, found the number 25 (a string must be quoted here)"
        ),
        (
            "a = b\nb = \"$a\"\nlisten on $b",
            "3:11: syntax error: expected socket, an interface or an address, found \"$\""
        ),
        ("\"a b\" = c", "1:1: macro name cannot contain whitespace"),
        ("listen = c", "1:8: syntax error: expected on, found \"=\""),
        ("listen on $x", "1:11: macro 'x' not defined"),
        ("a => b", "1:1: syntax error: expected a statement, found \"a\""),
        ("a = b c", "1:7: syntax error: expected end of line, found \"c\""),
    ]

    @Test(arguments: wrong)
    func `a macro that cannot be`(text: String, expected: String) {
        #expect(errors(of: text) == [expected])
    }

    @Test func `a macro from outside wins`() {
        let options = ParseOptions(.partial, definitions: [MacroDefinition(name: "i", value: "eth9")], unsupported: [])
        let parsed = ServerConfiguration.parse(Array("i = lo\nlisten on $i".utf8), named: "t", options: options)
        #expect(parsed.configuration?.listeners.first?.endpoint == .interface("eth9"))
    }

    @Test func `a definition splits at its last equals sign`() {
        #expect(MacroDefinition(argument: "a=b=c") == MacroDefinition(name: "a=b", value: "c"))
        #expect(MacroDefinition(argument: "a=") == MacroDefinition(name: "a", value: ""))
        #expect(MacroDefinition(argument: "=a") == nil)
        #expect(MacroDefinition(argument: "a") == nil)
    }

    @Test func `macros that nothing uses are named`() {
        #expect(parse("b = x\na = y\nc = lo\nlisten on $c\n", .partial).unusedMacros == ["a", "b"])
    }
}
