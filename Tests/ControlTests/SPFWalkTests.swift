// SPDX-License-Identifier: ISC

import IPC
import Testing

@testable import Control

/// A DNS made of dictionaries; a name under `broken.` gives no answer.
private final class DictionaryRecords: RecordSource {
    private let records: [String: [String]]
    private(set) var questions = 0

    init(_ records: [String: [String]]) { self.records = records }

    func records(of name: String, _ kind: RecordKind) async -> [String]? {
        questions += 1
        if name.hasPrefix("broken.") { return nil }
        return records["\(name) \(kind)"] ?? []
    }
}

@MainActor @Suite struct SPFWalkTests {
    private func walk(
        _ records: [String: [String]], _ domains: [String] = ["example.org"]
    ) async -> (networks: [String], complaints: [String], isComplete: Bool) {
        var networks: [String] = []
        var complaints: [String] = []
        let walk = SPFWalk(
            DictionaryRecords(records), found: { networks.append($0) }, complain: { complaints.append($0) })
        var isComplete = true
        for domain in domains where await !walk.walk(domain) { isComplete = false }
        return (networks, complaints, isComplete)
    }

    @Test func `mechanisms lead to networks, each named once`() async {
        let found = await walk(
            [
                "example.org text": [
                    "v=spf1 ip4:192.0.2.0/24 +ip6:2001:db8::/32 ?a mx:mail.example.org/24//64 a:b.example.org "
                        + "include:_spf.example.net ip4:192.0.2.0/24 -all", "another text",
                ],
                "example.org address": ["192.0.2.7"], "example.org address6": ["2001:db8:1::7"],
                "mail.example.org mailExchange": ["mx1.example.org", "."],
                "mx1.example.org address": ["198.51.100.1"], "mx1.example.org address6": ["2001:db8:2::1"],
                "b.example.org address": ["203.0.113.1"],
                "_spf.example.net text": ["V=SPF1 ip4:203.0.113.64/26 include:example.org"],
            ], ["Example.ORG"])
        #expect(
            found.networks == [
                "192.0.2.0/24", "2001:db8::/32", "192.0.2.7", "2001:db8:1::7", "198.51.100.1/24", "2001:db8:2::1/64",
                "203.0.113.1", "203.0.113.64/26",
            ])
        #expect(found.complaints == [])
        #expect(found.isComplete)
    }

    @Test func `a redirect is followed unless there is an all`() async {
        let records = [
            "a.example.org text": ["v=spf1 redirect=b.example.org"],
            "b.example.org text": ["v=spf1 ip4:192.0.2.1 ~ip4:192.0.2.2 -ip4:192.0.2.3 ~all redirect=c.example.org"],
            "c.example.org text": ["v=spf1 ip4:192.0.2.4"],
        ]
        let found = await walk(records, ["a.example.org"])
        #expect(found.networks == ["192.0.2.1"])
        #expect(found.isComplete)
    }

    @Test(arguments: [
        ("v=spf1 exists:%{i}.example.net", "has a macro"), ("v=spf1 ptr", "depends on the client"),
        ("v=spf1 ip4:192.0.2.1/33", "ip4:192.0.2.1/33"), ("v=spf1 ip4:2001:db8::1", "ip4:2001:db8::1"),
        ("v=spf1 ip6:nothing", "ip6:nothing"), ("v=spf1 include:nothing.example.net", "no SPF record"),
        ("v=spf1 a:broken.example.net", "no answer"), ("v=spf10 ip4:192.0.2.1", "no SPF record"),
    ])
    func `what cannot be told is complained about`(record: String, complaint: String) async {
        let found = await walk(["example.org text": [record]])
        #expect(found.networks == [])
        #expect(found.complaints.count == 1)
        #expect(found.complaints.first?.contains(complaint) == true, "\(found.complaints)")
        #expect(!found.isComplete)
    }

    @Test func `two records are none`() async {
        let found = await walk(["example.org text": ["v=spf1 ip4:192.0.2.1", "v=spf1 -all"]])
        #expect(found.networks == [])
        #expect(found.complaints == ["example.org: more than one SPF record"])
    }

    @Test func `a walk without end is ended`() async {
        var records: [String: [String]] = [:]
        for number in 0..<100 {
            records["d\(number).example.org text"] = ["v=spf1 include:d\(number + 1).example.org"]
        }
        let deep = await walk(records, ["d0.example.org"])
        #expect(deep.complaints == ["d20.example.org: too deep"])
        let wide = (0..<200).map { "a:h\($0).example.org" }.joined(separator: " ")
        let found = await walk(["example.org text": ["v=spf1 \(wide)"]])
        #expect(found.complaints.contains { $0.contains("too many questions") })
        #expect(!found.isComplete)
    }
}
