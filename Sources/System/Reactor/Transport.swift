// SPDX-License-Identifier: ISC

import Posix

/// What a connection's bytes go through on their way to the descriptor; a connection without one reads and writes plainly.
@MainActor
public protocol Transport: AnyObject {
    func read(into buffer: UnsafeMutableRawBufferPointer) -> TransportResult
    /// After `.wantsToWrite` the same bytes are offered again, perhaps with more behind them.
    func write(_ bytes: UnsafeRawBufferPointer) -> TransportResult
    /// Tells the other side that nothing more will come, as far as the system takes it at once.
    func endOutput()
}

public enum TransportResult {
    /// So many bytes of the buffer, at least one.
    case moved(Int)
    case wantsToRead
    case wantsToWrite
    case ended
    case failed(ConnectionError)
}
