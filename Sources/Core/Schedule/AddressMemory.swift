// SPDX-License-Identifier: ISC

public import Mail

/// Which addresses could be connected to lately: the next connection begins with one that works (RFC 8305 section 4).
public struct AddressMemory: Sendable {
    private static let memory = Interval.minutes(10)
    private static let most = 10_000

    // When it last failed, and has not answered since.
    private var failures: [IPAddress: Instant] = [:]
    // Of a whole family: a host without a way to it fails wherever it connects to.
    private var familyFailures: [IPAddress.Family: Instant] = [:]
    private var familySuccesses: [IPAddress.Family: Instant] = [:]

    public init() {}

    public mutating func answered(_ address: IPAddress, now: Instant) {
        failures[address] = nil
        familyFailures[address.family] = nil
        familySuccesses[address.family] = now
    }

    /// It refused, timed out, or another was quicker by as much as one waits for it.
    public mutating func failed(_ address: IPAddress, now: Instant) {
        if failures.count >= Self.most { failures = failures.filter { $0.value + Self.memory > now } }
        if failures.count >= Self.most { failures.removeAll() }
        failures[address] = now
        familyFailures[address.family] = now
    }

    /// The same addresses, those first that may work; otherwise the order is kept.
    public func ordered(_ addresses: [IPAddress], now: Instant) -> [IPAddress] {
        func rank(_ address: IPAddress) -> Int {
            if let failure = failures[address], failure + Self.memory > now { return 2 }
            guard let failure = familyFailures[address.family], failure + Self.memory > now else { return 0 }
            // One host of a family that is down says nothing about the others while some of them answer.
            let answers = familySuccesses[address.family].map { $0 + Self.memory > now } ?? false
            return answers ? 0 : 1
        }
        return addresses.enumerated()
            .map { (rank: rank($0.element), place: $0.offset, address: $0.element) }
            .sorted { ($0.rank, $0.place) < ($1.rank, $1.place) }
            .map(\.address)
    }
}
