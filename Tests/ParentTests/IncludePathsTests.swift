// SPDX-License-Identifier: ISC

import Testing

@testable import Parent

@Suite struct IncludePathsTests {
    @Test(
        arguments: [
            ("staff: :include:/etc/mail/staff\n", ["/etc/mail/staff"]),
            ("a: :include:/a, :include: /b ,include:\t/c\n", ["/a", "/b", "/c"]),
            ("a: \":include:/with space\"\nb: :include:/x\\y", ["/with space", "/x"]),
            ("a: :include:relative\nb: include:\nc: :include\n/x", []),
            ("iinclude:/a include:include:/b", ["/a include:include:/b"]),
            ("a: b, include: /x y , :include:/z#\r\nc: \":include:/q\"", ["/x y", "/z#", "/q"]),
            ("a: :include:list\nb: :INCLUDE:/x\nc: iinclude:/i", ["/i"]), ("include:/", ["/"]),
            ("include:/a\\,b", ["/a"]),
            ("include:/a\r\n", ["/a"]), ("include:/a\0/b", ["/a"]), ("include:", []), ("", []),
        ] as [(String, Set<String>)])
    func `the paths of a text`(text: String, paths: Set<String>) {
        #expect(IncludePaths.find(in: Array(text.utf8)) == paths)
        for size in 1...9 {
            var found = IncludePaths()
            var rest = Array(text.utf8)[...]
            while !rest.isEmpty {
                found.read(Array(rest.prefix(size)), isLast: false)
                rest = rest.dropFirst(size)
            }
            found.read([], isLast: true)
            #expect(found.paths == paths, "in parts of \(size)")
        }
    }

    @Test func `what has no end is no path`() {
        var found = IncludePaths()
        found.read(Array("include:/a".utf8), isLast: false)
        for _ in 0..<20 { found.read([UInt8](repeating: 0x61, count: 1000), isLast: false) }
        found.read(Array(",include:/b".utf8), isLast: true)
        #expect(found.paths == ["/b"])
    }

    @Test func `every part of a table is read without harm`() {
        let text = Array("a: :include:/etc/lists/a, include:/b\n".utf8) + [0xFF, 0]
        for start in 0...text.count {
            for end in start...text.count { _ = IncludePaths.find(in: Array(text[start..<end])) }
        }
    }
}
