// SPDX-License-Identifier: ISC

import Bytes
import Configuration
import Mail
import Testing

struct StatementTests {
    static let wrong: [(String, [String])] = [
        ("action x mbox user bob", ["1:15: user may not be specified for this dispatcher"]),
        ("action x forward-only user bob", ["1:23: user may not be specified for this dispatcher"]),
        ("action x mbox alias <a> alias <b>", ["1:25: alias already specified for this dispatcher"]),
        ("action x mbox alias <a> virtual <b>", ["1:25: virtual may not be specified together with alias"]),
        ("action x mbox\naction x mbox", ["2:8: dispatcher already declared with that name: x"]),
        ("action x mbox ttl 1d alias <a>", ["1:22: syntax error: expected end of line, found the keyword alias"]),
        ("action x mbox alias { a, b }", ["1:21: table \"<dynamic:0>\" may not be used for alias lookups"]),
        ("action x mbox alias bob", ["1:21: table \"<dynamic:0>\" may not be used for alias lookups"]),
        ("action x relay host { a = b }", ["1:21: table \"<dynamic:0>\" may not be used for host lookups"]),
        ("action x relay host a://b", ["1:21: invalid relay host: a://b"]),
        ("action x relay backup host a", ["1:23: host may not be specified together with backup"]),
        ("action x relay host a domain <b>", ["1:23: domain may not be specified together with host"]),
        ("action x relay auth <a>", ["1:16: auth may not be specified without host or domain"]),
        ("action x mda \"%{nothing}\"", ["1:14: unknown format specifier: nothing"]),
        ("action x maildir \"%{rcpt:nothing}\"", ["1:18: unknown format modifier: nothing"]),
        ("action x mda \"nice %{mda}\"", ["1:14: the format specifier mda stands for nothing here"]),
        ("action x lmtp nowhere", ["1:15: invalid lmtp destination: nowhere"]),
        (
            "action x lmtp \"/run/%{rcpt.user}\"",
            ["1:15: in an lmtp destination only %{user.username} may be used"]
        ),
        ("mda wrapper w \"nice %{mda:raw}\"", ["1:15: the modifier raw may not be used in a command"]),
        ("smtp sub-addr-delim \"\"", ["1:21: sub-addr-delim uses invalid character"]),
        ("smtp sub-addr-delim \"+@\"", ["1:21: sub-addr-delim uses invalid character"]),
        ("action x mda \"%{rcpt:lowercase|raw}\"", ["1:14: the modifier raw may not be used in a command"]),
        ("action x mda \"a %{sender[0:3]:RAW}\"", ["1:14: the modifier raw may not be used in a command"]),
        ("mda wrapper w \"%{mda:raw}\"", ["1:15: the modifier raw may not be used in a command"]),
        (
            "action x",
            ["1:9: syntax error: expected relay or a way of delivery, found end of line"]
        ),
        ("listen on lo auth", ["1:1: invalid listen option: auth requires tls/smtps"]),
        ("listen on lo pki x", ["1:1: invalid listen option: pki requires tls/smtps"]),
        ("listen on lo tls", ["1:1: invalid listen option: pki required for tls/smtps"]),
        ("listen on lo tls pki x protocols ssl3", ["1:34: invalid protocols: ssl3"]),
        ("listen on lo tls pki x protocols tlsv1.1", ["1:34: invalid protocols: tlsv1.1"]),
        ("action x relay protocols \"!all\"", ["1:26: invalid protocols: !all"]),
        ("listen on lo tls smtps", ["1:18: TLS mode already specified"]),
        ("listen on lo inet4 inet6", ["1:20: address family already specified"]),
        ("listen on lo port 0", ["1:19: invalid port: 0"]),
        ("listen on lo tag x tag y", ["1:20: tag already specified"]),
        ("listen on lo tag \(String(repeating: "x", count: 33))", ["1:18: tag name too long"]),
        ("listen on socket\nlisten on socket", ["2:11: socket listener already configured"]),
        ("listen on socket port 25", ["1:18: syntax error: expected an option or end of line, found the keyword port"]),
        ("match reject extra", ["1:14: syntax error: expected end of line, found \"extra\""]),
        ("match from any", ["1:15: syntax error: expected a criterion, reject or action, found end of line"]),
        ("match from any from local reject", ["1:16: from already specified for this rule"]),
        ("match from auth auth reject", ["1:17: auth already specified for this rule"]),
        ("match for rcpt-to x for any reject", ["1:21: for already specified for this rule"]),
        ("match tag x ! tag y reject", ["1:15: tag already specified for this rule"]),
        ("match tag { a = b } reject", ["1:11: table \"<dynamic:0>\" may not be used for tag lookups"]),
        ("smtp limit max-rcpt -1", ["1:21: invalid limit value: -1"]),
        ("smtp limit nothing 1", ["1:12: invalid smtp limit keyword: nothing"]),
        ("mta limit for domain x nothing 1", ["1:24: invalid mta limit keyword: nothing"]),
        ("smtp max-message-size 5X", ["1:23: invalid size: 5X"]),
        ("smtp max-message-size -5", ["1:23: invalid size: -5"]),
        ("smtp max-message-size 9E", ["1:23: invalid size: 9E"]),
        ("queue encryption tooshort", ["1:18: queue encryption: a key has exactly 32 bytes"]),
        ("queue encryption backup tooshort", ["1:25: queue encryption: a key has exactly 32 bytes"]),
        ("queue reserve much", ["1:15: invalid size: much"]),
        ("queue ttl 99999999d", ["1:11: invalid ttl delay: 99999999"]),
        ("queue ttl \"\"", ["1:11: invalid ttl delay: "]),
        ("bounce warn-interval 1h,", ["1:25: syntax error: expected a delay, such as 4d, found end of line"]),
        ("table t { a = b, c }", ["1:20: syntax error: expected \"=\", found \"}\""]),
        ("table t { a, b = c }", ["1:16: syntax error: expected an element, \",\" or \"}\", found \"=\""]),
        ("table t { }", ["1:11: syntax error: expected an element, found \"}\""]),
        (
            "table t { a\n, b }",
            [
                "2:1: syntax error: expected an element, \",\" or \"}\", found \",\""
            ]
        ),
        ("table \(String(repeating: "t", count: 65)) { a }", ["1:7: table name too long"]),
        (
            "match from src <localhost> reject\ntable localhost { a }",
            [
                "2:7: table_create: table \"localhost\" already defined"
            ]
        ),
        ("pki \"a b\" cert x", ["1:5: not a valid pki name: a b"]),
        ("pki a dhe no", ["1:11: invalid DHE keyword: no"]),
        ("filter a chain { b, b }\nfilter c chain { a }", ["2:18: no filter chain allowed within a filter chain: a"]),
        (
            "proc p x\nfilter a proc p\nfilter b proc p\nfilter c chain { a, b }",
            [
                "4:21: no proc allowed twice within a filter chain: p"
            ]
        ),
        (
            "proc p x\nfilter a proc p\nfilter c chain { a, a }",
            [
                "3:21: no filter allowed twice within a filter chain: a"
            ]
        ),
        (
            "filter a phase commit match fcrdns junk",
            [
                "1:36: syntax error: expected a decision of the phase commit, found the keyword junk"
            ]
        ),
        (
            "filter a phase connect match helo x junk",
            [
                "1:30: syntax error: expected a condition of the phase connect, found the keyword helo"
            ]
        ),
        ("proc p x user a user b", ["1:17: user already specified for this processor"]),
        (
            "queue ttl 4\nmta nothing\nqueue ttl 5d",
            [
                "1:11: syntax error: expected a delay, such as 4d, found the number 4 (a string must be quoted here)",
                "2:5: syntax error: expected max-deferred or limit, found \"nothing\"",
            ]
        ),
    ]

