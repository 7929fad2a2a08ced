// SPDX-License-Identifier: ISC

extension Loop {
    /// The `event_base` of the loop, for a library that brings its own events. It lives as long as the process.
    public nonisolated static var eventBase: OpaquePointer { LoopExecutor.shared.base }
}
