// SPDX-License-Identifier: ISC

import Glibc

/// Says lines to a port of this host and hears replies, for at most a few seconds.
final class Client {
    private let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)

    deinit { close(descriptor) }

    private static func loopback(_ port: Int) -> sockaddr_in {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = UInt16(truncatingIfNeeded: port).bigEndian
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return name
    }

    func bindAnywhere() -> Int? {
        var name = Client.loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, __CONST_SOCKADDR_ARG(__sockaddr__: address), length) == 0
                    && getsockname(descriptor, __SOCKADDR_ARG(__sockaddr__: address), &length) == 0
            }
        }
        return isBound ? Int(UInt16(bigEndian: name.sin_port)) : nil
    }

    func connect(_ port: Int) -> Bool {
        var time = timeval(tv_sec: 3, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        var name = Client.loopback(port)
        return withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                Glibc.connect(
                    descriptor, __CONST_SOCKADDR_ARG(__sockaddr__: address), socklen_t(MemoryLayout<sockaddr_in>.size))
                    == 0
            }
        }
    }

    /// Sends text and gives the last line of the reply; empty when none came.
    func say(_ text: String) -> String {
        let bytes = Array(text.utf8)
        var start = 0
        while start < bytes.count {
            let count = bytes[start...].withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return "" }
            start += count
        }
        return reply()
    }

    func reply() -> String {
        var input: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let lines = String(decoding: input, as: UTF8.self).split(separator: "\r\n")
            if input.last == 10, let last = lines.last, last.dropFirst(3).first != "-" { return String(last) }
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { return "" }
            input += buffer[..<count]
        }
    }

    /// Brings in one message; all replies, the last one to the end of the data.
    static func submit(to recipients: [String], port: Int, body: String = "body") -> [String] {
        let client = Client()
        guard client.connect(port) else { return [] }
        var replies = [client.reply(), client.say("EHLO client.example.org\r\n"), client.say("MAIL FROM:<>\r\n")]
        for recipient in recipients { replies.append(client.say("RCPT TO:<\(recipient)>\r\n")) }
        guard client.say("DATA\r\n").hasPrefix("354") else { return replies }
        replies.append(client.say("Subject: evil\r\n\r\n\(body)\r\n.\r\n"))
        return replies
    }
}
