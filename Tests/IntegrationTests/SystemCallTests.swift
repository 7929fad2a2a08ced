// SPDX-License-Identifier: ISC

import Foundation
import Glibc
import Testing

extension WholeHouse.Private {
    struct SystemCalls {
        private static let traced = [
            "openat", "openat2", "pwrite64", "pwritev", "pwritev2", "write", "writev", "fallocate", "ftruncate",
            "truncate", "fdatasync", "fsync", "sync_file_range", "rename", "renameat", "renameat2", "unlink",
            "unlinkat", "mkdir", "mkdirat", "link", "linkat", "symlinkat", "copy_file_range", "sendfile", "splice",
        ]

        /// Whether one process may trace another here: some containers forbid it to root as well.
        private static var mayTrace: Bool {
            (try? Program.run(["strace", "-o", "/dev/null", "true"]))?.status == 0
        }

        @Test(.enabled(if: mayTrace, "ptrace(2) is forbidden here, so Queue cannot be watched by strace"))
        func `what Queue does to its files is what the crash matrix models, and nothing else`() throws {
            let instance = try Instance()
            let port = try Host.freePort()
            try instance.start(instance.usual(relay: "host smtp://127.0.0.1:\(port)"))
            let isPrepared = eventually(within: 60) {
                let names = (try? FileManager.default.contentsOfDirectory(atPath: "\(instance.spool)/journal")) ?? []
                return names.count >= 3 && names.allSatisfy { $0.hasSuffix(".seg") }
            }
            #expect(isPrepared)
            let queue = try #require(instance.daemons().first { $0.role == "queue" })
            let trace = "\(instance.directory)/trace"
            let tracer = try Program([
                "strace", "-f", "-y", "-xx", "-s", "1100000", "-o", trace, "-e",
                "trace=" + Self.traced.joined(separator: ","), "-p", "\(queue.pid)",
            ])
            try #require(tracer.errors.wait(for: "attached", seconds: 60) != nil, "\(tracer.errors.text)")
            let before = "\(instance.directory)/before"
            try FileManager.default.copyItem(atPath: instance.spool, toPath: before)

            let people = instance.people
            try instance.submit(to: (0..<40).map { "\(people[$0])@example.org" })
            try instance.submit(to: ["bob@example.com"], "Subject: waits\n\nwaits")
            let large = String(repeating: "a line of a large message\n", count: 20_000)
            try instance.submit(to: ["\(people[0])@example.org"], "Subject: large\n\n\(large)")
            try instance.submit(to: ["bob@example.com"], "Subject: large\n\n\(large)")
            #expect(instance.mailbox(people[0]).waitForMessages(2))
            try instance.control("hold", "all")
            try instance.control("release", "all")
            let line = try #require(try instance.queueLines().first)
            try instance.control("remove", String(line.prefix(16)))
            try instance.stop()
            tracer.wait(seconds: 60)

            let result = try Program.run(["python3", Host.support("replay.py"), trace, before, instance.spool])
            #expect(result.status == 0, "\(result.lines.joined(separator: "\n")) \(result.errors)")
            for call in ["pwrite64", "fdatasync", "fsync", "unlinkat"] {
                #expect(result.lines.contains { $0.contains(" \(call)=") }, "\(result.lines)")
            }
        }
    }
}
