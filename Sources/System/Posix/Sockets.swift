// SPDX-License-Identifier: ISC

import CPosix
import Glibc
public import Mail

/// An address that a socket can have here: of the Internet, or on this host by path.
public enum SocketAddress: Hashable, Sendable, CustomStringConvertible {
    case internet(IPAddress, port: UInt16)
    case local(path: String)

    public var description: String {
        switch self {
        case .internet(let address, let port): "\(address.hostText):\(port)"
        case .local(let path): path
        }
    }

    init?(_ storage: sockaddr_storage) {
        var storage = storage
        switch Int32(storage.ss_family) {
        case AF_INET:
            let (bytes, port) = withUnsafeBytes(of: &storage) { raw in
                (Array(raw[4..<8]), UInt16(raw[2]) << 8 | UInt16(raw[3]))
            }
            guard let address = IPAddress(bytes: bytes) else { return nil }
            self = .internet(address, port: port)
        case AF_INET6:
            let (bytes, port) = withUnsafeBytes(of: &storage) { raw in
                (Array(raw[8..<24]), UInt16(raw[2]) << 8 | UInt16(raw[3]))
            }
            guard let address = IPAddress(bytes: bytes) else { return nil }
            self = .internet(address.unmapped, port: port)
        case AF_UNIX:
            self = .local(path: "")
        default:
            return nil
        }
    }

    /// The bytes of the sockaddr; nil for a path that does not fit into one (108 bytes with its end).
    var raw: [UInt8]? {
        switch self {
        case .internet(let address, let port):
            let family = UInt16(address.family == .v4 ? AF_INET : AF_INET6)
            var raw: [UInt8] = [UInt8(family & 0xFF), UInt8(family >> 8), UInt8(port >> 8), UInt8(port & 0xFF)]
            switch address.family {
            case .v4: raw += address.bytes + [UInt8](repeating: 0, count: 8)
            case .v6: raw += [0, 0, 0, 0] + address.bytes + [0, 0, 0, 0]
            }
            return raw
        case .local(let path):
            let family = UInt16(AF_UNIX)
            guard path.utf8.count < 108 else { return nil }
            return [UInt8(family & 0xFF), UInt8(family >> 8)] + Array(path.utf8) + [0]
        }
    }

    var domain: Int32 {
        switch self {
        case .internet(let address, _): address.family == .v4 ? AF_INET : AF_INET6
        case .local: AF_UNIX
        }
    }
}

