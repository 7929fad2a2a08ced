// SPDX-License-Identifier: ISC
//
// How many recipients the match statements decide in a second of CPU, with few and many of them.
//
// usage: swift run -c release bench-rules [SECONDS]

import Configuration
import Glibc
import Mail
import Routing

/// No table that is not in memory.
struct NoTables: TableLookups {
    func contains(_ key: String, in name: String, for service: TableService) async throws(TableFailure) -> Bool {
        throw TableFailure()
    }
    func value(of key: String, in name: String, for service: TableService) async throws(TableFailure) -> String? { nil }
    func next(in name: String, for service: TableService) async throws(TableFailure) -> String? { nil }
}

func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

func subject(_ domain: String) -> MatchSubject? {
    guard let server = Domain("mx.example.org"), let mailbox = Mailbox("bob@\(domain)") else { return nil }
    let origin = Origin(
        serverName: server, greeting: "client.example.net", hostName: "client.example.net",
        address: IPAddress("192.0.2.7"))
    return MatchSubject(origin: origin, isEncrypted: false, sender: .null, destination: mailbox)
}

/// `count` rules, and at the end one for everybody; `<f\(number)>` is a table in a file.
func configuration(_ count: Int, _ rule: (Int) -> String) -> ServerConfiguration? {
    let files = (0..<count).map { "table f\($0) file:/nothing" }.joined(separator: "\n")
    let text = (0..<count).map(rule).joined(separator: "\n") + "\nmatch from any for any action a\n"
    return ServerConfiguration.parse(Array("\(files)\naction a mbox\n\(text)".utf8), named: "rules").configuration
}

func measure(
    _ what: String, _ count: Int, seconds: Double, files: (Int) -> [String] = { _ in [] }, _ rule: (Int) -> String
) async {
    guard let server = Domain("mx.example.org"), let configuration = configuration(count, rule) else {
        return print("\(what): no configuration")
    }
    var held: [String: TableContent] = [:]
    for table in configuration.tables { held[table.name] = TableContent(table.kind) }
    for number in 0..<count {
        held["f\(number)"] = TableContent(list: files(number))
        if what.contains("expression") { _ = held["f\(number)"]?.compileRegularExpressions() }
    }
    let begin = now()
    let ruleset = Ruleset(
        configuration.rules, builtIn: BuiltInTables(serverName: server, addresses: []), held: held)
    let made = now() - begin
    let tables = NoTables()
    // Some meet a rule in the middle, some none of them.
    let subjects = (0..<64).compactMap { number in
        subject(number % 2 == 0 ? "d\(number * count / 64).example.net" : "other\(number).example.com")
    }
    var decided = 0
    let start = now()
    var end = start
    while end - start < seconds {
        for subject in subjects {
            if case .temporaryFailure = await ruleset.decide(subject, tables: tables) { return print("failed") }
        }
        decided += subjects.count
        end = now()
    }
    let rate = Double(decided) / (end - start)
    print(
        "\(what), \(count) rules: \(Int(rate)) recipients/s, \(Int(rate * Double(count))) rules/s, index made in "
            + "\(Int(made * 1000)) ms")
}

let seconds = CommandLine.arguments.dropFirst().first.flatMap { Double($0) } ?? 2
for count in [10, 1_000, 10_000] {
    await measure("for domain", count, seconds: seconds) { "match from any for domain d\($0).example.net action a" }
    await measure("from src", count, seconds: seconds) {
        "match from src \"10.\($0 / 250).\($0 % 250).0/24\" for any reject"
    }
    await measure("one table in a file", count, seconds: seconds, files: { _ in ["nobody.example.org"] }) { _ in
        "match from any for domain <f0> reject"
    }
    await measure(
        "a table in a file each", count, seconds: seconds, files: { ["d\($0).example.net", "*.d\($0).example.net"] }
    ) { "match from any for domain <f\($0)> action a" }
    await measure("expressions in a file", count, seconds: seconds, files: { _ in ["^nobody", "\\.example\\.org$"] }) {
        _ in
        "match from any for domain regex <f0> reject"
    }
    await measure("expressions in a file each", count, seconds: seconds, files: { ["^d\($0)\\.example\\.net$"] }) {
        "match from any for domain regex <f\($0)> action a"
    }
}
await measure(
    "a file of 1,000,000 domains", 1, seconds: seconds, files: { _ in (0..<1_000_000).map { "d\($0 * 7).example.net" } }
) { _ in
    "match from any for domain <f0> reject"
}
