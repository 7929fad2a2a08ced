// SPDX-License-Identifier: ISC

import Bytes
import Glibc
import Posix
import Reactor

enum ConnectionScenarios {
    private static let amount = 10 << 20
    static let patience: UInt64 = 10_000

    static func connections() throws -> (Connection, Connection) {
        let (left, right) = try System.pair()
        return (Connection(FileDescriptor(owning: left)), Connection(FileDescriptor(owning: right)))
    }

    private static func pattern(_ offset: Int) -> UInt8 { UInt8(truncatingIfNeeded: offset &* 31 ^ offset >> 9) }

    /// 10 MB there and back again, through an echo that waits when its own output does not go away.
    static func echo() async throws {
        let (client, server) = try connections()
        try await echo(client, server)
    }

    /// The same through transports at both ends, and then something that nobody waited for.
    static func transport() async throws {
        let (client, server) = try connections()
        let transports = [Scrambler(client.number), Scrambler(server.number)]
        client.install(transports[0])
        server.install(transports[1])
        Check.that(!client.hasSpokenOrEnded, "nothing was said yet")
        server.write([1])
        try await server.drain(timeoutMilliseconds: patience)
        while !client.hasSpokenOrEnded { await Loop.pause(milliseconds: 1) }
        Check.equal(client.withInput { $0.array }, [1], "what was said")
        client.consume(1)
        try await echo(client, server)
        Check.that(transports.allSatisfy(\.hasEnded), "each transport was told of the end")
    }

    private static func echo(_ client: Connection, _ server: Connection) async throws {
        Task {
            do {
                while true {
                    try await server.read(timeoutMilliseconds: patience)
                    let bytes = server.withInput { $0.array }
                    server.consume(bytes.count)
                    server.write(bytes)
                    try await server.room(timeoutMilliseconds: patience)
                }
            } catch {
                Check.equal(error as? ConnectionError, .ended, "the echo's end")
                try? await server.drain(timeoutMilliseconds: patience)
                server.close()
            }
        }
        let writer = Task {
            var sent = 0
            while sent < amount {
                let chunk = (sent..<min(amount, sent + 50_000)).map(pattern)
                client.write(chunk)
                sent += chunk.count
                try await client.room(timeoutMilliseconds: patience)
                Check.that(client.unsent <= Connection.highWater, "unsent is bounded")
            }
            try await client.drain(timeoutMilliseconds: patience)
            client.endOutput()
        }
        var received = 0
        do {
            while true {
                try await client.read(timeoutMilliseconds: patience)
                client.withInput { bytes in
                    for index in bytes.indices where bytes[index] != pattern(received + index) {
                        return Check.fail("byte \(received + index) differs")
                    }
                }
                received += client.available
                client.consume(client.available)
            }
        } catch {
            Check.equal(error, .ended, "the end")
        }
        try await writer.value
        Check.equal(received, amount, "received")
        client.close()
    }

    /// Nobody reads: the writer stops soon after the high-water mark and goes on when somebody does.
    static func backPressure() async throws {
        let (left, right) = try System.pair()
        let connection = Connection(FileDescriptor(owning: left))
        let chunk = 64 * 1024
        var written = 0
        var mostUnsent = 0
        let writer = Task {
            while written < amount {
                connection.write([UInt8](repeating: 1, count: chunk))
                written += chunk
                mostUnsent = max(mostUnsent, connection.unsent)
                try await connection.room(timeoutMilliseconds: patience)
            }
            try await connection.drain(timeoutMilliseconds: patience)
        }
        await Loop.pause(milliseconds: 50)
        let stuck = written
        Check.that(stuck < 2 << 20, "the writer waits, having written \(stuck)")
        await Loop.pause(milliseconds: 20)
        Check.equal(written, stuck, "written while nobody reads")
        var received = 0
        while received < amount {
            let count = System.read(right, 1 << 20).count
            received += count
            if count == 0 { await Loop.pause(milliseconds: 1) }
        }
        try await writer.value
        Check.equal(received, amount, "received")
        Check.that(mostUnsent <= Connection.highWater + chunk, "unsent was \(mostUnsent)")
        connection.close()
        close(right)
    }

