// SPDX-License-Identifier: ISC

import Configuration
import Glibc
import Testing

/// The files beside the tests: `NAME.conf`, what it is understood as (`NAME.ok`), and its errors (`NAME.err`). Those that
/// a sample includes are called `NAME.part`.
enum Samples {
    /// In the order of their numbers.
    static let names: [String] = {
        guard let listing = opendir(directory) else { return [] }
        defer { closedir(listing) }
        var names: [String] = []
        while let entry = readdir(listing) {
            let file = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if file.hasSuffix(".conf") { names.append(String(file.dropLast(".conf".count))) }
        }
        return names.sorted()
    }()

    /// The samples that are right once everything is built.
    static let good = names.filter { read("\($0).ok") != nil }

    private static let directory =
        "/" + #filePath.split(separator: "/").dropLast().joined(separator: "/") + "/Samples"

    static func read(_ name: String) -> [UInt8]? {
        let largest = 1 << 16
        guard let file = fopen("\(directory)/\(name)", "r") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: largest)
        let count = fread(&bytes, 1, largest, file)
        return Array(bytes.prefix(count))
    }

    static func source(_ name: String) -> SourceText { read(name).map { .bytes($0) } ?? .unreadable("not there") }

    static func text(_ name: String) -> String? { read(name).map { String(decoding: $0, as: UTF8.self) } }
}

/// Reads `text` as a server that lacks nothing would.
func parse(_ text: String, _ completeness: ParseOptions.Completeness = .whole) -> ParsedConfiguration {
    ServerConfiguration.parse(
        Array(text.utf8), named: "t", options: ParseOptions(completeness, unsupported: []),
        sourceReader: Samples.source)
}

/// The errors of `text` without the name of its file.
func errors(of text: String, _ completeness: ParseOptions.Completeness = .partial) -> [String] {
    parse(text, completeness).errors.map { "\($0.location.line):\($0.location.column): \($0.message)" }
}

struct SampleTests {
    @Test func `there are samples of every part of the language`() {
        #expect(Samples.names.count >= 60)
        #expect(Samples.good.count >= 40)
    }

    @Test(arguments: Samples.names)
    func `a sample is understood as written beside it`(name: String) throws {
        let text = try #require(Samples.read("\(name).conf"))
        let whole = ServerConfiguration.parse(
            text, named: "\(name).conf", options: ParseOptions(unsupported: []), sourceReader: Samples.source)
        #expect(whole.configuration?.printed(for: .all) == Samples.text("\(name).ok"))
    }

    @Test(arguments: Samples.names)
    func `a sample has the errors beside it and no others`(name: String) throws {
        let text = try #require(Samples.read("\(name).conf"))
        let parsed = ServerConfiguration.parse(text, named: "\(name).conf", sourceReader: Samples.source)
        let errors = parsed.errors.map { "\($0)\n" }.joined()
        #expect(errors == Samples.text("\(name).err") ?? "")
        #expect((parsed.configuration == nil) == !errors.isEmpty)
    }

    @Test(arguments: Samples.good)
    func `a print parses to an equal configuration`(name: String) throws {
        let text = try #require(Samples.text("\(name).conf"))
        let original = try #require(parse(text).configuration)
        let again = parse(original.printed(for: .all))
        #expect(again.errors == [])
        #expect(again.configuration?.withoutLocations == original.withoutLocations)
    }

    @Test(arguments: Samples.good, PrintedRole.allCases)
    func `a print for a role parses to what prints the same`(name: String, role: PrintedRole) throws {
        let text = try #require(Samples.text("\(name).conf"))
        let original = try #require(parse(text).configuration)
        let print = original.printed(for: role)
        let again = parse(print, .partial)
        #expect(again.errors == [])
        #expect(again.configuration?.printed(for: role) == print)
    }

    @Test(arguments: Samples.names)
    func `every prefix of a sample is read without a trap`(name: String) throws {
        let text = try #require(Samples.read("\(name).conf"))
        for end in text.indices {
            let parsed = ServerConfiguration.parse(
                Array(text[..<end]), named: "t", options: ParseOptions(.partial, unsupported: []))
            #expect((parsed.configuration == nil) == !parsed.errors.isEmpty)
        }
    }
}
