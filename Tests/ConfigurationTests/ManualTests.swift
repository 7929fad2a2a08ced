// SPDX-License-Identifier: ISC

import Configuration
import Glibc
import Testing

/// What martlet.conf(5) shows is what martletd takes.
struct ManualTests {
    // mdoc writes a backslash as \e.
    private static let page: String = read().split(separator: #"\e"#, omittingEmptySubsequences: false).joined(
        separator: #"\"#)

    private static func read() -> String {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let largest = 1 << 18
        guard let file = fopen("/\(root)/man/martlet.conf.5", "r") else { return "" }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: largest)
        let count = fread(&bytes, 1, largest, file)
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }

    /// The displays of the section EXAMPLES.
    static let examples: [String] = {
        var examples: [String] = []
        var display: [Substring]?
        var isInSection = false
        for line in page.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix(".Sh") { isInSection = line == ".Sh EXAMPLES" }
            guard isInSection else { continue }
            if line.hasPrefix(".Bd") {
                display = []
            } else if line == ".Ed", let lines = display {
                examples.append(lines.joined(separator: "\n") + "\n")
                display = nil
            } else {
                display?.append(line)
            }
        }
        return examples
    }()

    @Test func `there are examples`() { #expect(Self.examples.count >= 5) }

    @Test(arguments: examples)
    func `an example can be put into force`(text: String) {
        // One that only shows a statement is no whole configuration.
        let completeness: ParseOptions.Completeness = text.contains("match ") ? .whole : .partial
        let parsed = ServerConfiguration.parse(
            Array(text.utf8), named: "example", options: ParseOptions(completeness))
        #expect(parsed.errors == [], "\(text)")
        #expect(parsed.unusedMacros == [])
    }
}
