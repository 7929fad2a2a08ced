// SPDX-License-Identifier: ISC

import CEvent
import Posix

/// Calls back whenever a descriptor is readable or writable, while it is enabled. Does not own the descriptor,
/// and must be let go before that is closed.
@MainActor
public final class Watch {
    public enum Interest {
        case reading
        case writing
        /// As reading, of a socket that several processes listen on, one of which is woken by each client.
        case accepting
    }

    // For deinit, which must not wait for its turn on the loop: the descriptor may be closed right after.
    private nonisolated(unsafe) var event: OpaquePointer?
    private let action: (Bool) -> Void
    private let descriptor: Int32
    private let interest: Interest
    public private(set) var isEnabled = false
    private var hasTimeout = false

    /// `action` is told whether the time given to `enable` has passed instead.
    public init(_ descriptor: Int32, for interest: Interest, _ action: @escaping (_ isTimeout: Bool) -> Void) {
        self.action = action
        self.descriptor = descriptor
        self.interest = interest
        let kind: Int32 =
            switch interest {
            case .reading, .accepting: EV_PERSIST | EV_READ
            case .writing: EV_PERSIST | EV_WRITE
            }
        event = event_new(
            LoopExecutor.shared.base, descriptor, Int16(kind),
            { _, kind, context in
                guard let context else { return }
                MainActor.assumeIsolated {
                    // Not held during the call: who lets it go there must find the event gone at once.
                    let action = Unmanaged<Watch>.fromOpaque(context).takeUnretainedValue().action
                    action(kind & Int16(EV_TIMEOUT) != 0)
                }
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    deinit {
        if let event { event_free(event) }
    }

    /// Starts watching, or sets the time anew. Without a time it waits for ever.
    public func enable(timeoutMilliseconds: UInt64? = nil) {
        isEnabled = true
        if let timeoutMilliseconds {
            var time = timeval(milliseconds: timeoutMilliseconds)
            event_add(event, &time)
            hasTimeout = true
        } else {
            // Adding without a time would leave the old one running.
            if hasTimeout, let event { event_remove_timer(event) }
            event_add(event, nil)
            hasTimeout = false
        }
        yieldTurn()
    }

    /// Lets the other processes that accept from the same socket have the next client, if they wait.
    public func yieldTurn() {
        guard isEnabled, interest == .accepting, let epoll = LoopExecutor.shared.epoll else { return }
        FileDescriptor.waitExclusively(descriptor, in: epoll)
    }

    public func disable() {
        guard isEnabled else { return }
        isEnabled = false
        hasTimeout = false
        event_del(event)
    }
}

/// Calls back on the loop when a signal has arrived.
@MainActor
public final class SignalWatch {
    // For deinit, which must not wait for its turn on the loop: the descriptor may be closed right after.
    private nonisolated(unsafe) var event: OpaquePointer?
    private let action: () -> Void

    public init(_ number: Int32, _ action: @escaping () -> Void) {
        self.action = action
        event = event_new(
            LoopExecutor.shared.base, number, Int16(EV_SIGNAL | EV_PERSIST),
            { _, _, context in
                guard let context else { return }
                let watch = Unmanaged<SignalWatch>.fromOpaque(context).takeUnretainedValue()
                MainActor.assumeIsolated { watch.action() }
            }, Unmanaged.passUnretained(self).toOpaque())
        event_add(event, nil)
    }

    deinit {
        if let event { event_free(event) }
    }
}
