// SPDX-License-Identifier: ISC

import CFuzzer
import Configuration
import Glibc
import Mail

// The first byte is the use, the first line a template, the second what a remote party calls itself and the user.

let harmless = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@._+=/-:".utf8)

/// What stands outside of all specifiers, as far as it can be told without the parser: nil when it cannot.
func literals(_ template: String) -> [UInt8]? {
    var bytes: [UInt8] = []
    var rest = Array(template.utf8)[...]
    while let byte = rest.popFirst() {
        guard byte == UInt8(ascii: "%") else {
            bytes.append(byte)
            continue
        }
        guard rest.first == UInt8(ascii: "{"), let end = rest.firstIndex(of: UInt8(ascii: "}")) else { return nil }
        rest = rest[(end + 1)...]
    }
    return bytes
}

func look(_ template: String, _ use: FormatTemplate.Use, _ name: String) {
    guard let format = try? FormatTemplate(template, for: use) else { return }
    guard let local = LocalPart(name), let domain = Domain("example.org") else { return }
    let mailbox = Mailbox(local, at: domain)
    let fields = FormatFields(
        sender: .mailbox(mailbox), recipient: mailbox, destination: mailbox, userName: name, home: "/home/u",
        delimiters: .plus, command: "inner")
    guard let text = try? format.expand(fields) else { return }
    precondition(text.utf8.count <= 2047 && !text.utf8.contains(0), "too long, or a NUL")
    let literal = literals(template)
    switch use {
    case .command:
        // Where the template itself has nothing that a shell would read, the whole has nothing.
        if let literal, literal.allSatisfy(harmless.contains) {
            precondition(text.utf8.allSatisfy(harmless.contains), "\(template) gave \(text)")
        }
    case .path:
        guard let literal, !literal.contains(UInt8(ascii: ".")) else { break }
        // By bytes, as the file system has it: a mark behind a slash makes another character of both.
        let components = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        let isRelative = components.contains { (1...2).contains($0.count) && $0.allSatisfy { $0 == UInt8(ascii: ".") } }
        precondition(!isRelative, "\(template) gave \(text)")
        // Only the administrator, or a home, adds a level.
        if !template.lowercased().contains("directory"), !template.lowercased().contains("mda"),
            !template.utf8.starts(with: "~/".utf8)
        {
            precondition(components.count == literal.count { $0 == UInt8(ascii: "/") } + 1, "\(template) gave \(text)")
        }
    case .destination:
        precondition(!text.utf8.contains(10) || literal == nil || literal?.contains(10) == true, "a line end")
    }
}

let status = martlet_fuzz(CommandLine.argc, CommandLine.unsafeArgv) { pointer, count in
    let input = Array(UnsafeBufferPointer(start: pointer, count: count))
    let lines = input.dropFirst().split(separator: 10, maxSplits: 1, omittingEmptySubsequences: false)
    guard let first = lines.first, let template = String(validating: first, as: UTF8.self) else { return 0 }
    let name = lines.count > 1 ? String(decoding: lines[1].prefix(64), as: UTF8.self) : "user+tag"
    switch (input.first ?? 0) % 3 {
    case 0: look(template, .command, name)
    case 1: look(template, .path, name)
    default: look(template, .destination, name)
    }
    return 0
}
exit(status)
