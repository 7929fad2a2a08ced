// SPDX-License-Identifier: ISC

import Configuration
import Testing

struct MacroTests {
    static let good: [(String, String)] = [
        ("x = \"lo port 2525\"\nlisten on $x", "listen on lo port 2525\n"),
        ("p = \"25\"\nlisten on lo port $p", "listen on lo port 25\n"),
        ("d = a\nlisten on $d.example.org", "listen on a.example.org\n"),
        ("d = \"'/a'\"\nlisten on $d lmtp", "listen on \"/a\" lmtp\n"),
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
