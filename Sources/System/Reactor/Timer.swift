// SPDX-License-Identifier: ISC

import CEvent

/// Calls back once after a time, unless it is stopped or let go before. May be started again at any moment.
@MainActor
public final class Timer {
    // For deinit, which must not wait for its turn on the loop: until then it could fire.
    private nonisolated(unsafe) var event: OpaquePointer?
    private var action: (() -> Void)?

    public init() {
        event = event_new(
            LoopExecutor.shared.base, -1, 0,
            { _, _, context in
                guard let context else { return }
                let timer = Unmanaged<Timer>.fromOpaque(context).takeUnretainedValue()
                MainActor.assumeIsolated { timer.fire() }
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    deinit {
        if let event { event_free(event) }
    }

    public var isRunning: Bool { action != nil }

    public func start(afterMilliseconds milliseconds: UInt64, _ action: @escaping () -> Void) {
        self.action = action
        var time = timeval(milliseconds: milliseconds)
        event_add(event, &time)
    }

    public func stop() {
        action = nil
        if let event { event_del(event) }
    }

    private func fire() {
        let action = action
        self.action = nil
        action?()
    }
}

extension timeval {
    nonisolated init(milliseconds: UInt64) {
        let bounded = min(milliseconds, 1 << 40)
        self.init(tv_sec: Int(bounded / 1000), tv_usec: Int(bounded % 1000) * 1000)
    }
}
