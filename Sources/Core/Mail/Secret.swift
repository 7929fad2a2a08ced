// SPDX-License-Identifier: ISC

/// Bytes that must not be printed: a password, a key. Overwritten when the last holder lets go.
public final class Secret: CustomStringConvertible, CustomDebugStringConvertible {
    private var bytes: [UInt8]

    public init(_ bytes: consuming [UInt8]) { self.bytes = bytes }

    deinit {
        bytes.withUnsafeMutableBufferPointer { buffer in
            for index in buffer.indices { buffer[index] = 0 }
        }
    }

    public var count: Int { bytes.count }
    public func withBytes<Result, Failure: Error>(_ body: (Span<UInt8>) throws(Failure) -> Result) throws(Failure)
        -> Result
    {
        // Shares the storage; a span of a class's own property cannot leave it.
        let shared = bytes
        return try body(shared.span)
    }

    public var description: String { "<secret>" }
    public var debugDescription: String { "<secret>" }
}
