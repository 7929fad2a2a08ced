// SPDX-License-Identifier: ISC

import Foundation
import Testing

/// Each fuzzer plays what its corpus holds: what once was found, and what leads into every corner.
///
/// To fuzz: `swift build -c release --build-path .build/fuzz --product fuzz-configuration -Xswiftc -sanitize=fuzzer
/// -Xswiftc -use-ld=lld`, then `SWIFT_BACKTRACE=enable=no .build/fuzz/release/fuzz-configuration Tests/Fuzz/Corpus/configuration`.
struct CorpusTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Where this program is: the fuzzers stand beside it.
    private static let programs = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent()

    @Test(arguments: ["replies", "answers", "configuration", "formats", "expansion", "notices"])
    func `a fuzzer finds nothing in its corpus`(_ name: String) throws {
        let tree = ProcessInfo.processInfo.environment["MARTLET_ROOT"].map { URL(fileURLWithPath: $0) } ?? Self.root
        let corpus = tree.appendingPathComponent("Tests/Fuzz/Corpus/\(name)")
        let files = try FileManager.default.contentsOfDirectory(atPath: corpus.path)
        #expect(files.count >= 20)
        let process = Process()
        process.executableURL = Self.programs.appendingPathComponent("fuzz-\(name)")
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