/// Sockets, all non-blocking and close-on-exec.
extension FileDescriptor {
    private static let streamType =
        Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)

    /// Both ends of a stream between two processes of this host.
    public static func streamPair() throws(SystemError) -> DescriptorPair {
        var ends: [Int32] = [-1, -1]
        try SystemError.check("socketpair", socketpair(AF_UNIX, streamType, 0, &ends))
        return DescriptorPair(left: FileDescriptor(owning: ends[0]), right: FileDescriptor(owning: ends[1]))
    }

    /// The reading (left) and writing (right) end of a pipe.
    public static func pipe() throws(SystemError) -> DescriptorPair {
        var ends: [Int32] = [-1, -1]
        try SystemError.check("pipe", pipe2(&ends, O_CLOEXEC))
        return DescriptorPair(left: FileDescriptor(owning: ends[0]), right: FileDescriptor(owning: ends[1]))
    }

    /// A listening socket. A path is replaced when a socket stands there already.
    public static func listen(on address: SocketAddress, backlog: Int32) throws(SystemError) -> FileDescriptor {
        guard let raw = address.raw else { throw SystemError("bind", ENAMETOOLONG) }
        let number = try SystemError.check("socket", socket(address.domain, streamType, 0))
        let descriptor = FileDescriptor(owning: number)
        var one: Int32 = 1
        let size = socklen_t(MemoryLayout<Int32>.size)
        if case .internet(let host, _) = address {
            setsockopt(number, SOL_SOCKET, SO_REUSEADDR, &one, size)
            if host.family == .v6 { setsockopt(number, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &one, size) }
        }
        let bound = raw.withUnsafeBytes { martlet_bind(number, $0.baseAddress, socklen_t($0.count)) }
        try SystemError.check("bind", bound)
        try SystemError.check("listen", Glibc.listen(number, backlog))
        return descriptor
    }

    /// A socket that is connecting; writable when that has ended, `connectionError` then tells how.
    public static func connect(
        to address: SocketAddress, from source: IPAddress? = nil
    ) throws(SystemError) -> FileDescriptor {
        guard let raw = address.raw else { throw SystemError("connect", ENAMETOOLONG) }
        let number = try SystemError.check("socket", socket(address.domain, streamType, 0))
        let descriptor = FileDescriptor(owning: number)
        if let source, let local = SocketAddress.internet(source, port: 0).raw {
            let bound = local.withUnsafeBytes { martlet_bind(number, $0.baseAddress, socklen_t($0.count)) }
            try SystemError.check("bind", bound)
        }
        let result = raw.withUnsafeBytes { martlet_connect(number, $0.baseAddress, socklen_t($0.count)) }
        if result != 0, errno != EINPROGRESS { throw SystemError("connect") }
        descriptor.setNoDelay()
        return descriptor
    }

    /// How a connection attempt ended; nil when it succeeded.
    public var connectionError: SystemError? {
        var code: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(number, SOL_SOCKET, SO_ERROR, &code, &size) == 0 else { return SystemError("getsockopt") }
        return code == 0 ? nil : SystemError("connect", code)
    }

    /// The next client of a listening socket; nil when none waits any more. `peer` is set to where it comes from.
    public func accept(from peer: inout SocketAddress?) throws(SystemError) -> FileDescriptor? {
        var storage = sockaddr_storage()
        var length: socklen_t = 0
        let client = FileDescriptor.retrying { martlet_accept(number, &storage, &length) }
        if client >= 0 {
            peer = SocketAddress(storage)
            return FileDescriptor(owning: client)
        }
        // A client that is gone before it was accepted is no failure of the listener.
        if errno == EAGAIN || errno == EWOULDBLOCK || errno == ECONNABORTED || errno == EPROTO { return nil }
        throw SystemError("accept")
    }

    /// Of the processes that wait for a client of this socket, one is woken by each, not all of them; called again, this
    /// one becomes the last in turn. `epoll` must wait for the socket already; nothing changes where it does not.
    public static func waitExclusively(_ number: Int32, in epoll: Int32) { _ = martlet_wait_exclusively(epoll, number) }

    /// The number that the next descriptor gets; nil at the limit of descriptors.
    public static var nextNumber: Int32? {
        let number = martlet_event_descriptor()
        guard number >= 0 else { return nil }
        close(number)
        return number
    }

    /// The address at this end of a connected or bound socket.
    public var localAddress: SocketAddress? {
        var storage = sockaddr_storage()
        var length: socklen_t = 0
        let result = martlet_local_address(number, &storage, &length)
        return result == 0 ? SocketAddress(storage) : nil
    }

    // Every reply is one small write that is waited for: delaying it until more comes would only cost time.
    public func setNoDelay() {
        var one: Int32 = 1
        setsockopt(number, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Who is at the other end of a Unix socket, by the kernel's word.
    public func peerCredentials() throws(SystemError) -> PeerCredentials {
        var uid: uid_t = 0
        var gid: gid_t = 0
        var pid: pid_t = 0
        try SystemError.check("getsockopt", martlet_peer_credentials(number, &uid, &gid, &pid))
        return PeerCredentials(uid: uid, gid: gid, pid: pid)
    }
}

public struct DescriptorPair: ~Copyable, Sendable {
    public let left: FileDescriptor
    public let right: FileDescriptor

    init(left: consuming FileDescriptor, right: consuming FileDescriptor) {
        self.left = left
        self.right = right
    }

    /// Gives both ends away.
    public consuming func split(_ body: (consuming FileDescriptor, consuming FileDescriptor) -> Void) {
        body(left, right)
    }
}

public struct PeerCredentials: Hashable, Sendable {
    public let uid: UInt32
    public let gid: UInt32
    public let pid: Int32
}
