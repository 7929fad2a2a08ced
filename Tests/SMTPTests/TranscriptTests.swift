// SPDX-License-Identifier: ISC

import Glibc
import Testing

@Suite struct `Transcripts of server sessions` {
    private static let directory: String = {
        let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        return parts.joined(separator: "/") + "/Transcripts"
    }()

    static let names: [String] = {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasPrefix("server-"), name.hasSuffix(".txt") { names.append(name) }
        }
        return names.sorted()
    }()

    private static func text(of name: String) -> String {
        guard let file = fopen("\(directory)/\(name)", "r") else { return "" }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    @Test func `there are transcripts`() {
        #expect(Self.names.count >= 12)
    }

    @Test(arguments: names) func `the dialogue goes as written`(name: String) throws {
        var world = try TranscriptWorld(Self.text(of: name))
        try world.play(.batches)
    }

    // Only a person at a terminal, and STARTTLS, is measured by what was sent too early.
    @Test(arguments: names.filter { !$0.contains("hand") && !$0.contains("behind") })
    func `the dialogue goes as written byte by byte`(name: String) throws {
        var world = try TranscriptWorld(Self.text(of: name))
        try world.play(.singleBytes)
    }
}
