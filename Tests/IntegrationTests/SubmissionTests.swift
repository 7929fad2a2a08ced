// SPDX-License-Identifier: ISC

import Foundation
import Glibc
import Testing

extension WholeHouse.Unprivileged {
    /// The sendmail command and its family, which talk to the local socket.
    struct Submissions {
        /// `name` as which martletctl is called, in the instance's directory.
        private func tool(_ name: String, _ instance: Instance) throws -> String {
            let path = "\(instance.directory)/\(name)"
            try FileManager.default.createSymbolicLink(
                atPath: path, withDestinationPath: Host.program("martletctl"))
            return path
        }

        private func environment(_ instance: Instance) -> [String: String] {
            ["MARTLET_INSTANCE": instance.directory]
        }

        @Test func `sendmail delivers for an ordinary user, and adds what is missing`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            let user = Host.isPrivate ? Host.account("gilles") : instance.owner
            let person = instance.people[1]
            let result = try Program.run(
                [try tool("sendmail", instance), "-i", "\(person)@example.org"],
                input: "Subject: from the command line\n\n.\nstill here\n", environment: environment(instance), as: user
            )
            #expect(result.status == 0, "\(result.errors)")
            #expect(instance.mailbox(person).waitForMessages(1))
            let message = try #require(instance.mailbox(person).messages.first)
            #expect(message.messageBody == ".\nstill here\n")
            let from = try #require(message.headerField("From"))
            if Host.isPrivate { #expect(from.contains("gilles@")) }
            #expect(message.headerField("Date") != nil)
            #expect(message.headerField("Message-ID") != nil)
            try instance.stop()
        }

        @Test func `recipients are read from the message, and Bcc is not told`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            let (one, two) = (instance.people[1], instance.people[2])
            let result = try Program.run(
                [try tool("sendmail", instance), "-t", "-f", "alice@example.org"],
                input: "To: \(one)@example.org\nBcc: \(two)@example.org\nSubject: both\n\ntext\n",
                environment: environment(instance), as: instance.owner)
            #expect(result.status == 0, "\(result.errors)")
            for person in [one, two] {
                #expect(instance.mailbox(person).waitForMessages(1))
                let message = try #require(instance.mailbox(person).messages.first)
                #expect(message.headerField("Bcc") == nil)
                #expect(message.hasPrefix("Return-Path: <alice@example.org>\n"))
            }
            try instance.stop()
        }

        @Test func `mailq shows the queue to whoever may see it`() throws {
            let instance = try Instance()
            let sink = try Sink(instance)
            try instance.start(instance.usual(relay: instance.relay(to: sink)))
            try instance.control("pause", "mta")
            try instance.submit(to: ["bob@example.com"])
            let result = try Program.run(
                [try tool("mailq", instance)], environment: environment(instance), as: instance.owner)
            #expect(result.status == 0, "\(result.errors)")
            let identifiers = try instance.queueLines().map { $0.prefix(16) }
            #expect(identifiers.count == 1)
            #expect(result.lines.map { $0.prefix(16) } == identifiers)
            try instance.stop()
        }
    }
}

extension WholeHouse.Private {
    struct Strangers {
        @Test func `an ordinary user can neither see the queue nor change it`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            let gilles = try #require(Host.account("gilles"))
            for words in [["show", "queue"], ["remove", "all"], ["stop"], ["pause", "mta"]] {
                let result = try Program.run(
                    [Host.program("martletctl"), "--instance", instance.directory] + words, as: gilles)
                #expect(result.status == 1)
                #expect(result.errors.contains("need root privileges"), "\(result.errors)")
            }
            #expect(try instance.control("show", "status").status == 0)
            try instance.stop()
        }
    }
}
