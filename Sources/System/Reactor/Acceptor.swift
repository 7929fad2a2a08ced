// SPDX-License-Identifier: ISC

import Glibc
public import Posix

/// Takes clients from a listening socket and survives the moment in which no descriptor is left.
@MainActor
public final class Acceptor {
    private static let pauseMilliseconds: UInt64 = 200
    // The kernel wakes the first that waits. A few clients in a row find everything at hand where the last one was; with
    // more, one worker would be full while another has nobody.
    private static let clientsPerTurn = 8

    private let descriptor: FileDescriptor
    private var spare: FileDescriptor?
    private var watch: Watch?
    private let pauseTimer = Timer()
    private let accepted: (consuming FileDescriptor, SocketAddress?) -> Void
    private let exhausted: (consuming FileDescriptor?) -> Void
    private var isPaused = false
    private var clientsOfTurn = 0

    /// `exhausted` is handed a client at the limit of descriptors, to be told so and closed at once.
    public init(
        _ descriptor: consuming FileDescriptor,
        exhausted: @escaping (consuming FileDescriptor?) -> Void = { _ in },
        accepted: @escaping (consuming FileDescriptor, SocketAddress?) -> Void
    ) {
        let number = descriptor.number
        self.descriptor = descriptor
        self.accepted = accepted
        self.exhausted = exhausted
        refillSpare()
        watch = Watch(number, for: .accepting) { [unowned self] _ in readable() }
        watch?.enable()
    }

    isolated deinit {
        // An event must be gone before its descriptor is.
        watch = nil
    }

    public func pause() {
        isPaused = true
        watch?.disable()
    }

    public func resume() {
        isPaused = false
        watch?.enable()
    }

    // One at a time: the event comes again while another waits, those that are in are served in between, several
    // workers share a burst evenly, and no call is spent on learning that nobody is left.
    private func readable() {
        do {
            var peer: SocketAddress?
            guard let client = try descriptor.accept(from: &peer) else { return }
            clientsOfTurn += 1
            if clientsOfTurn == Self.clientsPerTurn {
                clientsOfTurn = 0
                watch?.yieldTurn()
            }
            accepted(client, peer)
        } catch {
            if error.code == EMFILE || error.code == ENFILE { shed() }
            // Out of memory, say: the client still waits, and the event would come again at once.
            breathe()
        }
    }

    // The spare makes room for one client, which hears why it cannot stay.
    private func shed() {
        spare = nil
        var peer: SocketAddress?
        exhausted((try? descriptor.accept(from: &peer)) ?? nil)
        refillSpare()
    }

    // A while for others to leave.
    private func breathe() {
        watch?.disable()
        pauseTimer.start(afterMilliseconds: Self.pauseMilliseconds) { [weak self] in
            guard let self, !isPaused else { return }
            if spare == nil { refillSpare() }
            watch?.enable()
        }
    }

    private func refillSpare() {
        // Descriptor 0 is /dev/null in every child; no file can be opened where this runs.
        let number = dup(0)
        spare = number >= 0 ? FileDescriptor(owning: number) : nil
    }
}
