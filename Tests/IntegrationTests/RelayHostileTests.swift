// SPDX-License-Identifier: ISC

import Foundation
import Testing

extension WholeHouse.Unprivileged {
    /// Servers that break the protocol in every way, and what becomes of the mail for them.
    struct HostileHosts {
        private static let broken = ["flood", "endless", "code", "letters", "silent"]
        private static let odd = ["bare-lf", "nul"]

        /// Every domain has a host of its own.
        private func configuration(_ instance: Instance, _ hosts: [(String, Int)]) -> String {
            let entries = hosts.map { "\"\($0.0).example.com\" = \"smtp://127.0.0.1:\($0.1)\"" }
            return """
                listen on 127.0.0.1 port \(instance.port)
                table hosts { \(entries.joined(separator: ", ")) }
                action "out" relay domain <hosts>
                match for any action "out"

                """
        }

        @Test func `mail for hosts that break the protocol waits, all other mail goes out`() throws {
            let instance = try Instance()
            let servers = try HostileServers(Self.broken + Self.odd)
            let sink = try Sink(instance)
            try instance.start(
                configuration(instance, servers.ports.map { ($0.key, $0.value) } + [("good", sink.port)]))
            for mode in Self.broken + Self.odd { try instance.submit(to: ["bob@\(mode).example.com"]) }
            for mode in Self.broken { #expect(servers.waitForConnection(mode), "\(mode): \(instance.lastWords)") }
            // Line ends and bytes of the replies are odd, but what they say is clear.
            for mode in Self.odd { #expect(servers.waitForMessage(mode), "\(mode): \(instance.lastWords)") }
            let deferred = eventually(within: 60) {
                Set(Self.broken).subtracting(["silent"]).allSatisfy { mode in
                    !instance.log.lines(containing: "to=<bob@\(mode).example.com>").filter {
                        $0.contains("result=\"TempFail\"")
                    }.isEmpty
                }
            }
            #expect(deferred, "\(instance.lastWords)")
            for number in 1...5 { try instance.submit(to: ["bob\(number)@good.example.com"]) }
            #expect(sink.waitForMessages(5), "\(instance.lastWords)")
            let waiting = try instance.queueLines()
            #expect(waiting.count == Self.broken.count, "\(waiting)")
            for process in instance.daemons() where process.role == "relay" {
                let peak = try #require(process.peakMemory())
                #expect(peak < HouseProcess.memoryLimit, "\(process.role): \(peak)")
            }
            try instance.stop()
        }

        @Test func `a host that closes at every byte gets the message in the end`() throws {
            let instance = try Instance()
            let servers = try HostileServers(["every-byte"])
            try instance.start(configuration(instance, servers.ports.map { ($0.key, $0.value) }))
            // From nobody: so many tries would otherwise end in a word to the sender.
            try instance.submit(from: "", to: ["bob@every-byte.example.com"])
            #expect(servers.waitForClosed("every-byte", 1), "\(instance.lastWords)")
            // Greeting, five replies and their line ends are fewer bytes than that.
            var tries = 1
            while tries < 100, try !instance.queueLines().isEmpty {
                let before = servers.connections("every-byte")
                let isOut = try eventually(within: 60) {
                    try instance.control("schedule", "all")
                    return try servers.connections("every-byte") > before || instance.queueLines().isEmpty
                }
                try #require(isOut, "\(instance.lastWords)")
                tries = servers.connections("every-byte")
            }
            #expect(try instance.queueLines().isEmpty, "\(instance.queueText)")
            // It is sent again while the reply to the content is cut off, and not once more.
            let sent = servers.messages("every-byte")
            #expect(sent >= 1 && sent <= "250 ok\r\n".utf8.count + 1, "\(sent)")
            try instance.stop()
        }
    }
}
