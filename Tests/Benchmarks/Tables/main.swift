// SPDX-License-Identifier: ISC
//
// What a table in memory costs: to read, to keep, to ask; and how many recipients are expanded in a second of CPU.
//
// usage: bench-tables [ENTRIES [SECONDS]]; Tests/Benchmarks/tables runs it, and asks tables behind programs, too

import Configuration
import Glibc
import Mail
import Routing

func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// Bytes of this process in memory.
func residentBytes() -> Int {
    guard let file = fopen("/proc/self/statm", "r") else { return 0 }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 256)
    let count = fread(&bytes, 1, bytes.count, file)
    let fields = String(decoding: bytes.prefix(count), as: UTF8.self).split(separator: " ")
    return (fields.count > 1 ? Int(fields[1]) ?? 0 : 0) * Int(sysconf(Int32(_SC_PAGESIZE)))
}

/// So many calls of `body` in a second.
func rate(_ seconds: Double, _ body: (Int) async -> Bool) async -> Int {
    var done = 0
    let start = now()
    var end = start
    while end - start < seconds {
        for _ in 0..<64 {
            guard await body(done) else { return 0 }
            done += 1
        }
        end = now()
    }
    return Int(Double(done) / (end - start))
}

/// One table of aliases, and every name a user.
struct World: ExpansionWorld {
    let aliases: TableContent

    func contains(_ key: String, in name: String, for service: TableService) async throws(TableFailure) -> Bool {
        aliases.contains(key, for: service)
    }
    func value(of key: String, in name: String, for service: TableService) async throws(TableFailure) -> String? {
        aliases.value(of: key, for: service)
    }
    func next(in name: String, for service: TableService) async throws(TableFailure) -> String? { nil }
    func user(named name: String) async -> UserLookup {
        .found(UserRecord(name: name, uid: 1000, gid: 1000, home: "/home/user"))
    }
    func forward(of user: UserRecord, in userbase: TableReference) async -> ForwardFile { .absent }
    func include(_ path: String) async -> IncludedFile { .absent }
}

func measureTable(_ entries: Int, _ seconds: Double) async {
    var text: [UInt8] = []
    for number in 0..<entries { text += Array("user\(number)@d\(number % 9973).example.org: mailbox\(number)\n".utf8) }
    let before = residentBytes()
    let start = now()
    guard let table = try? TableText.content(of: text, file: "bench") else { return print("no table") }
    let read = now() - start
    let kept = Double(residentBytes() - before) / Double(entries)
    print(
        "file table, \(entries) entries, \(text.count >> 20) MB: read in \(Int(read * 1000)) ms; "
            + "\(Int(kept)) bytes of memory for a line of \(text.count / entries)")
    let hits = await rate(seconds) { number in
        let place = number &* 7919 % entries
        return table.value(of: "user\(place)@d\(place % 9973).example.org", for: .alias) != nil
    }
    let misses = await rate(seconds) { table.value(of: "nobody\($0)@example.org", for: .alias) == nil }
    let addresses = await rate(seconds) { number in
        let place = number &* 7919 % entries
        return table.contains("user\(place)+tag@d\(place % 9973).example.org", for: .mailbox)
    }
    print("file table: \(hits) values/s, \(misses) misses/s, \(addresses) addresses with a tag/s")
}

func measureExpansion(_ members: Int, _ seconds: Double) async {
    let prefix = "table f file:/nothing\naction a maildir alias <f>\nmatch from any for domain example.org action a\n"
    guard let configuration = ServerConfiguration.parse(Array(prefix.utf8), named: "bench").configuration,
        let server = Domain("mx.example.org"), let recipient = Mailbox("team@example.org")
    else { return print("no configuration") }
    let list = (0..<members).map { "user\($0)" }.joined(separator: ", ")
    let world = World(aliases: TableContent(mapping: [("team", list)]))
    let held = Dictionary(
        configuration.tables.compactMap { table in TableContent(table.kind).map { (table.name, $0) } },
        uniquingKeysWith: { first, _ in first })
    let expansion = Expansion(
        ruleset: Ruleset(
            configuration.rules, builtIn: BuiltInTables(serverName: server, addresses: []),
            held: held),
        actions: configuration.actions, delimiters: .plus, daemonUsers: [])
    let origin = Origin(
        serverName: server, greeting: "client.example.net", hostName: "client.example.net",
        address: IPAddress("192.0.2.7"))
    let request = Expansion.Request(sender: .null, recipient: recipient, origin: origin, isEncrypted: false)
    let expanded = await rate(seconds) { _ in
        guard case .accepted(let envelopes) = await expansion.expand(request, in: world) else { return false }
        return envelopes.count == members
    }
    print("alias of \(members): \(expanded) expansions/s, \(expanded * members) envelopes/s")
}

let arguments = CommandLine.arguments.dropFirst()
let seconds = arguments.dropFirst().first.flatMap { Double($0) } ?? 2
await measureTable(arguments.first.flatMap { Int($0) } ?? 1_000_000, seconds)
for members in [1, 10, 1000] { await measureExpansion(members, seconds) }
