// SPDX-License-Identifier: ISC

import Glibc
import IPC
import Mail
import Posix
import Spool
import Testing

@testable import Channel
@testable import Queue

/// The worker's end of the edge, read without a loop.
@MainActor
private final class Worker {
    let listener = ListenerID(worker: 1, generation: 7)
    let line: Peer<ListenerToQueue, QueueToListener>
    private let descriptor: Int32

    deinit { close(descriptor) }

    init() throws {
        var ends: [Int32] = [-1, -1]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        descriptor = ends[1]
        let near = FileDescriptor(owning: ends[0])
        try near.setNonblocking()
        line = Peer(
            near, greeting: EdgeGreeting(role: .queue, generation: 1), expecting: .listener,
            handle: { _, _, _ in }, ended: { _ in })
    }

    /// What Queue has said since the last call.
    func told() throws -> [QueueToListener] {
        line.flushNow()
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = recv(descriptor, &block, block.count, Int32(MSG_DONTWAIT))
            guard count > 0 else { break }
            bytes += block[..<count]
        }
        var messages: [QueueToListener] = []
        var offset = 0
        while let header = try Frame.header(in: bytes, at: offset, end: bytes.count) {
            offset = header.payload.upperBound
            if header.tag != EdgeGreeting.tag { messages.append(try QueueToListener(decoding: header, in: bytes)) }
        }
        return messages
    }

    func ids() throws -> [MessageID] {
        try told().flatMap { message -> [MessageID] in
            if case .ids(let ids) = message { ids } else { [] }
        }
    }
}

@MainActor
struct IntakeTests {
    private func intake() throws -> Intake {
        Intake(try MemorySpool(), isLive: { _ in false }, accepted: { _, _, _ in })
    }

    @Test func `clients that sit in their transactions leave ids for others`() throws {
        let intake = try intake()
        let worker = try Worker()
        intake.join(worker.listener, worker.line)
        var ids = Set(try worker.ids())
        #expect(!ids.isEmpty)
        // None of them is ever used or given back.
        while ids.count < 10_000 {
            let before = ids.count
            #expect(intake.heard(.wantIDs, Correlation(value: 0), from: worker.listener) == nil)
            ids.formUnion(try worker.ids())
            try #require(ids.count > before)
        }
    }

    @Test func `a worker that wants ids without end is answered, and gets no more than it could use`() throws {
        let intake = try intake()
        let worker = try Worker()
        intake.join(worker.listener, worker.line)
        var count = try worker.ids().count
        for _ in 1...1000 {
            #expect(intake.heard(.wantIDs, Correlation(value: 0), from: worker.listener) == nil)
            let told = try worker.told()
            #expect(told.count == 1)
            if case .ids(let ids)? = told.first { count += ids.count }
        }
        #expect(count == 65_536)
    }
}
