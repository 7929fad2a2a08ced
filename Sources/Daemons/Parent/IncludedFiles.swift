// SPDX-License-Identifier: ISC

import Configuration
import Host
import Posix
import Reactor

/// Which files Lookup may have read because an alias includes them.
///
/// Lookup speaks of what remote parties sent, so that it names no file but those that the administrator has named: in the
/// configuration and in the files of alias tables. A table behind a program has any content at any time; where aliases are
/// in such a table, any file may be asked for that the user of the programs can read.
final class IncludedFiles {
    // Some milliseconds: others have their turn in between.
    private static let bytesPerTurn = 1 << 20

    private let files: Set<String>
    private let named: Set<String>
    private let hasProgram: Bool
    private var found: [String: Set<String>] = [:]
    private var search: Task<Void, Never>?

    init(_ configuration: ServerConfiguration) {
        let names = Set(
            configuration.tableUses.filter { $0.purpose == .alias || $0.purpose == .virtual }.map(\.table.name))
        var files: Set<String> = []
        var named: Set<String> = []
        var hasProgram = false
        for table in configuration.tables where names.contains(table.name) {
            switch table.kind {
            case .list: break
            case .mapping(let entries):
                for entry in entries { named.formUnion(IncludePaths.find(in: Array(entry.value.utf8))) }
            case .file(let path): files.insert(path)
            case .backend: hasProgram = true
            }
        }
        self.files = files
        self.named = named
        self.hasProgram = hasProgram
    }

    /// Begins to look through the files as they are now; whenever Lookup is given them.
    func find() {
        let previous = search
        search = Task {
            await previous?.value
            for path in files {
                guard let file = try? FileDescriptor.readable(path) else { continue }
                found[path] = await Self.paths(in: file)
            }
        }
    }

    /// Whether `path` may be read, once all files were looked through.
    func allow(_ path: String) async -> Bool {
        if hasProgram || named.contains(path) { return true }
        await search?.value
        return found.values.contains { $0.contains(path) }
    }

    /// What the file at `path`, which is open and to be read again, includes; it may be read from now on, beside what the
    /// file included before, which stays when the new content is refused.
    func extend(_ path: String, _ file: borrowing FileDescriptor) async -> Set<String> {
        guard files.contains(path) else { return [] }
        await search?.value
        let new = await Self.paths(in: file)
        found[path, default: []].formUnion(new)
        return new
    }

    /// The new content counts: what it no longer includes may not be read any more.
    func settle(_ path: String, _ new: Set<String>) {
        if files.contains(path) { found[path] = new }
    }

    private static func paths(in file: borrowing FileDescriptor) async -> Set<String> {
        var found = IncludePaths()
        var offset: UInt64 = 0
        while let part = try? file.read(at: offset, count: bytesPerTurn), !part.isEmpty {
            found.read(part, isLast: false)
            offset += UInt64(part.count)
            await Loop.pause(milliseconds: 0)
        }
        found.read([], isLast: true)
        return found.paths
    }
}
