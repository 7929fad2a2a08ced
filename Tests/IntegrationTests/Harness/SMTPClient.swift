// SPDX-License-Identifier: ISC

import Glibc
import Testing

/// A client that says one line at a time and reads what comes back.
final class SMTPClient {
    private let descriptor: Int32
    private var input: [UInt8] = []

    /// With `source`, from that address of this host.
    init(port: Int, address: String = "127.0.0.1", from source: String? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        if let source {
            var name = sockaddr_in(source, port: 0)
            let status = withUnsafePointer(to: &name) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                    bind(
                        descriptor, __CONST_SOCKADDR_ARG(__sockaddr__: address),
                        socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            guard status == 0 else { throw Failure("bind \(source): \(String(cString: strerror(errno)))") }
        }
        var name = sockaddr_in(address, port: port)
        let status = withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                connect(
                    descriptor, __CONST_SOCKADDR_ARG(__sockaddr__: address), socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw Failure("connect \(port): \(String(cString: strerror(errno)))") }
        // What is sent by itself goes by itself.
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    }

    /// A client of a Unix socket.
    init(path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        let room = MemoryLayout.size(ofValue: name.sun_path)
        guard path.utf8.count < room else { throw Failure("too long for a socket: \(path)") }
        withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: path.utf8) }
        let status = withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                connect(
                    descriptor, __CONST_SOCKADDR_ARG(__sockaddr__: address), socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard status == 0 else { throw Failure("connect \(path): \(String(cString: strerror(errno)))") }
    }

    deinit { close(descriptor) }

    /// Lets the end of this client be a reset, as of a machine that has lost its mind.
    func endByReset() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout.size(ofValue: linger)))
    }

    func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Sends bytes as they are; false when the peer takes no more within the time or has closed.
    @discardableResult
    func send(bytes: [UInt8], seconds: Double = 60) -> Bool {
        let deadline = Deadline(seconds: seconds)
        var rest = bytes[...]
        while !rest.isEmpty {
            var event = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            guard wait(for: &event, deadline) else { return false }
            let count = rest.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
            }
            if count < 0 && (errno == EINTR || errno == EAGAIN) { continue }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    func send(_ line: String) { send(bytes: Array("\(line)\r\n".utf8)) }

    // A signal for another test of this process is neither an answer nor the end of patience.
    private func wait(for event: inout pollfd, _ deadline: Deadline) -> Bool {
        while true {
            let count = poll(&event, 1, deadline.milliseconds)
            if count < 0 && errno == EINTR && !deadline.isOver { continue }
            return count > 0
        }
    }

    private func more(_ deadline: Deadline) -> Bool {
        var event = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard wait(for: &event, deadline) else { return false }
        var buffer = [UInt8](repeating: 0, count: 16384)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count > 0 else { return false }
        input += buffer[..<count]
        return true
    }

    /// One line without its end; nil when the peer closed or was silent.
    func line(seconds: Double = 60) -> String? {
        let deadline = Deadline(seconds: seconds)
        while true {
            if let end = input.firstIndex(of: UInt8(ascii: "\n")) {
                let line = input[..<end]
                input = Array(input[(end + 1)...])
                return String(decoding: line.last == UInt8(ascii: "\r") ? line.dropLast() : line, as: UTF8.self)
            }
            guard more(deadline) else { return nil }
        }
    }

    /// Whether the peer closes within the time; what it still says is dropped.
    func isClosed(within seconds: Double = 60) -> Bool {
        let deadline = Deadline(seconds: seconds)
        while more(deadline) { input = [] }
        return !deadline.isOver
    }

    /// A whole reply, its lines joined by line feeds.
    func reply(seconds: Double = 60) -> String? {
        var lines: [String] = []
        while let line = line(seconds: seconds) {
            lines.append(line)
            if line.dropFirst(3).first != "-" { return lines.joined(separator: "\n") }
        }
        return lines.isEmpty ? nil : lines.joined(separator: "\n")
    }

    /// Says a line and demands a reply that begins so.
    @discardableResult
    func say(
        _ line: String, _ expected: String, seconds: Double = 60, at place: SourceLocation = #_sourceLocation
    ) throws -> String {
        send(line)
        return try expect(expected, seconds: seconds, at: place)
    }

    @discardableResult
    func expect(
        _ expected: String, seconds: Double = 60, at place: SourceLocation = #_sourceLocation
    ) throws -> String {
        let reply = reply(seconds: seconds)
        let found = try #require(reply, "no reply; \(expected) was expected", sourceLocation: place)
        try #require(found.hasPrefix(expected), "\(found) instead of \(expected)", sourceLocation: place)
        return found
    }

    /// Greets, so that a transaction may begin.
    func greet(at place: SourceLocation = #_sourceLocation) throws {
        try expect("220 ", at: place)
        try say("EHLO client.example.org", "250", at: place)
    }

    /// One whole message; the reply to its end.
    @discardableResult
    func submit(
        from sender: String, to recipients: [String], _ content: String, expecting expected: String = "250",
        at place: SourceLocation = #_sourceLocation
    ) throws -> String {
        try say("MAIL FROM:<\(sender)>", "250", at: place)
        for recipient in recipients { try say("RCPT TO:<\(recipient)>", "250", at: place) }
        try say("DATA", "354", at: place)
        for line in content.split(separator: "\n", omittingEmptySubsequences: false) {
            send(line.hasPrefix(".") ? ".\(line)" : String(line))
        }
        return try say(".", expected, at: place)
    }
}
