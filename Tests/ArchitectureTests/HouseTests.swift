// SPDX-License-Identifier: ISC

import Glibc
import Testing

/// The house as it stands.
@Suite struct HouseTests {
    /// $MARTLET_ROOT, or where this file stands.
    private static let root =
        getenv("MARTLET_ROOT").map { String(cString: $0) }
        ?? #filePath.split(separator: "/").dropLast(3).reduce(into: "") { $0 += "/" + $1 }

    private let tree = SourceTree(root: root)

    @Test func `the sources are read`() {
        #expect(tree.sources.count > 100)
        for target in ["Bytes", "Mail", "IPC", "Reactor", "Channel", "Queue", "Parent"] {
            #expect(tree.groups[target] != nil)
        }
    }

    @Test func `targets look only where they may`() { #expect(Rules(tree: tree).dependencies == []) }
    @Test func `libraries are imported where they belong`() { #expect(Rules(tree: tree).libraries == []) }
    @Test func `files have their license, a length and no forbidden word`() { #expect(Rules(tree: tree).texts == []) }

    @Test func `the table of edges is what the programs speak`() {
        #expect(Edges(tree: tree).violations() == [])
    }

    @Test func `every keyword of the grammar stands in martlet.conf(5)`() {
        #expect(Manuals(root: Self.root).undocumentedKeywords == [])
    }

    @Test func `every verb of martletctl stands in martletctl(8)`() {
        #expect(Manuals(root: Self.root).undocumentedVerbs == [])
    }

    @Test func `no program is set-id, and none is installed so`() throws {
        let folder = getenv("MARTLET_BIN").map { String(cString: $0) } ?? "\(Self.root)/.build/debug"
        for program in SourceTree.entries(folder) where program.hasPrefix("martlet") {
            var status = stat()
            try #require(stat("\(folder)/\(program)", &status) == 0)
            #expect(status.st_mode & (S_ISUID | S_ISGID) == 0 || status.st_mode & S_IFMT == S_IFDIR, "\(program)")
        }
        let setup = try #require(SourceTree.text("\(Self.root)/etc/setup"))
        let modes = try Regex(#"(-m ?|chmod |--mode=)(0?[2-7][0-7]{3}|[^ ]*\+[^ ]*s)"#)
        #expect(setup.matches(of: modes).map { String($0.0) } == [])
    }

    /// The programs in $MARTLET_BIN, or else those of a debug build. The runtime of Swift itself brings libdispatch
    /// when it is linked dynamically; that no source imports it is another test.
    @Test func `no program links Foundation`() {
        let folder = getenv("MARTLET_BIN").map { String(cString: $0) } ?? "\(Self.root)/.build/debug"
        let programs = SourceTree.entries(folder).filter { name in
            name.hasPrefix("martlet") && !name.contains(".") && access("\(folder)/\(name)", X_OK) == 0
                && SourceTree.entries("\(folder)/\(name)").isEmpty
        }
        if programs.isEmpty { print("\(folder): no programs built, linking is not tested") }
        for program in programs {
            guard let libraries = Linking.libraries(of: "\(folder)/\(program)") else {
                print("\(program): ldd cannot tell, not tested")
                continue
            }
            let wrong = libraries.filter { $0.contains("Foundation") }
            #expect(wrong == [], "\(program)")
        }
    }
}

enum Linking {
    /// What ldd says that the program at `path` is linked with; nil when it says nothing.
    static func libraries(of path: String) -> [String]? {
        guard path.allSatisfy({ $0.isLetter || $0.isNumber || "/-_.".contains($0) }) else { return nil }
        guard let pipe = popen("ldd '\(path)' 2>/dev/null", "r") else { return nil }
        defer { pclose(pipe) }
        var names: [String] = []
        var line = [CChar](repeating: 0, count: 4096)
        while fgets(&line, 4096, pipe) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if let name = text.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "\n" }).first {
                names.append(String(name))
            }
        }
        return names.isEmpty ? nil : names
    }
}
