// SPDX-License-Identifier: ISC

public import Bytes
import CPosix
import Glibc
public import Posix

/// A spool that forgets everything with its process: for tests, and for a look at how little it takes to be one.
///
/// Completions run in `turn` as with the spool on the disk, and nothing is ever refused for want of room.
public final class MemorySpool: Spool {
    private struct Live {
        var message: SpoolMessage
        var body: UInt64
        var finals: Set<UInt32> = []
    }

    private let wake: FileDescriptor
    private var nextNumber: UInt64 = 1
    private var completions: [() -> Void] = []
    private var messages: [UInt64: Live] = [:]
    private var bodies: [UInt64: [UInt8]] = [:]
    private var records = 0
    public private(set) var tally = SpoolTally()
    private var isClosed = false
    public private(set) var notes: [[UInt8]: [UInt8]] = [:]

    public init() throws(SystemError) {
        wake = FileDescriptor(owning: try SystemError.check("eventfd", martlet_event_descriptor()))
    }

    public var wakeDescriptor: Int32 { wake.number }

    public func turn() {
        var raised: UInt64 = 0
        _ = read(wake.number, &raised, 8)
        let due = completions
        completions = []
        for completion in due { completion() }
    }

    private func later(_ completion: @escaping () -> Void) {
        if completions.isEmpty {
            var one: UInt64 = 1
            _ = write(wake.number, &one, 8)
        }
        completions.append(completion)
    }

    public func commit(
        _ message: SpoolMessage, completion: @escaping (Result<SpoolPosition, SpoolError>) -> Void
    ) {
        let size = message.body?.size ?? 0
        let body = message.body?.take() ?? 0
        let isBodyMissing = message.body != nil && body == 0
        if isClosed || isBodyMissing || message.envelopeCount == 0 || !message.isWithin(size) {
            bodies[body] = nil
            let error: SpoolError = isClosed ? .closed : .unknown
            return later { completion(.failure(error)) }
        }
        let number = next()
        var kept = message
        kept.body = nil
        messages[number] = Live(message: kept, body: body)
        tally.accept(message.envelopeCount, number: number)
        later { completion(.success(SpoolPosition(sequenceNumber: number))) }
    }

    public func record(_ outcome: SpoolOutcome, durability: SpoolDurability) {
        let number = outcome.message.sequenceNumber
        guard !isClosed, var live = messages[number], !live.finals.contains(outcome.envelope) else {
            return answer(durability, .failure(isClosed ? .closed : .unknown))
        }
        let record = next()
        if outcome.isFinal {
            live.finals.insert(outcome.envelope)
            tally.end(outcome.payload, number: record)
        }
        if live.finals.count < Int(live.message.envelopeCount) {
            messages[number] = live
        } else {
            messages[number] = nil
            bodies[live.body] = nil
        }
        answer(durability, .success(()))
    }

    public func note(_ key: [UInt8], _ value: [UInt8], durability: SpoolDurability) {
        if isClosed { return answer(durability, .failure(.closed)) }
        _ = next()
        notes[key] = value.isEmpty ? nil : value
        answer(durability, .success(()))
    }

    private func answer(_ durability: SpoolDurability, _ result: Result<Void, SpoolError>) {
        if let settled = durability.settled, result.isSettled { later(settled) }
        guard let completion = durability.completion else { return }
        later { completion(result) }
    }

    private func next() -> UInt64 {
        defer { nextNumber += 1 }
        records += 1
        return nextNumber
    }

    public func content(
        of position: SpoolPosition, completion: @escaping (Result<[SpoolPiece], SpoolError>) -> Void
    ) {
        if let live = messages[position.sequenceNumber] {
            completion(.success(live.message.pieces))
        } else {
            later { completion(.failure(.unknown)) }
        }
    }

    public func makeBody() -> SpoolBody {
        defer { nextNumber += 1 }
        bodies[nextNumber] = []
        return SpoolBody(number: nextNumber, store: self)
    }

    public func openBody(_ position: SpoolPosition) throws(SpoolError) -> FileDescriptor {
        guard let body = messages[position.sequenceNumber]?.body, let bytes = bodies[body] else { throw .unknown }
        do throws(SystemError) {
            let file = FileDescriptor(
                owning: try SystemError.check("memfd_create", memfd_create("body", UInt32(MFD_CLOEXEC))))
            try file.writeAll(bytes)
            try SystemError.check("lseek", lseek(file.number, 0, SEEK_SET))
            return file
        } catch {
            throw .system(error)
        }
    }

    public var freeSpace: ByteCount { ByteCount(Int.max) }

    public var statistics: SpoolStatistics {
        var result = SpoolStatistics()
        result.messages = messages.count
        result.records = records
        return result
    }

    public func close() {
        isClosed = true
        turn()
    }
}

extension MemorySpool: BodyStore {
    func appendBody(
        _ number: UInt64, _ bytes: [UInt8], completion: ((Result<Void, SpoolError>) -> Void)?
    ) {
        bodies[number]?.append(contentsOf: bytes)
        if let completion { later { completion(.success(())) } }
    }

    func discardBody(_ number: UInt64) { bodies[number] = nil }
}
