// SPDX-License-Identifier: ISC

import Channel
import IPC
import Mail
import Reactor

/// The edge to Queue with what belongs to it: ids for transactions, and how much content may be on its way.
final class QueueLink {
    // Ids are asked for anew when so few are left that a burst could use them up before the answer.
    private static let fewIDs = 64
    // More than Queue ever gives.
    private static let mostIDs = 4096

    private(set) var peer: Peer<QueueToListener, ListenerToQueue>?
    private var ids: [MessageID] = []
    // Given to sessions by this Queue: of those of an earlier one it knows nothing, and must not be told.
    private var open: Set<MessageID> = []
    private var hasAsked = false
    private var waiting: [UnsafeContinuation<Void, Never>] = []
    private var transfers: [MessageID: Transfer] = [:]
    var waitingCount: Int { waiting.count }
    private let patienceMilliseconds: UInt64
    private let timer = Timer()
    /// When those who wait for an id are told to look for themselves.
    private(set) var wakesAt: UInt64?

    private struct Transfer {
        /// What may be sent; below zero after a piece that was larger than what was left.
        var allowance = Int64(QueueToListener.initialCredit)
        var waiting: UnsafeContinuation<Void, Never>?
    }

    /// A session waits so long for an id.
    init(patienceMilliseconds: UInt64 = 10_000) { self.patienceMilliseconds = patienceMilliseconds }

    func set(_ peer: Peer<QueueToListener, ListenerToQueue>) {
        self.peer?.close()
        forget()
        self.peer = peer
        hasAsked = true
        peer.send(.wantIDs)
    }

    func clear() {
        peer = nil
        forget()
    }

    func add(_ new: [MessageID]) {
        hasAsked = false
        ids += new.prefix(max(0, Self.mostIDs - ids.count))
        wake()
    }

    /// An id for a new transaction.
    func takeID() async throws(PeerError) -> MessageID {
        let deadline = Loop.milliseconds + patienceMilliseconds
        while ids.isEmpty {
            guard Loop.milliseconds < deadline else { throw .gone }
            askForIDs()
            // Whoever waits first is woken first; those who came later see that it is not their time yet.
            if waiting.isEmpty { wake(at: deadline) }
            await withUnsafeContinuation { waiting.append($0) }
        }
        guard let id = ids.popLast() else { throw .gone }
        open.insert(id)
        if ids.count < Self.fewIDs { askForIDs() }
        return id
    }

    private func askForIDs() {
        guard !hasAsked, let peer else { return }
        hasAsked = true
        peer.send(.wantIDs)
    }

    /// Sends content of a transaction, waiting while too much of it is on its way.
    func send(_ bytes: [UInt8], of message: MessageID) async throws(PeerError) {
        guard !bytes.isEmpty else { return }
        guard let peer, open.contains(message) else { throw .gone }
        while let allowance = transfers[message]?.allowance, allowance <= 0 {
            await withUnsafeContinuation { transfers[message]?.waiting = $0 }
            guard self.peer === peer, transfers[message] != nil else { throw .gone }
        }
        // One piece may overdraw the allowance; it is bounded by the size of a buffer. The next ones wait until that is
        // paid, or a slow disk would let what is on its way grow by every piece.
        transfers[message, default: Transfer()].allowance -= Int64(bytes.count)
        peer.send(.content(message, bytes))
    }

    func credit(_ message: MessageID, _ bytes: UInt64) {
        guard var transfer = transfers[message] else { return }
        let (allowance, overflow) = transfer.allowance.addingReportingOverflow(Int64(clamping: bytes))
        transfer.allowance = overflow ? .max : allowance
        let continuation = allowance > 0 || overflow ? transfer.waiting : nil
        if continuation != nil { transfer.waiting = nil }
        transfers[message] = transfer
        continuation?.resume()
    }

    func commit(_ request: CommitRequest) async throws(PeerError) -> Reply? {
        guard let peer, open.contains(request.message) else { throw .gone }
        transfers[request.message] = nil
        switch try await peer.request(.commit(request), timeoutMilliseconds: 120_000) {
        case .committed:
            open.remove(request.message)
            return nil
        case .refused(let reply): return reply
        case .ids, .credit, .inject:
            peer.close()
            throw .gone
        }
    }

    func rollback(_ message: MessageID) {
        transfers[message] = nil
        if open.remove(message) != nil { peer?.send(.rollback(message)) }
    }

    private func forget() {
        ids = []
        open = []
        hasAsked = false
        let gone = transfers
        transfers = [:]
        for transfer in gone.values { transfer.waiting?.resume() }
    }

    private func wake(at deadline: UInt64) {
        wakesAt = deadline
        timer.start(afterMilliseconds: deadline - min(deadline, Loop.milliseconds)) { [weak self] in self?.wake() }
    }

    private func wake() {
        timer.stop()
        wakesAt = nil
        let continuations = waiting
        waiting = []
        for continuation in continuations { continuation.resume() }
    }
}