    @Test(arguments: wrong)
    func `a statement that cannot be`(text: String, expected: [String]) {
        #expect(errors(of: text) == expected)
    }

    static let wrongAsAWhole: [(String, [String])] = [
        ("listen on lo", ["1:13: no rules, nothing to do"]),
        ("match action x", ["1:14: no such dispatcher: x", "1:15: no rules, nothing to do"]),
        ("match from src <z> reject\nmatch reject", ["1:17: no such table: z"]),
        ("filter a chain { a }\nmatch reject", ["1:18: no filter exist with that name: a"]),
        ("filter a proc p\nmatch reject", ["1:15: no processor exist with that name: p"]),
        ("action a mda x wrapper w\nmatch reject", ["1:24: no mda wrapper with that name: w"]),
        ("listen on lo tls pki x\nmatch reject", ["1:22: pki name not found: x"]),
        ("pki x cert c key k\nlisten on lo tls pki x ca y\nmatch reject", ["2:27: ca name not found: y"]),
        ("action a relay pki x ca y\nmatch reject", ["1:1: pki name not found: x", "1:1: ca name not found: y"]),
        ("action a relay srs\nmatch reject", ["1:16: an srs key is required for srs to be specified in an action"]),
        ("pki x\nmatch reject", ["1:1: missing certificate file for pki x", "1:1: missing key file for pki x"]),
    ]

