// SPDX-License-Identifier: ISC

import Testing

extension WholeHouse.Unprivileged {
    struct Restarts {
        enum End: CaseIterable {
            case orderly
            case crash
        }

        @Test(arguments: End.allCases) func `what waits outlives Martlet and is delivered once`(end: End) throws {
            let instance = try Instance()
            let port = try Host.freePort()
            let configuration = instance.usual(relay: "host smtp://127.0.0.1:\(port)")
            try instance.start(configuration)
            let body = "Subject: waits\n\n" + String(repeating: "0123456789\n", count: 200)
            for _ in 1...10 { try instance.submit(to: ["bob@example.com", "carol@example.com"], body) }
            // Above the bound of what lies in the journal.
            let large = "Subject: large\n\n" + String(repeating: "0123456789 abcdefghij\n", count: 20_000)
            try instance.submit(to: ["bob@example.com"], large)
            let before = try instance.queueLines().compactMap { $0.split(separator: "|").first }
            #expect(before.count == 21)
            for _ in 1...2 {
                switch end {
                case .orderly: try instance.stop()
                case .crash: #expect(try instance.crash())
                }
                try instance.start(configuration)
                #expect(try instance.queueLines().compactMap { $0.split(separator: "|").first } == before)
            }
            // A next hop that refused the connection is left alone for a while; a new relay knows nothing of that.
            try instance.stop()
            let sink = try Sink(instance, port: port)
            try instance.start(configuration)
            try instance.control("schedule", "all")
            let isEmpty = try instance.isQueueEmpty()
            #expect(isEmpty, "\(instance.queueText)")
            var recipients: [String: Int] = [:]
            for line in sink.messages {
                let names = line.split(separator: " ").last?.dropFirst(3).split(separator: ",") ?? []
                for name in names { recipients[String(name), default: 0] += 1 }
            }
            #expect(recipients == ["bob@example.com": 11, "carol@example.com": 10])
            let largeOnes = sink.contents().filter { $0.headerField("Subject") == "large" }
            #expect(largeOnes.map { $0.messageBody } == [large.messageBody + "\n"])
            // Nothing comes twice after the next start.
            let count = sink.messages.count
            try instance.stop()
            try instance.start(configuration)
            #expect(try instance.queueLines().isEmpty)
            #expect(sink.messages.count == count)
            try instance.stop()
        }
    }
}
