// SPDX-License-Identifier: ISC

import Authentication
import Bytes
import CFuzzer
import Configuration
import Glibc
import Mail

// The first byte says which reader gets the rest: what people write into aliases, ~/.forward and LMTP destinations, and what
// strangers write into addresses.

func readValue(_ bytes: ArraySlice<UInt8>) {
    let text = String(decoding: bytes, as: UTF8.self)
    guard let items = try? ExpansionItem.items(in: text) else { return }
    for item in items { check(item) }
}

func check(_ item: ExpansionItem) {
    switch item {
    case .user(let name):
        precondition(!name.isEmpty && name.utf8.count <= ExpansionItem.longestUser, "a name without bounds")
        precondition(name == name.asciiLowercased, "a name with a capital letter")
    case .command(let command):
        precondition(!command.isEmpty && command.utf8.count <= ExpansionItem.longestItem, "a command without bounds")
    case .file(let path):
        precondition(path.utf8.first == UInt8(ascii: "/"), "a path that is not absolute")
    case .include(let path):
        precondition(path.utf8.first == UInt8(ascii: "/"), "a path that is not absolute")
    case .error(let reply):
        precondition((400...599).contains(reply.code), "an error that is none")
    case .mailbox(let mailbox):
        precondition(Mailbox("\(mailbox)") == mailbox, "an address that does not come back")
    }
}

func readForward(_ bytes: ArraySlice<UInt8>) {
    guard let text = try? ForwardText(Array(bytes)) else { return }
    precondition(text.entries.count <= ForwardText.mostForwardItems, "too many items")
    precondition(text.entries.map(\.ordinal) == text.entries.indices.map { UInt16($0) }, "items are not counted")
    for entry in text.entries { check(entry.item) }
}

func readAddress(_ bytes: ArraySlice<UInt8>) {
    guard let mailbox = Mailbox(String(decoding: bytes, as: UTF8.self)) else { return }
    guard let here = Domain("example.org") else { preconditionFailure("a domain that is one") }
    let now = Timestamp(seconds: 1_795_478_400)
    let srs = SRS(key: "correct horse", days: 4)
    _ = try? srs.original(of: mailbox, on: now)
    guard let rewritten = srs.rewritten(mailbox, forRecipientAt: here, on: now) else { return }
    precondition(Mailbox("\(rewritten)") == rewritten, "an address that does not come back")
    guard let original = try? srs.original(of: rewritten, on: now) else { return }
    let isOfALaterHop = rewritten.localPart.text.hasPrefix("SRS1=")
    precondition(isOfALaterHop || original == mailbox, "a sender that does not come back")
}

// However a user is called, the server is one of the configuration's: no user adds a level to a path, or climbs.
func readDestination(_ bytes: ArraySlice<UInt8>) {
    let text = String(decoding: bytes, as: UTF8.self)
    guard let destination = try? LMTPDestination(text) else { return }
    let places = ["bob", "..", "a/b", "\u{0}"].map { destination.place(for: $0, delimiters: .plus) }
    if destination.isConstant { precondition(Set(places).count == 1, "a server of one user alone") }
    for case .socket(let path)? in places {
        precondition(path.utf8.first == UInt8(ascii: "/") && !path.utf8.contains(0), "a path that is none")
    }
}

let status = martlet_fuzz(CommandLine.argc, CommandLine.unsafeArgv) { pointer, count in
    let input = Array(UnsafeBufferPointer(start: pointer, count: count))
    let rest = input.dropFirst()
    switch (input.first ?? 0) % 4 {
    case 0: readValue(rest)
    case 1: readForward(rest)
    case 2: readAddress(rest)
    default: readDestination(rest)
    }
    return 0
}
exit(status)
