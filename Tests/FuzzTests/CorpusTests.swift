// SPDX-License-Identifier: ISC

import Foundation
import Testing

/// Each fuzzer plays what its corpus holds: what once was found, and what leads into every corner.
///
/// To fuzz: `swift build -c release --build-path .build/fuzz --product fuzz-configuration -Xswiftc -sanitize=fuzzer
/// -Xswiftc -use-ld=lld` (fuzz-reception takes the name of a part first), then `SWIFT_BACKTRACE=enable=no .build/fuzz/release/fuzz-configuration Tests/Fuzz/Corpus/configuration`.
struct CorpusTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Where this program is: the fuzzers stand beside it.
    private static let programs = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent()

    @Test(arguments: ["replies", "answers", "configuration", "formats", "expansion", "notices", "envelopes"])
    func `a fuzzer finds nothing in its corpus`(_ name: String) throws {
        try play("fuzz-\(name)", [], corpus: name, atLeast: 20)
    }

    /// As above, with the name of the part before what the fuzzer takes.
    @Test(arguments: ["commands", "parameters", "claims", "data", "chunks", "header", "proofs", "proxy"])
    func `the fuzzer of what clients send finds nothing in the corpus of a part`(_ part: String) throws {
        try play("fuzz-reception", [part], corpus: "reception/\(part)", atLeast: 14)
    }

    private func play(_ program: String, _ words: [String], corpus name: String, atLeast count: Int) throws {
        let tree = ProcessInfo.processInfo.environment["MARTLET_ROOT"].map { URL(fileURLWithPath: $0) } ?? Self.root
        let corpus = tree.appendingPathComponent("Tests/Fuzz/Corpus/\(name)")
        let files = try FileManager.default.contentsOfDirectory(atPath: corpus.path)
        #expect(files.count >= count)
        let process = Process()
        process.executableURL = Self.programs.appendingPathComponent(program)
        process.arguments = words + [corpus.path]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0 && process.terminationReason == .exit)
        #expect(output == "\(files.count) inputs\n")
    }
}
