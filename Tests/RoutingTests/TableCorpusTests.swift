// SPDX-License-Identifier: ISC

import Foundation
import Testing

/// What once was found by fuzzing tables, values of aliases and the protocol of table programs, and what leads into every
/// corner of them.
///
/// To fuzz: `swift build -c release --build-path .build/fuzz --product fuzz-tables -Xswiftc -sanitize=fuzzer
/// -Xswiftc -use-ld=lld`, then `SWIFT_BACKTRACE=enable=no .build/fuzz/release/fuzz-tables Tests/Fuzz/Corpus/tables`.
@Suite struct TableCorpusTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    @Test func `the fuzzer finds nothing in its corpus`() throws {
        let tree = ProcessInfo.processInfo.environment["MARTLET_ROOT"].map { URL(fileURLWithPath: $0) } ?? Self.root
        let corpus = tree.appendingPathComponent("Tests/Fuzz/Corpus/tables")
        let files = try FileManager.default.contentsOfDirectory(atPath: corpus.path)
        #expect(files.count >= 30)
        let process = Process()
        // The fuzzer stands beside the program of the tests.
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
            .deletingLastPathComponent().appendingPathComponent("fuzz-tables")
        process.arguments = [corpus.path]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0 && process.terminationReason == .exit)
        #expect(output == "\(files.count) inputs\n")
    }
}