    @Test(arguments: wrongAsAWhole)
    func `a name that stands for nothing`(text: String, expected: [String]) {
        #expect(errors(of: text, .whole) == expected)
    }

    @Test func `defaults are those of the reference`() throws {
        let configuration = try #require(parse("match reject").configuration)
        #expect(configuration.listeners == [ListenStatement(.socket)])
        #expect(configuration.smtp.largestMessage == ByteCount(36_700_160))
        #expect(configuration.bounceWarnings == [.hours(4)])
        #expect(configuration.queueLifetime == .days(4))
        #expect(configuration.rules.first?.origin == MatchRule.Criterion(.local))
        #expect(configuration.rules.first?.destination == MatchRule.Criterion(.local))
        #expect(configuration.rules.first?.location == SourceLocation(file: "t", line: 1, column: 1))
    }

    @Test(arguments: [
        ("0", 0), ("100", 100), ("1B", 1), ("1k", 1024), ("1.5M", 1_572_864), ("35M", 36_700_160), ("\".5K\"", 512),
        ("2G", 2 << 30), ("1.K", 1024), ("7E", 7 << 60), ("0.000000000000000001E", 1),
    ])
    func `a size has a fraction and a unit`(text: String, bytes: Int) {
        let parsed = parse("smtp max-message-size \(text)", .partial)
        #expect(parsed.configuration?.smtp.largestMessage == ByteCount(bytes))
    }

    @Test(arguments: [("1s", 1), ("90m", 5400), ("6h", 21600), ("5d", 432_000)])
    func `a delay has one unit`(text: String, seconds: Int64) {
        #expect(parse("queue ttl \(text)", .partial).configuration?.queueLifetime == .seconds(seconds))
    }

    @Test func `the limits of a domain start from the defaults of that line`() throws {
        let text = """
            mta limit max-conn-per-host 3 inet6
            mta limit for domain Example.org task-hiwat 7
            mta limit max-conn-per-host 4 inet4
            mta limit for domain example.org task-lowat 8
            """
        let configuration = try #require(parse(text, .partial).configuration)
        let limits = configuration.relayLimits(forDomain: "example.org")
        #expect(limits.connectionsPerHost == 3)
        #expect(limits.family == .v6)
        #expect(limits.taskHighWater == 7)
        #expect(limits.taskLowWater == 8)
        #expect(configuration.relayLimits(forDomain: "example.net").connectionsPerHost == 4)
    }

    @Test func `pki lines of one name merge`() throws {
        let configuration = try #require(parse("pki A cert c\npki a key k", .partial).configuration)
        #expect(configuration.pki.count == 1)
        #expect(configuration.pki.first?.name == "a")
        #expect(configuration.pki.first?.certificatePath == "c")
        #expect(configuration.pki.first?.keyPath == "k")
    }

    @Test func `a table may have the name of a built-in one`() throws {
        let text = "table localnames { a }\nmatch for domain <localnames> reject\nmatch from src <localhost> reject"
        let configuration = try #require(parse(text).configuration)
        let expected: [TableReference] = [.named("localnames"), .builtIn(.localHost)]
        #expect(configuration.tableUses.map(\.table) == expected)
    }

    @Test func `a table in place avoids a name that is taken`() throws {
        let text = "table \"<dynamic:0>\" { a }\nmatch for domain b reject"
        #expect(parse(text).configuration?.tables.map(\.name) == ["<dynamic:0>", "<dynamic:1>"])
    }

    @Test(arguments: [
        ("listen on lo", 25), ("listen on lo smtps pki x", 465), ("listen on lo port 26 smtps pki x", 26),
        ("listen on lo port smtps", 465), ("listen on lo port submission", 587),
    ])
    func `a listener has a port`(text: String, port: UInt16) {
        #expect(parse(text, .partial).configuration?.listeners.first?.port == port)
    }

    @Test func `what is not built yet is an error only when the statement is right`() {
        let text = "listen on lo filter x\nlisten on lo tls nothing\nmatch reject\npki x cert c key k"
        let parsed = ServerConfiguration.parse(
            Array(text.utf8), named: "t", options: ParseOptions(.partial, unsupported: [.listenFilter]))
        #expect(
            parsed.errors.map(\.description) == [
                "t:1:14: listen option filter: not supported yet",
                "t:2:18: syntax error: expected an option or end of line, found \"nothing\"",
            ])
    }
}
