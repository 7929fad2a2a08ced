// SPDX-License-Identifier: ISC

import Bytes
import CFuzzer
import Configuration
import Glibc
import Routing

// The first byte says what the rest is: the text of a table, the value of an alias, or what a program says.

/// Text that is read at once or in parts is the same table or the same mistake, and every key of it is found.
func readTable(
    _ bytes: [UInt8], _ dialect: TableText.Dialect, _ folding: KeyFolding = .whole, linesPerTurn: Int = .max,
    bytesPerTurn: Int = .max
) {
    let whole = Result { () throws(TableTextError) in
        var text = TableText(bytes, file: "t", dialect: dialect, folding: folding)
        while try text.readLines(atMost: .max) == .unfinished {}
        return text.finished()
    }
    let parts = Result { () throws(TableTextError) in
        var text = TableText(bytes, file: "t", dialect: dialect, folding: folding)
        while try text.readLines(atMost: linesPerTurn, bytes: bytesPerTurn) == .unfinished {}
        return text.finished()
    }
    switch (whole, parts) {
    case (.success(let one), .success(let two)):
        precondition(one.shape == two.shape && one.keys == two.keys, "parts make a difference")
        if folding == .whole { check(one) } else { checkExpressions(one) }
    case (.failure(let one), .failure(let two)):
        precondition(one == two, "parts make a difference to the mistake")
    case (.success, .failure), (.failure, .success):
        preconditionFailure("parts make a difference")
    }
}

func check(_ content: TableContent) {
    let keys = content.keys
    precondition(keys.count == content.count, "a key twice")
    var last: String?
    content.forEachEntry { (key, value) throws(Never) in
        precondition(last.map { $0.utf8.lexicographicallyPrecedes(key.utf8) } ?? true, "not in order")
        last = key
        precondition(key.utf8.count <= TableContent.longestKey, "a long key")
        precondition(value.utf8.count <= TableText.longestValue, "a long value")
        precondition(content.value(of: key, for: .alias) == value, "an entry that is not found")
        precondition(content.contains(key, for: .text), "a key that is not found")
        _ = try? ExpansionItem.items(in: value)
    }
    for key in keys.prefix(8) {
        for service in TableService.allCases where service != .regularExpression {
            let isThere = content.contains(key, for: service)
            let value = content.value(of: key, for: service)
            precondition(isThere == (value != nil), "found and not found")
        }
    }
}

/// Keys in order, of which each that is an expression is compiled, and asked by every other.
func checkExpressions(_ content: TableContent) {
    var content = content
    let keys = content.keys
    let invalid = Set(content.compileRegularExpressions())
    precondition(invalid.isSubset(of: keys), "an invalid key from elsewhere")
    for key in keys.prefix(8) {
        let isThere = content.contains(key, for: .regularExpression)
        precondition(isThere == (content.value(of: key, for: .regularExpression) != nil), "found and not found")
    }
}

func hear(_ bytes: [UInt8]) {
    var dialogue = TableDialogue(tableName: "t")
    var output: [UInt8] = []
    for line in bytes.split(separator: 10, omittingEmptySubsequences: false) {
        guard let event = try? dialogue.receive(line.span) else { return }
        switch event {
        case .nothing: break
        case .registered, .answered:
            let key = String(decoding: line.prefix(64), as: UTF8.self)
            let start = output.count
            if (try? dialogue.ask(.lookup(.alias, key: key), at: 1, writingTo: &output)) != nil {
                precondition(output[start...].filter { $0 == 10 }.count == 1, "a question of two lines")
            }
        }
    }
}

let status = martlet_fuzz(CommandLine.argc, CommandLine.unsafeArgv) { pointer, count in
    let input = Array(UnsafeBufferPointer(start: pointer, count: count))
    let bytes = Array(input.dropFirst())
    switch (input.first ?? 0) % 6 {
    case 0: readTable(bytes, .plain, linesPerTurn: bytes.count % 7 + 1)
    case 1: readTable(bytes, .aliases, bytesPerTurn: bytes.count % 70 + 1)
    case 4: readTable(bytes, .elements, linesPerTurn: bytes.count % 7 + 1)
    case 5: readTable(bytes, .plain, .expressions, bytesPerTurn: bytes.count % 70 + 1)
    case 2:
        guard let text = String(validating: bytes, as: UTF8.self) else { break }
        if let items = try? ExpansionItem.items(in: text) {
            for item in items {
                if case .include(let path) = item { precondition(path.hasPrefix("/"), "a path that is relative") }
                if case .command(let command) = item { precondition(!command.isEmpty, "an empty command") }
            }
        }
    default: hear(bytes)
    }
    return 0
}
exit(status)
