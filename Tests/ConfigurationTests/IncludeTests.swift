// SPDX-License-Identifier: ISC

import Configuration
import Testing

struct IncludeTests {
    private static func parse(_ files: [String: String]) -> ParsedConfiguration {
        ServerConfiguration.parse(file: "main", options: ParseOptions(.partial, unsupported: [])) { name in
            files[name].map { .bytes(Array($0.utf8)) } ?? .unreadable("no such file")
        }
    }

    @Test func `an included file stands in place of its line`() {
        let parsed = Self.parse([
            "main": "m = lo\ninclude \"a\"\nlisten on $n",
            "a": "listen on $m\nn = eth0",
        ])
        #expect(parsed.errors == [])
        #expect(parsed.configuration?.listeners.map(\.endpoint) == [.interface("lo"), .interface("eth0")])
        #expect(parsed.configuration?.listeners.map(\.location.file) == ["a", "main"])
    }

    @Test func `an error is that of its file`() {
        let parsed = Self.parse(["main": "include a\nqueue ttl 5x", "a": "\nqueue ttl 4x", "b": ""])
        #expect(
            parsed.errors.map(\.description) == ["a:2:11: invalid ttl delay: 4x", "main:2:11: invalid ttl delay: 5x"])
        #expect(parsed.errors.map(\.sourceLine) == ["queue ttl 4x", "queue ttl 5x"])
    }

    @Test func `a statement ends with its file`() {
        let parsed = Self.parse(["main": "include a\n}", "a": "table t { a"])
        #expect(
            parsed.errors.map(\.description) == [
                "a:1:12: syntax error: expected an element, \",\" or \"}\", found end of file",
                "main:2:1: syntax error: expected a statement, found \"}\"",
            ])
    }

    @Test func `a file that includes itself is stopped`() {
        let parsed = Self.parse(["main": "include main"])
        #expect(parsed.errors.map(\.message) == ["failed to include file main: too many includes"])
    }

    @Test func `files that include each other twice are stopped`() {
        let parsed = Self.parse(["main": "include main\ninclude main"])
        #expect(parsed.errors.count <= 1_000)
        #expect(parsed.configuration == nil)
    }

    @Test func `a file that cannot be read is an error`() {
        #expect(
            Self.parse(["main": "include x"]).errors.map(\.description) == [
                "main:1:9: failed to include file x: no such file"
            ])
        #expect(Self.parse([:]).errors.map(\.message) == ["no such file"])
    }
}
