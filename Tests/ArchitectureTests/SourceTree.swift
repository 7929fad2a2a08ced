// SPDX-License-Identifier: ISC

import Glibc

/// The files below one directory, read as text.
struct SourceTree {
    struct File {
        /// From the root on, such as `Sources/Core/Mail/Domain.swift`.
        let path: String
        let lines: [String]

        var components: [String] { path.split(separator: "/").map(String.init) }
        /// `Core`, `System`, `Daemons` or `Tools`; nil outside of Sources.
        var group: String? { components.count > 3 && components[0] == "Sources" ? components[1] : nil }
        var target: String? { group == nil ? nil : components[2] }
        var isSwift: Bool { path.hasSuffix(".swift") }

        /// The modules that the file imports.
        var imports: [String] {
            lines.compactMap { line in
                var words = line.split(separator: " ").map(String.init)[...]
                while let word = words.first, word.hasPrefix("@") || Self.accessLevels.contains(word) {
                    words = words.dropFirst()
                }
                guard words.first == "import", words.count >= 2 else { return nil }
                words = words.dropFirst()
                if let kind = words.first, Self.declarations.contains(kind) { words = words.dropFirst() }
                return words.first?.split(separator: ".").first.map(String.init)
            }
        }

        private static let accessLevels: Set = ["public", "internal", "private", "fileprivate", "package"]
        private static let declarations: Set = [
            "struct", "class", "enum", "func", "protocol", "var", "let", "typealias",
        ]
    }

    // Enough for this project; a loop of links would not end otherwise.
    private static let deepest = 8

    let root: String
    let files: [File]

    /// Reads Sources and Tests below `root`.
    init(root: String) {
        self.root = root
        var files: [File] = []
        for folder in ["Sources", "Tests"] { Self.collect(root, folder, 0, &files) }
        self.files = files.sorted { $0.path < $1.path }
    }

    var sources: [File] { files.filter { $0.group != nil } }
    /// The group of each target.
    var groups: [String: String] {
        var groups: [String: String] = [:]
        for file in sources { if let target = file.target { groups[target] = file.group } }
        return groups
    }

    private static func collect(_ root: String, _ path: String, _ depth: Int, _ files: inout [File]) {
        guard depth < deepest else { return }
        for name in entries("\(root)/\(path)") where !name.hasPrefix(".") {
            let inner = "\(path)/\(name)"
            if [".swift", ".c", ".h"].contains(where: name.hasSuffix) {
                files.append(File(path: inner, lines: lines("\(root)/\(inner)") ?? []))
            } else {
                collect(root, inner, depth + 1, &files)
            }
        }
    }

    /// The names in a directory; none when it is no directory.
    static func entries(_ path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    static func text(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The lines of a file, without the empty one behind the last line end.
    static func lines(_ path: String) -> [String]? {
        guard let text = text(path) else { return nil }
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        if lines.last?.isEmpty == true { lines.removeLast() }
        return lines
    }
}
