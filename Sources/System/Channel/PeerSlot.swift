// SPDX-License-Identifier: ISC

public import IPC
import Reactor

/// The edge to a process that may be replaced at any time: who needs it while it is away waits a little.
public final class PeerSlot<Incoming: EdgeMessage, Outgoing: EdgeMessage> {
    // Replacing a process takes far less; a client that waits longer is better told to come back.
    private static var patienceMilliseconds: UInt64 { 10_000 }

    public private(set) var peer: Peer<Incoming, Outgoing>?
    private var waiting: [UnsafeContinuation<Void, Never>] = []
    private let timer = Timer()

    public init() {}

    public func set(_ peer: Peer<Incoming, Outgoing>) {
        self.peer?.close()
        self.peer = peer
        wake()
    }

    public func clear() { peer = nil }

    /// The edge, as soon as it is there.
    public func current() async throws(PeerError) -> Peer<Incoming, Outgoing> {
        if let peer { return peer }
        if waiting.isEmpty { timer.start(afterMilliseconds: Self.patienceMilliseconds) { [weak self] in self?.wake() } }
        await withUnsafeContinuation { waiting.append($0) }
        guard let peer else { throw .gone }
        return peer
    }

    public func request(
        _ message: Outgoing, timeoutMilliseconds: UInt64 = 60_000
    ) async throws(PeerError) -> Incoming {
        try await current().request(message, timeoutMilliseconds: timeoutMilliseconds)
    }

    private func wake() {
        timer.stop()
        let continuations = waiting
        waiting = []
        for continuation in continuations { continuation.resume() }
    }
}
