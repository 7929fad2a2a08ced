// SPDX-License-Identifier: ISC

import Channel
import Glibc
import Mail
import Posix
import Reactor

/// Connects to the first of several addresses of one host that answers (RFC 8305 section 5): each has a little time
/// alone, then the next is tried beside it; whoever is connected first wins, and the others are given up.
final class DialRace {
    struct Winner {
        let index: Int
        let descriptor: Held
    }

    // RFC 8305 section 8: the Connection Attempt Delay.
    static let headStartMilliseconds: UInt64 = 250

    private struct Attempt {
        let descriptor: Held
        let watch: Watch
        let begun: UInt64
    }

    private let addresses: [SocketAddress]
    private let source: IPAddress?
    private let patience: UInt64
    private let began: (Int) -> Void
    private let lost: (Int, SystemError?) -> Void
    private var attempts: [Int: Attempt] = [:]
    private var next = 0
    private let timer = Timer()
    private var continuation: UnsafeContinuation<Winner?, Never>?

    /// `began` is told of each attempt, `lost` of each that failed, without an error when another was quicker by the whole
    /// time that it had alone. At most the time given is waited for each.
    init(
        _ addresses: [SocketAddress], from source: IPAddress?, timeoutMilliseconds: UInt64,
        began: @escaping (Int) -> Void, lost: @escaping (Int, SystemError?) -> Void
    ) {
        self.addresses = addresses
        self.source = source
        patience = timeoutMilliseconds
        self.began = began
        self.lost = lost
    }

    /// nil when none can be connected to.
    func run() async -> Winner? {
        await withUnsafeContinuation {
            continuation = $0
            beginNext()
        }
    }

    private func beginNext() {
        while next < addresses.count {
            let index = next
            next += 1
            began(index)
            do {
                let descriptor = try FileDescriptor.connect(to: addresses[index], from: source)
                let number = descriptor.number
                let watch = Watch(number, for: .writing) { [unowned self] isTimeout in ended(index, isTimeout) }
                attempts[index] = Attempt(
                    descriptor: Held(descriptor), watch: watch, begun: Loop.milliseconds)
                watch.enable(timeoutMilliseconds: patience)
                if next < addresses.count {
                    timer.start(afterMilliseconds: Self.headStartMilliseconds) { [weak self] in self?.beginNext() }
                }
                return
            } catch {
                lost(index, error)
            }
        }
        if attempts.isEmpty { finish(nil) }
    }

    private func ended(_ index: Int, _ isTimeout: Bool) {
        guard let attempt = attempts.removeValue(forKey: index) else { return }
        attempt.watch.disable()
        guard let descriptor = attempt.descriptor.take() else { return }
        if let error = isTimeout ? SystemError("connect", ETIMEDOUT) : descriptor.connectionError {
            lost(index, error)
            // Nothing is won by waiting for the rest of its time.
            timer.stop()
            return beginNext()
        }
        finish(Winner(index: index, descriptor: Held(descriptor)))
    }

    private func finish(_ winner: Winner?) {
        timer.stop()
        let now = Loop.milliseconds
        for (index, attempt) in attempts {
            attempt.watch.disable()
            _ = attempt.descriptor.take()
            if attempt.begun + Self.headStartMilliseconds <= now { lost(index, nil) }
        }
        attempts = [:]
        let waiting = continuation
        continuation = nil
        waiting?.resume(returning: winner)
    }
}

/// Waits for connections that somebody else has begun.
enum Dialing {
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
