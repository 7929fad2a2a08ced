// SPDX-License-Identifier: ISC

import Glibc
import Mail
import Posix
import Reactor

/// Opens connections.
enum Dialing {
    /// A connected socket; at most the time given is waited.
    static func connect(
        to address: SocketAddress, from source: IPAddress?, timeoutMilliseconds: UInt64
    ) async throws(SystemError) -> FileDescriptor {
        let descriptor = try FileDescriptor.connect(to: address, from: source)
        try await finish(descriptor, timeoutMilliseconds: timeoutMilliseconds)
        return descriptor
    }

    /// Waits until a socket that is connecting has done so.
    static func finish(
        _ descriptor: borrowing FileDescriptor, timeoutMilliseconds: UInt64
    ) async throws(SystemError) {
        let number = descriptor.number
        let isTimeout = await withUnsafeContinuation { (continuation: UnsafeContinuation<Bool, Never>) in
            var watch: Watch?
            watch = Watch(number, for: .writing) { isTimeout in
                // Let go before the descriptor is closed; held until here.
                watch?.disable()
                watch = nil
                continuation.resume(returning: isTimeout)
            }
            watch?.enable(timeoutMilliseconds: timeoutMilliseconds)
        }
        if isTimeout { throw SystemError("connect", ETIMEDOUT) }
        if let error = descriptor.connectionError { throw error }
    }
}
