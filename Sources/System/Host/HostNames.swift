// SPDX-License-Identifier: ISC

import Glibc
public import Mail
import Posix

/// The names and addresses of this host.
public enum HostNames {
    /// An interface's name and one of its addresses.
    public struct InterfaceAddress: Hashable, Sendable {
        public let interface: String
        public let address: IPAddress
    }

    /// Every address of every interface, in the kernel's order.
    public static func interfaceAddresses() -> [InterfaceAddress] {
        var first: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&first) == 0 else { return [] }
        defer { freeifaddrs(first) }
        var result: [InterfaceAddress] = []
        var next = first
        while let entry = next?.pointee {
            next = entry.ifa_next
            guard let name = entry.ifa_name, let address = entry.ifa_addr.flatMap(address) else { continue }
            result.append(InterfaceAddress(interface: String(cString: name), address: address))
        }
        return result
    }

    /// The addresses of a name or of an address in words. Asks the network and waits for it: never on a loop.
    public static func addresses(of name: String) -> [IPAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        return withAddressInformation(name, hints) { entry in entry.ai_addr.flatMap(address) }
    }

    /// What the host calls itself: the first line of `/etc/mailname`, else its host name, made whole where it has no dot.
    /// May ask the network and wait for it: only at start.
    public static func serverName() -> String {
        if let name = mailName() { return name }
        let name = hostName()
        guard !name.contains(".") else { return name }
        var hints = addrinfo()
        hints.ai_flags = AI_CANONNAME
        let canonical = withAddressInformation(name, hints) { $0.ai_canonname.map { String(cString: $0) } }
        return canonical.first ?? name
    }

    /// The same without asking anyone: it may lack its domain.
    public static func localName() -> String { mailName() ?? hostName() }

    private static func mailName() -> String? {
        guard let text = try? FileDescriptor.content(of: "/etc/mailname", limit: 4096),
            let line = String(decoding: text, as: UTF8.self).split(whereSeparator: \.isNewline).first,
            let name = line.split(whereSeparator: \.isWhitespace).first.map(String.init), Domain(name) != nil
        else { return nil }
        return name
    }

    private static func hostName() -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            guard let base = buffer.baseAddress, gethostname(base, buffer.count - 1) == 0 else { return "localhost" }
            buffer[buffer.count - 1] = 0
            let name = String(cString: base)
            return name.isEmpty ? "localhost" : name
        }
    }

    private static func withAddressInformation<Value>(
        _ name: String, _ hints: addrinfo, _ value: (addrinfo) -> Value?
    ) -> [Value] {
        var hints = hints
        var first: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(name, nil, &hints, &first) == 0 else { return [] }
        defer { freeaddrinfo(first) }
        var result: [Value] = []
        var next = first
        while let entry = next?.pointee {
            next = entry.ai_next
            if let found = value(entry) { result.append(found) }
        }
        return result
    }

    private static func address(_ pointer: UnsafeMutablePointer<sockaddr>) -> IPAddress? {
        let raw = UnsafeRawPointer(pointer)
        switch Int32(pointer.pointee.sa_family) {
        case AF_INET: return IPAddress(bytes: Array(UnsafeRawBufferPointer(start: raw + 4, count: 4)))
        case AF_INET6: return IPAddress(bytes: Array(UnsafeRawBufferPointer(start: raw + 8, count: 16)))
        default: return nil
        }
    }
}
