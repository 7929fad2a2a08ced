// SPDX-License-Identifier: ISC

import Configuration
import Glibc
import Mail
import Routing
import Testing

/// The examples of aliases(5) and forward(5), as they stand there.
struct ManualExampleTests {
    /// The literal displays behind EXAMPLES of a page, as a reader sees them.
    private func examples(_ page: String) throws -> [String] {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let file = try #require(fopen("/\(root)/man/\(page)", "r"))
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 18)
        let count = fread(&bytes, 1, bytes.count, file)
        let lines = String(decoding: bytes.prefix(count), as: UTF8.self).split(
            separator: "\n", omittingEmptySubsequences: false)
        let start = try #require(lines.firstIndex(of: ".Sh EXAMPLES"))
        var examples: [String] = []
        var current: String?
        for line in lines[start...].dropFirst() {
            if line.hasPrefix(".Sh ") { break }
            if line.hasPrefix(".Bd ") {
                current = ""
            } else if line == ".Ed" {
                if let example = current { examples.append(example) }
                current = nil
            } else if let text = current {
                current = text + line.replacing("\\e", with: "\\").replacing("\\&", with: "") + "\n"
            }
        }
        return examples
    }

    private func expand(
        _ recipient: String, aliases: TableContent = TableContent(mapping: []), forwards: [String: String] = [:]
    ) async throws -> [String] {
        var world = DictionaryWorld()
        world.tables["aliases"] = aliases
        world.tables["here"] = TableContent(list: ["example.org"])
        world.includes["/etc/mail/staff"] = .bytes(Array("# all\nalice, bob\n".utf8))
        for name in ["gilles", "alice", "bob"] {
            world.users[name] = .found(UserRecord(name: name, uid: 1000, gid: 1000, home: "/home/\(name)"))
        }
        for (name, text) in forwards { world.forwards[name] = .bytes(Array(text.utf8)) }
        var local = LocalAction(.maildir(path: nil, .unused))
        local.expansion = .aliases(.named("aliases"))
        var here = MatchRule(.action("local"))
        here.origin.test = .any
        here.destination.test = .domain(TablePattern(.named("here")))
        var out = MatchRule(.action("out"))
        out.destination.test = .any
        let expansion = Expansion(
            ruleset: Ruleset([here, out], builtIn: try builtInTables()),
            actions: [
                ActionDefinition(name: "local", kind: .local(local)),
                ActionDefinition(name: "out", kind: .relay(RelayAction())),
            ], delimiters: .plus, daemonUsers: [])
        let request = Expansion.Request(
            sender: .null, recipient: try mailbox(recipient), origin: try origin(), isEncrypted: false)
        switch await expansion.expand(request, in: world) {
        case .refused(let reply): return ["\(reply)"]
        case .accepted(let envelopes):
            return envelopes.map { envelope in
                switch envelope.dispatch {
                case .relay: "\(envelope.destination)"
                case .local(_, let user, _, .action): user
                case .local(_, let user, _, .forward(let item)): "\(user) item \(item)"
                case .local(_, let user, _, .alias(let item)): "\(user) \(item)"
                }
            }.sorted()
        }
    }

    @Test func `the file of aliases does what its page says`() async throws {
        let text = try #require(try examples("aliases.5").first)
        let aliases = try TableText.content(of: Array(text.utf8), file: "aliases", dialect: .aliases)
        let expected = [
            ("postmaster", ["gilles"]), ("root", ["gilles"]), ("sales", ["alice", "bob", "carol@example.net"]),
            ("tickets", ["_martletu |/usr/local/bin/ticket --from %{sender}"]), ("staff", ["alice", "bob"]),
            ("gone", ["550 moved to example.net"]),
        ]
        for (name, result) in expected {
            #expect(try await expand("\(name)@example.org", aliases: aliases) == result, "\(name)")
        }
    }

    @Test func `the files of users do what their page says`() async throws {
        let texts = try examples("forward.5")
        let expected = [["gilles", "gilles@example.net"], ["gilles item 0"], ["550 5.1.6 I am now at example.com"]]
        try #require(texts.count == expected.count)
        for (text, result) in zip(texts, expected) {
            #expect(try await expand("gilles@example.org", forwards: ["gilles": text]) == result, "\(text)")
        }
        let entry = try #require(ForwardText(Array(texts[1].utf8)).entries.first)
        guard case .command(let command) = entry.item else {
            Issue.record("no command")
            return
        }
        #expect(command == "sort-mail --to %{rcpt}, --quiet")
        #expect(throws: Never.self) { try FormatTemplate(command, for: .command) }
    }
}
