// SPDX-License-Identifier: ISC
//
// How many recipients the match statements decide in a second of CPU, with few and many of them.
//
// usage: swift run -c release bench-rules [SECONDS]

import Configuration
import Glibc
import Mail
import Routing

/// Tables that stand in files, as a server holds them.
struct FileTables: TableLookups {
    let content: TableContent

    func contains(_ key: String, in name: String, for service: TableService) async throws(TableFailure) -> Bool {
        content.contains(key, for: service)
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

/// `count` rules, and at the end one for everybody.
func configuration(_ count: Int, _ rule: (Int) -> String) -> ServerConfiguration? {
    let text = (0..<count).map(rule).joined(separator: "\n") + "\nmatch from any for any action a\n"
    let prefix = "table f file:/nothing\naction a mbox\n"
    return ServerConfiguration.parse(Array((prefix + text).utf8), named: "rules").configuration
}

func measure(_ what: String, _ count: Int, seconds: Double, _ rule: (Int) -> String) async {
    guard let server = Domain("mx.example.org"), let configuration = configuration(count, rule) else {
        return print("\(what): no configuration")
    }
    let begin = now()
    let ruleset = Ruleset(
        configuration.rules, builtIn: BuiltInTables(serverName: server, addresses: []), tables: configuration.tables)
    let made = now() - begin
    let tables = FileTables(content: TableContent(list: ["nobody.example.org"]))
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
    await measure("tables in files", count, seconds: seconds) { _ in "match from any for domain <f> reject" }
}
