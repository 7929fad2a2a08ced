// SPDX-License-Identifier: ISC

import CPosix
import Glibc

/// Bytes with descriptors over a Unix socket.
extension FileDescriptor {
    /// Sends as much of `bytes` as the socket takes, with `passed` attached to the first of them. 0 when it takes none now.
    public func send(_ bytes: UnsafeRawBufferPointer, passing passed: Int32 = -1) throws(SystemError) -> Int {
        let count = FileDescriptor.retrying {
            martlet_send_with_descriptor(number, bytes.baseAddress, bytes.count, passed)
        }
        if count < 0, errno == EAGAIN || errno == EWOULDBLOCK { return 0 }
        return try SystemError.check("sendmsg", count)
    }

    /// What was received: the number of bytes (0 at the end, nil when nothing waits) and the descriptors beside them.
    public func receive(into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> Receipt? {
        var numbers = [Int32](repeating: -1, count: Int(MARTLET_DESCRIPTORS_MAX))
        var amount: Int32 = 0
        let count = FileDescriptor.retrying {
            martlet_receive_with_descriptors(number, buffer.baseAddress, buffer.count, &numbers, &amount)
        }
        if count < 0, errno == EAGAIN || errno == EWOULDBLOCK { return nil }
        try SystemError.check("recvmsg", count)
        return Receipt(count: count, descriptors: Array(numbers.prefix(Int(amount))))
    }

    /// The receiver owns `descriptors` and closes each.
    public struct Receipt {
        public let count: Int
        public let descriptors: [Int32]
    }
}
