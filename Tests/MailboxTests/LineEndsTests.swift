// SPDX-License-Identifier: ISC

import Configuration
import Mail
import Testing

@testable import Mailbox

@Suite struct LineEndsTests {
    private static let cases: [(String, String)] = [
        ("", ""),
        ("a\r\n", "a\n"),
        ("a\r\nb", "a\nb"),
        ("a\rb\r\n", "a\rb\n"),
        ("a\nb\r\n", "a\nb\n"),
        ("\r\r\n\r", "\r\n\r"),
        ("\r\n\r\n.\r\n", "\n\n.\n"),
        ("\r", "\r"),
    ]

    @Test func `CRLF becomes LF wherever the content is cut`() {
        for (content, expected) in Self.cases {
            let bytes = Array(content.utf8)
            for first in 0...bytes.count {
                for second in first...bytes.count {
                    var ends = LineEnds()
                    var output: [UInt8] = []
                    for segment in [bytes[..<first], bytes[first..<second], bytes[second...]] {
                        ends.convert(Array(segment), into: &output)
                    }
                    ends.finish(into: &output)
                    #expect(output == Array(expected.utf8), "\(bytes) cut at \(first) and \(second)")
                }
            }
        }
    }
}

@Suite struct MboxTextTests {
    private static let cases: [(String, String)] = [
        ("", "\n"),
        ("a\r\n", "a\n\n"),
        ("a", "a\n\n"),
        ("From \r\n", ">From \n\n"),
        ("From x\r\nFrom\r\nFrom: y\r\n\r\nFrom z", ">From x\nFrom\nFrom: y\n\n>From z\n\n"),
        (">From x\r\n From y\r\n", ">From x\n From y\n\n"),
        ("FFrom x\r\nFroFrom x\r\n", "FFrom x\nFroFrom x\n\n"),
        ("Fro", "Fro\n\n"),
        ("\r\n\r\n", "\n\n\n"),
    ]

    @Test func `lines that begin with From are quoted wherever the content is cut`() {
        for (content, expected) in Self.cases {
            let bytes = Array(content.utf8)
            for cut in 0...bytes.count {
                var text = MboxText()
                var output: [UInt8] = []
                text.append(Array(bytes[..<cut]), to: &output)
                text.append(Array(bytes[cut...]), to: &output)
                text.finish(into: &output)
                #expect(output == Array(expected.utf8), "\(content.debugDescription) cut at \(cut)")
            }
        }
    }

    @Test func `the null path is MAILER-DAEMON`() {
        let line = MboxText.separatorLine(.null, time: "Thu Jan  1 00:00:00 1970")
        #expect(line == Array("From MAILER-DAEMON Thu Jan  1 00:00:00 1970\n".utf8))
    }
}

@Suite struct JunkHeaderTests {
    @Test(arguments: [
        ("X-Spam: yes\r\n\r\n", true), ("Subject: a\r\nx-spam-flag:  YES \r\n\r\n", true),
        ("X-Spam: no\r\n\r\n", false), ("Subject: a\r\n\r\nX-Spam: yes\r\n", false), ("X-Spam-Status: yes\r\n", false),
        ("X-Spam: yes", false), ("", false),
    ])
    func `spam is what the header calls so`(_ content: String, _ expected: Bool) {
        let bytes = Array(content.utf8)
        for cut in 0...bytes.count {
            var header = JunkHeader()
            header.scan(Array(bytes[..<cut]))
            header.scan(Array(bytes[cut...]))
            #expect(header.isJunk == expected)
        }
    }
}

@Suite struct AgentArgumentsTests {
    private func commands(_ words: [String]) -> AgentArguments.Commands? {
        guard case .commands(let commands)? = AgentArguments(words)?.duty else { return nil }
        return commands
    }

    @Test func `the words of Parent`() {
        let person = ["bob", "/home/bob", "mx.example.org", "+-"]
        let maildir = AgentArguments(["maildir", "~/Maildir"] + person + ["junk"])
        #expect(maildir?.duty == .maildir(template: "~/Maildir", usesJunk: true))
        #expect(maildir?.delimiters.split("a-b")?.tag == "b")
        let mbox = AgentArguments(["mbox", "/var/mail"] + person)
        #expect(mbox?.duty == .mbox(directory: "/var/mail"))
        let items = AgentArguments.Commands(source: .items, wrapper: nil, running: 7, limitSeconds: 300)
        #expect(commands(["command", "-"] + person + ["7", "-"]) == items)
        let short = AgentArguments.Commands(source: .items, wrapper: "nice %{mda}", running: 300, limitSeconds: 2)
        #expect(commands(["command", "-"] + person + ["999", "nice %{mda}", "2"]) == short)
        let action = AgentArguments.Commands(source: .action("dlv"), wrapper: nil, running: 1, limitSeconds: 300)
        #expect(commands(["mda", "dlv"] + person + ["1", "-"]) == action)
    }

    @Test(arguments: [
        [], ["maildir"], ["maildir", "~/Maildir", "bob", "home", "h", "+"],
        ["mbox", "/var/mail", "../bob", "/home/bob", "h", "+"], ["mbox", "/var/mail", "bob", "/home/bob", "h"],
        ["mbox", "/var/mail", "a/b", "/home/bob", "h", "+"],
        ["maildir", "~/Maildir", "bob", "/home/bob", "h", "+", "x"],
        ["command", "-", "bob", "home", "h", "+", "7", "-"], ["command", "-", "bob", "/home/bob", "h", "+"],
        ["command", "-", "bob", "/home/bob", "h", "+", "0", "-"],
        ["command", "-", "bob", "/home/bob", "h", "+", "7", "-", "x"],
        ["mda", "x", "bob", "/home/bob", "h", "+", "7", "-", "301"],
        ["command", "-", "bob", "/home/bob", "h", "+", "7", "-", "0"],
        ["command", "-", "bob", "/home/bob", "h", "+", "7", "-", "9", "9"],
    ])
    func `other words are refused`(_ words: [String]) {
        #expect(AgentArguments(words) == nil)
    }
}
