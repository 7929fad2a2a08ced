// SPDX-License-Identifier: ISC

import CPosix
import Glibc
public import Posix

/// The log of the system.
public enum SystemLog {
    private static let path = "/dev/log"

    /// A datagram socket to it, which never keeps a writer waiting.
    public static func connect() throws(SystemError) -> FileDescriptor {
        let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = FileDescriptor(owning: try SystemError.check("socket", socket(AF_UNIX, type, 0)))
        let family = UInt16(AF_UNIX)
        let address = [UInt8(family & 0xFF), UInt8(family >> 8)] + Array(path.utf8) + [0]
        let result = address.withUnsafeBytes {
            martlet_connect(descriptor.number, $0.baseAddress, socklen_t($0.count))
        }
        try SystemError.check("connect", result)
        return descriptor
    }

    /// Takes everything and keeps nothing: for a host without a log.
    public static func nowhere() throws(SystemError) -> FileDescriptor {
        try FileDescriptor.open("/dev/null", O_WRONLY)
    }
}
