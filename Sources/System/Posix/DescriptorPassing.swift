// SPDX-License-Identifier: ISC

import CPosix
import Glibc

/// Bytes with descriptors over a Unix socket, on a number that the caller keeps open.
extension FileDescriptor {
    /// Sends as much of `bytes` as the socket takes, with `passed` attached to the first of them. 0 when it takes none now.
    public static func send(
        _ bytes: UnsafeRawBufferPointer, on number: Int32, passing passed: Int32 = -1
    ) -> Result<Int, SystemError> {
        let count = retrying { martlet_send_with_descriptor(number, bytes.baseAddress, bytes.count, passed) }
        if count >= 0 { return .success(count) }
        if errno == EAGAIN || errno == EWOULDBLOCK { return .success(0) }
        return .failure(SystemError("sendmsg"))
    }

    /// What was received: the number of bytes (0 at the end) and the descriptors beside them; nil when nothing waits.
    public static func receive(
        _ buffer: UnsafeMutableRawBufferPointer, on number: Int32
    ) -> Result<Receipt?, SystemError> {
        let most = Int(MARTLET_DESCRIPTORS_MAX)
        return withUnsafeTemporaryAllocation(of: Int32.self, capacity: most) { numbers in
            var amount: Int32 = 0
            let count = retrying {
                martlet_receive_with_descriptors(number, buffer.baseAddress, buffer.count, numbers.baseAddress, &amount)
            }
            if count >= 0 { return .success(Receipt(count: count, descriptors: Array(numbers.prefix(Int(amount))))) }
            if errno == EAGAIN || errno == EWOULDBLOCK { return .success(nil) }
            return .failure(SystemError("recvmsg"))
        }
    }

    /// The receiver owns `descriptors` and closes each.
    public struct Receipt {
        public let count: Int
        public let descriptors: [Int32]
    }
}