    /// A waiting writer goes on below half of the mark, not only when all is gone; its time then no longer runs.
    static func room() async throws {
        let (left, right) = try System.pair()
        let connection = Connection(FileDescriptor(owning: left))
        connection.write([UInt8](repeating: 1, count: 1 << 20))
        var isThrough = false
        Task {
            do {
                // Long enough for a reader that a loaded machine slows down.
                try await connection.room(timeoutMilliseconds: 2000)
            } catch {
                Check.fail("room: \(error)")
            }
            isThrough = true
        }
        var received = 0
        while !isThrough, received < 1 << 20 {
            received += System.read(right, 8192).count
            await Loop.pause(milliseconds: 1)
        }
        Check.that(isThrough && connection.unsent > 0, "went on with \(connection.unsent) unsent")
        Check.that(connection.unsent <= Connection.highWater / 2, "went on below half")
        await Loop.pause(milliseconds: 2200)
        while received < 1 << 20 {
            let count = System.read(right, 1 << 20).count
            if count == 0 { await Loop.pause(milliseconds: 1) }
            received += count
        }
        await eventually("all sent") { connection.unsent == 0 }
        connection.close()
        close(right)
    }

    /// A reader that never quite catches up costs no memory for what it has read.
    static func alwaysBehind() async throws {
        let (left, right) = try System.pair()
        let connection = Connection(FileDescriptor(owning: left))
        let chunk = [UInt8](repeating: 1, count: 64 * 1024)
        while connection.unsent < 128 * 1024 {
            connection.write(chunk)
            connection.flush()
        }
        let before = System.residentMemory
        for _ in 0..<1500 {
            connection.write(chunk)
            var left = chunk.count
            while left > 0 {
                left -= System.read(right, left).count
                connection.flush()
            }
            Check.that(connection.unsent > 0, "behind")
        }
        let grown = System.residentMemory - before
        Check.that(grown < 8 << 20, "memory grew by \(grown)")
        connection.close()
        close(right)
    }

    static func readTimeout() async throws {
        let (left, right) = try connections()
        let start = Loop.milliseconds
        do {
            try await left.read(timeoutMilliseconds: 50)
            Check.fail("something was read")
        } catch {
            Check.equal(error, .timedOut, "read")
        }
        Check.that((45...2000).contains(Loop.milliseconds - start), "in time")
        right.write([1, 2])
        try await left.read(timeoutMilliseconds: patience)
        Check.equal(left.withInput { $0.array }, [1, 2], "read after the timeout")
        // More than was there: what is not consumed does not count.
        right.write([3])
        try await left.read(timeoutMilliseconds: patience)
        Check.equal(left.available, 3, "available")
        left.consume(1)
        Check.equal(left.withInput { $0.array }, [2, 3], "left")
        left.consume(99)
        Check.equal(left.available, 0, "consumed at most what is there")
        left.close()
        right.close()
    }

    static func writeTimeout() async throws {
        let (left, right) = try System.pair()
        let connection = Connection(FileDescriptor(owning: left))
        connection.write([UInt8](repeating: 1, count: 4 << 20))
        do {
            try await connection.drain(timeoutMilliseconds: 50)
            Check.fail("drained")
        } catch {
            Check.equal(error, .timedOut, "drain")
        }
        connection.close()
        close(right)
    }

    /// What comes all the time, and is nothing that can be read, does not make a wait longer than it may be.
    static func readDeadline() async throws {
        let (left, right) = try connections()
        left.install(Swallower(left.number))
        let sender = Task {
            while left.isOpen {
                right.write([1])
                await Loop.pause(milliseconds: 10)
            }
        }
        do {
            try await left.read(timeoutMilliseconds: 200)
            Check.fail("something was read")
        } catch {
            Check.equal(error, .timedOut, "read")
        }
        left.close()
        await sender.value
        right.close()
    }

