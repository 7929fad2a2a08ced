// SPDX-License-Identifier: ISC

import Channel
import Glibc
import IPC
import Mail
import Posix
import Reactor
import Testing

@testable import Listener

/// Queue's end of the edge, read without a loop.
@MainActor
private final class QueueEnd {
    let peer: Peer<QueueToListener, ListenerToQueue>
    private let descriptor: Int32

    deinit { close(descriptor) }

    init() throws {
        var ends: [Int32] = [-1, -1]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        descriptor = ends[1]
        let near = FileDescriptor(owning: ends[0])
        try near.setNonblocking()
        peer = Peer(
            near, greeting: EdgeGreeting(role: .listener, generation: 1), expecting: .queue,
            handle: { _, _, _ in }, ended: { _ in })
    }

    /// What the worker has said since the last call.
    func told() throws -> [ListenerToQueue] {
        peer.flushNow()
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = recv(descriptor, &block, block.count, Int32(MSG_DONTWAIT))
            guard count > 0 else { break }
            bytes += block[..<count]
        }
        var messages: [ListenerToQueue] = []
        var offset = 0
        while let header = try Frame.header(in: bytes, at: offset, end: bytes.count) {
            offset = header.payload.upperBound
            if header.tag != EdgeGreeting.tag { messages.append(try ListenerToQueue(decoding: header, in: bytes)) }
        }
        return messages
    }
}

@MainActor
struct QueueLinkTests {
    @Test func `a new Queue hears nothing of transactions that it does not know`() async throws {
        let link = QueueLink()
        let first = try QueueEnd()
        link.set(first.peer)
        link.add([MessageID(1), MessageID(2), MessageID(3)])
        let ids = [try await link.takeID(), try await link.takeID(), try await link.takeID()]
        try await link.send([1, 2, 3], of: ids[0])
        #expect(try first.told() == [.wantIDs, .wantIDs, .content(ids[0], [1, 2, 3])])

        let second = try QueueEnd()
        link.set(second.peer)
        await #expect(throws: PeerError.gone) { try await link.send([4], of: ids[0]) }
        await #expect(throws: PeerError.gone) { try await link.send([4], of: ids[1]) }
        let request = CommitRequest(
            message: ids[1], session: SessionID(1), envelopes: 1, pieces: [], request: MessageRequest())
        await #expect(throws: PeerError.gone) { _ = try await link.commit(request) }
        for id in ids { link.rollback(id) }
        #expect(try second.told() == [.wantIDs])

        link.add([MessageID(4)])
        let id = try await link.takeID()
        link.rollback(id)
        link.rollback(id)
        #expect(try second.told() == [.wantIDs, .rollback(id)])
    }

    @Test func `what was sent beyond the credit is paid before more is sent`() async throws {
        let link = QueueLink()
        let queue = try QueueEnd()
        link.set(queue.peer)
        link.add([MessageID(1)])
        let id = try await link.takeID()
        let piece = [UInt8](repeating: 0x61, count: 1 << 16)
        for _ in 0..<QueueToListener.initialCredit / UInt64(piece.count) {
            try await link.send(piece, of: id)
            #expect(try queue.told().last == .content(id, piece))
        }
        var sent = 0
        let sender = Task {
            for _ in 0..<2 {
                try await link.send(piece, of: id)
                sent += 1
            }
        }
        func settle() async { for _ in 0..<100 { await Task.yield() } }
        await settle()
        #expect(sent == 0)
        link.credit(id, 1)
        await settle()
        #expect(sent == 1)
        link.credit(id, UInt64(piece.count) - 1)
        await settle()
        #expect(sent == 1)
        link.credit(id, 1)
        try await sender.value
        #expect(sent == 2)
    }

    @Test func `who waits for an id longest is woken first, and all get theirs`() async throws {
        let link = QueueLink(patienceMilliseconds: 3_600_000)
        func settle(_ waiting: Int) async throws {
            for _ in 0..<1_000_000 where link.waitingCount != waiting { await Task.yield() }
            try #require(link.waitingCount == waiting)
        }
        let queue = try QueueEnd()
        link.set(queue.peer)
        let first = Task { try await link.takeID() }
        try await settle(1)
        let moment = try #require(link.wakesAt)
        let start = Loop.milliseconds
        while Loop.milliseconds < start + 5 {}
        let later = [Task { try await link.takeID() }, Task { try await link.takeID() }]
        try await settle(3)
        #expect(link.wakesAt == moment)
        _ = try queue.told()
        link.add([MessageID(1)])
        #expect(link.wakesAt == nil)
        // Who is left asks for more, and waits for no longer than from when it came.
        try await settle(2)
        #expect(try queue.told().contains(.wantIDs))
        #expect(try #require(link.wakesAt) > moment)
        link.add([MessageID(2), MessageID(3)])
        var ids: Set<MessageID> = [try await first.value]
        for waiter in later { ids.insert(try await waiter.value) }
        #expect(ids == [MessageID(1), MessageID(2), MessageID(3)])
        #expect(link.wakesAt == nil)
    }
}
