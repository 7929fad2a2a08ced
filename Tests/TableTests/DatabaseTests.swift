// SPDX-License-Identifier: ISC

import Configuration
import Glibc
import MapFile
import Routing
import Testing

@testable import Table

@MainActor @Suite struct DatabaseTests {
    private final class Folder {
        let path: String
        var file: String { "\(path)/map.db" }
        init() {
            var template = Array("/tmp/martlet-map.XXXXXX".utf8CString)
            mkdtemp(&template)
            path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        deinit {
            unlink(file)
            rmdir(path)
        }
        func write(_ entries: [(String, String)]) throws {
            let content = TableContent(mapping: entries)
            let writer = try MapWriter(file, count: content.count, bytes: 1 << 16)
            try content.forEachEntry { (key, value) throws(MapError) in
                try writer.append(key.utf8.span, value.utf8.span)
            }
            try writer.finish(.ofCaller)
        }
        func write(bytes: [UInt8]) {
            let file = fopen(file, "w")
            fwrite(bytes, 1, bytes.count, file)
            fclose(file)
        }
    }

    @Test func `what was written is found, in memory and in the file alike`() throws {
        let folder = Folder()
        let entries = [
            ("example.org", "1"), ("*.example.org", "2"), ("192.0.2.0/24", "3"), ("[2001:db8::1]", "4"), ("@", "5"),
            ("joe@", "6"), ("ann@*.example.net", "7"), ("203.0.113.5", "8"), ("2001:db8:0::2", "9"),
        ]
        try folder.write(entries)
        let source = try DatabaseSource(folder.file, .plus)
        let memory = TableContent(mapping: entries)
        let keys = [
            "example.org", "a.example.org", "a.b.example.org", "192.0.2.7", "192.0.3.7", "2001:db8::1", "[2001:db8::1]",
            "joe@example.com", "joe+x@example.com", "ann@x.example.net", "@", "203.0.113.5", "2001:db8::2", "other",
        ]
        for service in TableService.allCases where service != .authentication && service != .regularExpression {
            for key in keys {
                #expect(
                    try source.contains(key, for: service) == memory.contains(key, for: service), "\(service) \(key)")
                #expect(
                    try source.value(of: key, for: service) == memory.value(of: key, for: service), "\(service) \(key)")
            }
        }
        #expect(try source.value(of: "2001:db8::2", for: .nameOfAddress) == "9")
        #expect(try source.value(of: "192.0.2.7", for: .nameOfAddress) == nil)
    }

    @Test func `regular expressions are keys, and a bad one fails the question`() throws {
        let folder = Folder()
        try folder.write([("^dyn-", "x"), ("[0-9]+$", "x")])
        let source = try DatabaseSource(folder.file, .plus)
        #expect(try source.contains("dyn-1.example.org", for: .regularExpression))
        #expect(try !source.contains("mail.example.org", for: .regularExpression))
        try folder.write([("(bad", "x")])
        #expect(throws: SourceFailure.self) { try source.contains("x", for: .regularExpression) }
    }

    @Test func `a new file is seen with the next question, and elements are used in turn`() throws {
        let folder = Folder()
        try folder.write([("192.0.2.1", "x"), ("192.0.2.2", "x")])
        let source = try DatabaseSource(folder.file, .plus)
        #expect(
            try (0..<3).map { _ in try source.next(for: .source) } == ["192.0.2.1", "192.0.2.2", "192.0.2.1"])
        try folder.write([("joe", "ann")])
        #expect(try source.value(of: "joe", for: .alias) == "ann")
        #expect(try source.next(for: .source) == "joe")
        unlink(folder.file)
        #expect(try source.value(of: "joe", for: .alias) == "ann")
    }

    @Test func `an empty database has nothing`() throws {
        let folder = Folder()
        try folder.write([])
        let source = try DatabaseSource(folder.file, .plus)
        #expect(try source.value(of: "joe", for: .alias) == nil)
        #expect(try source.value(of: "", for: .alias) == nil)
        #expect(try source.next(for: .source) == nil)
        #expect(try !source.contains(String(repeating: "x", count: 1023), for: .alias))
    }

    @Test func `a key that the database cannot hold is named`() throws {
        let folder = Folder()
        #expect(throws: MapError.longKey(String(repeating: "k", count: 512))) {
            try folder.write([(String(repeating: "k", count: 512), "x")])
        }
        #expect(access(folder.file, F_OK) != 0)
        try folder.write([(String(repeating: "k", count: 511), "x")])
    }

    nonisolated static let berkeley: [[UInt8]] = [
        [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x61, 0x15, 0x06, 0],
        [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0x15, 0x61],
        [0x62, 0x31, 0x05, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x62, 0x31, 5, 0],
    ]

    @Test(arguments: berkeley) func `a Berkeley DB file is told from others`(start: [UInt8]) {
        let folder = Folder()
        folder.write(bytes: start + [UInt8](repeating: 0, count: 4080))
        #expect(throws: MapError.berkeley(path: folder.file)) { try MapReader(folder.file) }
    }

    @Test func `what is no database is refused`() {
        let folder = Folder()
        #expect(throws: MapError.self) { try MapReader(folder.file) }
        for bytes in [[], [1], [UInt8](repeating: 0x41, count: 8192), Array("joe: ann\n".utf8)] as [[UInt8]] {
            folder.write(bytes: bytes)
            #expect(throws: MapError.self) { try MapReader(folder.file) }
        }
    }
}
