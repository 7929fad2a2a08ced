// SPDX-License-Identifier: ISC

import Bytes
import Configuration
import Host
import MapFile
import Posix
import Routing

/// makemap from its arguments to its exit status.
enum MapSession {
    static func run(_ arguments: [String]) -> Int32 {
        do {
            switch try MapInvocation(parsing: arguments).task {
            case .make(let content, let source, let database):
                let map = try TextMap(content, source: source)
                if map.content.count == 0 { ThisProcess.say("makemap: warning: empty map created\n") }
                try map.write(to: database)
            case .dump(let database):
                try dump(database)
            }
            return 0
        } catch is MapInvocation.Mistake {
            ThisProcess.say(MapInvocation.usage)
        } catch {
            ThisProcess.say("makemap: \(error)\n")
        }
        return 1
    }

    private static func dump(_ database: String) throws(MapError) {
        var lines: [UInt8] = []
        try MapReader(database).forEach { key, value in
            lines += key
            lines.append(.horizontalTab)
            lines += value
            lines.append(.lineFeed)
            if lines.count > 1 << 16 {
                StandardOutput.write(lines)
                lines.removeAll(keepingCapacity: true)
            }
        }
        StandardOutput.write(lines)
    }
}

/// The text of a map, read and checked, to be written as a database.
struct TextMap {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    let content: TableContent
    private let source: String?
    private let length: Int

    // As Lookup reads them.
    private static let longestText = 256 << 20
    // What is stored for a key without a value.
    private static let valueOfSet = "<set>"

    /// Reads `source`, standard input when nil. A key that stands twice is a mistake here.
    init(_ kind: MapInvocation.Content, source: String?) throws {
        self.source = source
        let name = source ?? "stdin"
        let text: [UInt8]?
        do {
            text =
                if let source { try FileDescriptor.content(of: source, limit: Self.longestText) } else {
                    try FileDescriptor.duplicate(0).readAll(limit: Self.longestText)
                }
        } catch {
            throw Failure(description: "\(name): \(error)")
        }
        guard var text else { throw Failure(description: "\(name): too long") }
        length = text.count
        // The form in which the reader of tables takes whole lines for keys.
        if kind == .set { text = Array("# @list\n".utf8) + text }
        do {
            content = try TableText.content(
                of: text, file: name, dialect: kind == .aliases ? .aliases : .plain, duplicates: .refuse,
                firstLine: kind == .set ? 0 : 1)
        } catch {
            throw Failure(description: "\(error)")
        }
        guard kind == .aliases else { return }
        try content.forEachEntry { key, value in
            do throws(ExpansionItem.SyntaxError) {
                _ = try ExpansionItem.items(in: value)
            } catch {
                throw Failure(description: "\(name): alias \(VisibleText(key)): \(Self.words(error))")
            }
        }
        guard content.shape == .mapping else { throw Failure(description: "\(name): aliases without values") }
    }

    private static func words(_ error: ExpansionItem.SyntaxError) -> String {
        switch error {
        case .tooLong: "too long"
        case .openQuote: "a quote is not closed"
        case .invalidItem(let item): "invalid item \(VisibleText(item))"
        }
    }

    /// Puts the database in its place, whole.
    func write(to path: String) throws {
        do {
            let writer = try MapWriter(path, count: content.count, bytes: length)
            try content.forEachEntry { (key, value) throws(MapError) in
                try writer.append(key.utf8.span, (value.isEmpty ? Self.valueOfSet : value).utf8.span)
            }
            let ownership =
                MapWriter.Ownership(of: path) ?? source.flatMap { MapWriter.Ownership(of: $0) } ?? .ofCaller
            try writer.finish(ownership)
        } catch {
            throw Failure(description: "\(path): \(error)")
        }
    }
}
