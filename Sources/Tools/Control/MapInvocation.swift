// SPDX-License-Identifier: ISC

/// The arguments of makemap.
nonisolated struct MapInvocation: Hashable, Sendable {
    static let usage = "usage: makemap [-U] [-d type] [-o database] [-t aliases | set] file\n       makemap type file\n"

    enum Content: Hashable, Sendable {
        /// Keys and values, or keys alone.
        case plain
        /// Values are checked as aliases, and may go on in further lines.
        case aliases
        /// Whole lines are keys.
        case set
    }

    enum Task: Hashable, Sendable {
        /// Makes `database` from `source`, nil for standard input.
        case make(Content, source: String?, database: String)
        case dump(database: String)
    }

    struct Mistake: Error, Hashable, Sendable {}

    // Kinds of files that others write; there is one kind here.
    private static let types: Set = ["hash", "btree", "dbm", "lmdb"]

    let task: Task

    /// Reads arguments without the program's name.
    init(parsing arguments: [String]) throws(Mistake) {
        var content = Content.plain
        var database: String?
        var dumps = false
        var rest = arguments[...]
        while let word = rest.first, word.hasPrefix("-"), word.count > 1 {
            rest = rest.dropFirst()
            if word == "--" { break }
            var letters = word.dropFirst()
            while let letter = letters.popFirst() {
                if letter == "U" {
                    dumps = true
                    continue
                }
                guard "dot".contains(letter), let value = letters.isEmpty ? rest.popFirst() : String(letters) else {
                    throw Mistake()
                }
                letters = ""
                switch letter {
                case "d": guard Self.types.contains(value) else { throw Mistake() }
                case "o": database = value
                default:
                    switch value {
                    case "aliases": content = .aliases
                    case "set": content = .set
                    default: throw Mistake()
                    }
                }
            }
        }
        switch rest.count {
        case 1:
            let name = rest[rest.startIndex]
            if dumps {
                task = .dump(database: name)
            } else if name == "-" {
                guard let database else { throw Mistake() }
                task = .make(content, source: nil, database: database)
            } else {
                task = .make(content, source: name, database: database ?? name + ".db")
            }
        case 2:
            // As sendmail has it: the text comes by standard input.
            guard !dumps, database == nil, Self.types.contains(rest[rest.startIndex]) else { throw Mistake() }
            let name = rest[rest.startIndex + 1]
            task = .make(content, source: nil, database: name.hasSuffix(".db") ? name : name + ".db")
        default:
            throw Mistake()
        }
    }
}
