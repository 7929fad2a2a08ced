// SPDX-License-Identifier: ISC

import Glibc
import Reactor

/// A transport as moody as one may be: moves few bytes at a time, changes each of them on its way, and now and then
/// wants to write before it can read, or to be asked again.
final class Scrambler: Transport {
    private static let mask: UInt8 = 0x5A
    private static let mostAtOnce = 5_000

    private let number: Int32
    private var reads = 0
    private var writes = 0
    private(set) var hasEnded = false

    init(_ number: Int32) { self.number = number }

    func read(into buffer: UnsafeMutableRawBufferPointer) -> TransportResult {
        reads += 1
        if reads.isMultiple(of: 11) { return .wantsToWrite }
        let count = recv(number, buffer.baseAddress, min(buffer.count, Self.mostAtOnce), Int32(MSG_DONTWAIT))
        if count == 0 { return .ended }
        guard count > 0 else {
            return errno == EAGAIN ? .wantsToRead : .failed(.broken("recv"))
        }
        for index in 0..<count { buffer[index] ^= Self.mask }
        return .moved(count)
    }

    func write(_ bytes: UnsafeRawBufferPointer) -> TransportResult {
        writes += 1
        if writes.isMultiple(of: 13) { return .wantsToWrite }
        let scrambled = bytes.prefix(Self.mostAtOnce).map { $0 ^ Self.mask }
        let count = send(number, scrambled, scrambled.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
        guard count > 0 else { return errno == EAGAIN ? .wantsToWrite : .failed(.broken("send")) }
        return .moved(count)
    }

    func endOutput() { hasEnded = true }
}

/// A transport that takes whatever comes, and never has anything for its reader: a record that is not whole.
final class Swallower: Transport {
    private let number: Int32

    init(_ number: Int32) { self.number = number }

    func read(into buffer: UnsafeMutableRawBufferPointer) -> TransportResult {
        while recv(number, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT)) > 0 {}
        return .wantsToRead
    }

    func write(_ bytes: UnsafeRawBufferPointer) -> TransportResult { .moved(bytes.count) }
    func endOutput() {}
}
