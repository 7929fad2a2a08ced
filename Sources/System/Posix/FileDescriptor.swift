// SPDX-License-Identifier: ISC

import CPosix
import Glibc

/// An open descriptor with one owner; closed when the owner lets go. Giving away is `consuming`.
public struct FileDescriptor: ~Copyable, Sendable {
    /// Valid while this value lives; never closed by anyone else.
    public let number: Int32

    /// Takes the ownership of `number`.
    public init(owning number: Int32) { self.number = number }

    deinit { _ = Glibc.close(number) }

    /// Gives the ownership to the caller, who closes it.
    public consuming func release() -> Int32 {
        let number = number
        discard self
        return number
    }

    /// A second descriptor of the same open file, close-on-exec.
    public func duplicate() throws(SystemError) -> FileDescriptor { try Self.duplicate(number) }

    /// A second descriptor of the file that `number`, which somebody else owns, has open.
    public static func duplicate(_ number: Int32) throws(SystemError) -> FileDescriptor {
        FileDescriptor(owning: try SystemError.check("fcntl", martlet_duplicate(number, 4)))
    }

    public func setNonblocking(_ enabled: Bool = true) throws(SystemError) {
        try SystemError.check("fcntl", martlet_set_nonblocking(number, enabled ? 1 : 0))
    }
}

/// A system call that failed, with its name, so that a log line says which: `rename: No space left on device`.
public struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
    public let call: StaticString
    public let code: Int32

    public init(_ call: StaticString, _ code: Int32) {
        self.call = call
        self.code = code
    }

    /// The failure that the last call of this thread left in errno.
    public init(_ call: StaticString) { self.init(call, errno) }

    public static func == (left: SystemError, right: SystemError) -> Bool { left.code == right.code }
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }

    public var description: String { "\(call): \(String(cString: strerror(code)))" }

    /// Passes a result that is not negative; throws errno otherwise.
    @discardableResult
    public static func check<Value: SignedInteger>(_ call: StaticString, _ result: Value) throws(SystemError) -> Value {
        guard result >= 0 else { throw SystemError(call) }
        return result
    }
}
