// SPDX-License-Identifier: ISC

public import IPC
import Mail
public import Posix
import Reactor

/// Where martletctl asks this daemon. Whatever a client sends can end only that client's own connection.
public final class ControlDesk {
    private static let mostClients = 32
    // The largest answer, a message that is shown, and a little more.
    private static let mostUnsent = 80 << 20

    private let role: Role
    private let answer: (ControlRequest) async -> [ControlAnswer]
    private var acceptor: Acceptor?
    private var clients: [Int: Peer<ControlRequest, ControlAnswer>] = [:]
    private var nextNumber = 0

    /// `answer` ends its list with `done`, `more` or `failed`.
    public init(
        _ socket: consuming FileDescriptor, role: Role, answer: @escaping (ControlRequest) async -> [ControlAnswer]
    ) {
        self.role = role
        self.answer = answer
        acceptor = Acceptor(socket) { [unowned self] client, _ in accept(client) }
    }

    private func accept(_ descriptor: consuming FileDescriptor) {
        guard clients.count < Self.mostClients else { return }
        let number = nextNumber
        nextNumber += 1
        clients[number] = Peer(
            descriptor, greeting: EdgeGreeting(role: role, generation: 0), expecting: .control,
            handle: { [weak self] request, correlation, _ in
                guard let self, let client = clients[number] else { return }
                Task {
                    for part in await self.answer(request) { client.answer(correlation, part) }
                    // One that asks without reading would fill our memory with answers.
                    if client.unsent > Self.mostUnsent {
                        client.close()
                        self.clients[number] = nil
                    }
                }
            },
            ended: { [weak self] _ in self?.clients[number] = nil })
    }
}

/// Counts by name, for `show stats`.
public final class Counters {
    private var counts: [String: Int64] = [:]

    public init() {}

    public func add(_ name: String, _ amount: Int64 = 1) { counts[name, default: 0] += amount }
    public func set(_ name: String, _ value: Int64) { counts[name] = value }
    public subscript(name: String) -> Int64 { counts[name] ?? 0 }

    /// One record for each, in the order of their names.
    public var answers: [ControlAnswer] {
        let records = counts.sorted { $0.key < $1.key }.map { name, value in
            ControlAnswer.record([ControlField(name: name, value: .number(value))])
        }
        return records + [.done(count: UInt64(counts.count))]
    }
}
