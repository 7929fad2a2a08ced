// SPDX-License-Identifier: ISC

/// Buffers of one size for those who have data right now; an idle connection holds none.
enum BufferPool {
    static let size = 32 * 1024
    private static let kept = 32
    private static var free: [[UInt8]] = []

    static func take() -> [UInt8] { free.popLast() ?? [UInt8](repeating: 0, count: size) }

    static func give(back buffer: consuming [UInt8]) {
        if buffer.count == size, free.count < kept { free.append(buffer) }
    }
}