    /// Nor does a reader who takes a little all the time.
    static func writeDeadline() async throws {
        let (left, right) = try System.pair()
        let connection = Connection(FileDescriptor(owning: left))
        connection.write([UInt8](repeating: 1, count: 64 << 20))
        let reader = Task {
            var block = [UInt8](repeating: 0, count: 64 << 10)
            while connection.isOpen {
                _ = recv(right, &block, block.count, Int32(MSG_DONTWAIT))
                await Loop.pause(milliseconds: 20)
            }
        }
        do {
            try await connection.drain(timeoutMilliseconds: 200)
            Check.fail("drained")
        } catch {
            Check.equal(error, .timedOut, "drain")
        }
        connection.close()
        await reader.value
        close(right)
    }

    static func reset() async throws {
        let listener = try FileDescriptor.listen(on: .internet(AcceptorScenarios.loopback(), port: 0), backlog: 4)
        guard let address = listener.localAddress else { return Check.fail("no address") }
        let client = try FileDescriptor.connect(to: address)
        await Loop.pause(milliseconds: 10)
        var peer: SocketAddress?
        guard let accepted = try listener.accept(from: &peer) else { return Check.fail("no client") }
        let connection = Connection(accepted)
        var patience = linger(l_onoff: 1, l_linger: 0)
        setsockopt(client.number, SOL_SOCKET, SO_LINGER, &patience, socklen_t(MemoryLayout<linger>.size))
        close(client.release())
        do {
            try await connection.read(timeoutMilliseconds: Self.patience)
            Check.fail("something was read")
        } catch {
            Check.equal(error, .failed(SystemError("read", ECONNRESET)), "read")
        }
        connection.write([1])
        do {
            try await connection.drain(timeoutMilliseconds: Self.patience)
            Check.fail("drained")
        } catch {
            Check.equal(error, .failed(SystemError("send", EPIPE)), "drain")
        }
        connection.close()
    }

    static func closing() async throws {
        let before = System.descriptors
        let (left, right) = try connections()
        var heard: ConnectionError?
        Task {
            do {
                try await left.read(timeoutMilliseconds: patience)
            } catch {
                heard = error as? ConnectionError
            }
        }
        await Loop.pause(milliseconds: 5)
        left.write(Array("bye".utf8))
        left.close()
        left.close()
        left.write([1])
        Check.equal(left.unsent, 0, "unsent after close")
        await eventually("the reader hears") { heard == .closed }
        try await right.read(timeoutMilliseconds: patience)
        Check.equal(right.available, 3, "sent at the close")
        do {
            try await right.read(timeoutMilliseconds: patience)
        } catch {
            Check.equal(error, .ended, "then the end")
        }
        right.close()
        Check.equal(System.descriptors, before, "descriptors")
        for _ in 0..<10 { _ = try connections() }
        Check.equal(System.descriptors, before, "descriptors of connections that were only let go")
    }

    /// Input that nobody consumes ends in an error that is not the peer's end.
    static func inputLimit() async throws {
        let (left, right) = try connections()
        right.write([UInt8](repeating: 1, count: 1 << 20))
        var last: ConnectionError?
        for _ in 0..<1000 where last == nil {
            do {
                try await left.read(timeoutMilliseconds: patience)
            } catch {
                last = error
            }
        }
        Check.equal(last, .failed(SystemError("read", ENOBUFS)), "the reader's error")
        Check.equal(left.available, 128 * 1024, "available")
        left.consume(left.available)
        try await left.read(timeoutMilliseconds: patience)
        Check.that(left.available > 0, "goes on when there is room")
        left.close()
        right.close()
    }
}
