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

        @Test func `mail that users leave while nothing runs is sent when it does`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            try instance.stop()
            let user = Host.isPrivate ? Host.account("gilles") : instance.owner
            let person = instance.people[1]
            let kept = try Program.run(
                [try tool("sendmail", instance), "-t", "-f", "alice@example.org"],
                input: "To: \(person)@example.org\nSubject: later\n\nbody\n", environment: environment(instance),
                as: user)
            #expect(kept.status == 75 && kept.errors.contains("waits"), "\(kept.errors)")
            let offline = "\(instance.directory)/offline"
            let names = try FileManager.default.contentsOfDirectory(atPath: offline)
            #expect(names.count == 1)
            // What nobody but its owner put there is left alone: a link, and bytes that sendmail did not write.
            let secret = "\(instance.directory)/secret"
            try "To: \(person)@example.org\n\nsecret\n".write(toFile: secret, atomically: false, encoding: .utf8)
            try FileManager.default.createSymbolicLink(atPath: "\(offline)/1.link", withDestinationPath: secret)
            try FileManager.default.linkItem(atPath: secret, toPath: "\(offline)/2.link")
            try "-t|\nTo: \(person)@example.org\n\nno\n".write(
                toFile: "\(offline)/3.other", atomically: false, encoding: .utf8)
            if let user { chown("\(offline)/3.other", user.uid, user.gid) }
            try instance.start()
            #expect(instance.mailbox(person).waitForMessages(1))
            #expect(instance.mailbox(person).messages.first?.messageBody == "body\n")
            #expect(
                eventually(within: 60) {
                    let left = (try? FileManager.default.contentsOfDirectory(atPath: offline)) ?? []
                    return Set(left) == ["1.link", ".aside.2.link", ".aside.3.other"]
                })
            #expect(instance.mailbox(person).count == 1)
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
