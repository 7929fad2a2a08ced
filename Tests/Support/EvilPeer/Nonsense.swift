// SPDX-License-Identifier: ISC

import Channel
import Glibc
import IPC
import Mail
import Reactor

/// What no honest process says on any edge.
extension EvilProcess {
    enum Nonsense: CaseIterable {
        case bytes, frames, cut, trailing, oversized, short, wrongRole, wrongVersion, descriptor, mutated
    }

    /// Another kind for each pair of processes.
    func talkNonsense(on edge: RawEdge) async {
        let kinds = Nonsense.allCases
        let seed = child.assignment.generation &+ edge.grant.generation
        var random = Dice(UInt64(seed))
        let kind = kinds[Int(seed) % kinds.count]
        var sample = sample(for: edge)
        switch kind {
        case .bytes:
            return await edge.send((0..<65536).map { _ in random.byte() })
        case .wrongRole:
            return await edge.greet(as: .control)
        case .wrongVersion:
            return await edge.greet(version: 77)
        case .frames, .cut, .trailing, .oversized, .short, .descriptor, .mutated:
            await edge.greet()
        }
        switch kind {
        case .frames:
            for _ in 0..<500 {
                let payload = (0..<Int(random.byte() % 64)).map { _ in random.byte() }
                let head = [UInt8(9 + payload.count), 0, 0, 0, random.byte() % 16]
                await edge.send(head + (0..<8).map { _ in random.byte() & 1 } + payload)
            }
        case .cut:
            sample.removeLast()
            await edge.send(Self.withLength(sample))
        case .trailing:
            await edge.send(Self.withLength(sample + [0]))
        case .oversized:
            await edge.send([0xF0, 0xFF, 0xFF, 0xFF, 1] + sample)
        case .short:
            await edge.send([3, 0, 0, 0, 1, 2, 3])
        case .descriptor:
            await edge.send(sample, passing: 2)
        case .mutated:
            for _ in 0..<500 {
                var copy = sample
                for _ in 0..<3 { copy[4 + Int(random.next() % UInt64(copy.count - 4))] = random.byte() }
                await edge.send(copy)
            }
            // Should all of them have been sense by chance.
            await edge.send([3, 0, 0, 0])
        case .bytes, .wrongRole, .wrongVersion:
            break
        }
    }

    private static func withLength(_ frame: [UInt8]) -> [UInt8] {
        var length: [UInt8] = []
        UInt32(frame.count - 4).encode(to: &length)
        return length + frame[4...]
    }

    /// Asks for as much as it can in a second and reads nothing of what it is told.
    func talkWithoutListening(on edge: RawEdge) async {
        await edge.greet()
        let sample = sample(for: edge, correlation: 1)
        let many = Array(repeatElement(sample, count: max(1, 65536 / sample.count)).joined())
        let end = Loop.milliseconds + 1000
        while edge.isOpen, Loop.milliseconds < end { await edge.send(many) }
    }

    /// A message that is allowed, with something in it.
    func sample(for edge: RawEdge, correlation: UInt64 = 0) -> [UInt8] {
        let id = EnvelopeID(MessageID(7), number: 1)
        switch (role, edge.grant.role) {
        case (.listener, .lookup): return edge.frame(expansion(of: "news"), correlation: correlation)
        case (.listener, .queue):
            let end = InjectionResult.refused(Reply(451, nil, "no"))
            return edge.frame(ListenerToQueue.injected(end), correlation: 1 << 63 | 5)
        case (.lookup, .queue):
            return edge.frame(
                LookupToQueue.store(worker: 0, generation: 1, message: MessageID(7), number: 0, []))
        case (.lookup, .parent):
            return edge.frame(LookupToParent.account(.user(named: "news")), correlation: correlation)
        case (.lookup, .listener): return edge.frame(LookupToListener.accepted(envelopes: 1))
        case (.lookup, .relay): return edge.frame(LookupToRelay.source(nil))
        case (.queue, .listener): return edge.frame(QueueToListener.ids([MessageID(7)]))
        case (.queue, .relay), (.queue, .local): return edge.frame(QueueToDelivery.cancel([id]))
        case (.relay, .queue), (.local, .queue):
            return edge.frame(DeliveryToQueue.outcome(id, .deferred(Reply(451, nil, "no"))))
        case (.relay, .lookup): return edge.frame(RelayToLookup.source(action: "out"), correlation: correlation)
        case (.local, .parent):
            return edge.frame(
                LocalToParent.agent(action: "none", user: "news", kind: .mailbox), correlation: correlation)
        case (.resolver, _): return edge.frame(FromResolver.name(.absent))
        case (_, .resolver):
            guard let address = IPAddress("127.0.0.1") else { return [0] }
            return edge.frame(ToResolver.name(of: address), correlation: correlation)
        default: return edge.frame(FromKeys.refused("no"))
        }
    }
}

/// Numbers that are the same in each run.
nonisolated struct Dice: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }

    mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: next() >> 24) }
}
