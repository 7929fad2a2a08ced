// SPDX-License-Identifier: ISC

import CFuzzer
import Configuration
import Glibc

// The first byte says what the rest is: a whole configuration, a part of one, or an expression and, behind the first end
// of a line, a text.

// A file that includes itself is read a thousand times before the parser has had enough; a few are as good.
let mostIncludes = 3

/// What is right is printed, and the print is the same configuration; what is wrong has a reason and a place.
func readConfiguration(_ bytes: [UInt8], _ completeness: ParseOptions.Completeness) {
    let options = ParseOptions(
        completeness, definitions: [MacroDefinition(name: "m", value: "lo port 25 { \"a b\" }")], unsupported: [])
    var includes = 0
    let parsed = ServerConfiguration.parse(bytes, named: "t", options: options) { _ in
        includes += 1
        return includes <= mostIncludes ? .bytes(bytes) : .unreadable("enough")
    }
    precondition((parsed.configuration == nil) == !parsed.errors.isEmpty, "neither a configuration nor an error")
    for error in parsed.errors {
        precondition(!error.message.isEmpty && error.location.line > 0 && error.location.column > 0, "\(error)")
        precondition(error.location.column <= error.sourceLine.utf8.count + 1 || error.sourceLine.isEmpty, "\(error)")
    }
    guard let configuration = parsed.configuration else { return }
    let print = configuration.printed(for: .all)
    let again = ServerConfiguration.parse(
        Array(print.utf8), named: "p", options: ParseOptions(completeness, unsupported: []))
    precondition(again.configuration?.withoutLocations == configuration.withoutLocations, print)
    for role in PrintedRole.allCases {
        let part = configuration.printed(for: role)
        let read = ServerConfiguration.parse(
            Array(part.utf8), named: "p", options: ParseOptions(.partial, unsupported: []))
        precondition(read.configuration?.printed(for: role) == part, part)
    }
}

/// However an expression is spelled, an answer comes, or a reason why it is none.
func readExpression(_ bytes: [UInt8]) {
    let end = bytes.firstIndex(of: 10) ?? bytes.count
    guard let pattern = String(validating: bytes[..<end], as: UTF8.self) else { return }
    let text = String(decoding: bytes[end...].dropFirst().prefix(1023), as: UTF8.self)
    guard let expression = RegularExpression(pattern) else {
        precondition(!RegularExpression.fault(in: pattern).isEmpty, "no reason")
        return
    }
    _ = expression.matches(text)
}

let status = martlet_fuzz(CommandLine.argc, CommandLine.unsafeArgv) { pointer, count in
    let input = Array(UnsafeBufferPointer(start: pointer, count: count))
    let bytes = Array(input.dropFirst())
    switch (input.first ?? 0) % 3 {
    case 0: readConfiguration(bytes, .whole)
    case 1: readConfiguration(bytes, .partial)
    default: readExpression(bytes)
    }
    return 0
}
exit(status)
