// SPDX-License-Identifier: ISC

import Bytes
import Mail
import Posix
import Reactor
import TLS

/// Where a session's bytes come from and its replies go to.
protocol SessionStream: AnyObject {
    /// Bytes that have come and were not consumed.
    var available: Int { get }
    func withInput<Result>(_ body: (Span<UInt8>) -> Result) -> Result
    func consume(_ count: Int)
    func read(timeoutMilliseconds: UInt64) async throws(ConnectionError)
    func write(_ reply: Reply)
    /// Waits when the client does not take its replies.
    func room(timeoutMilliseconds: UInt64) async throws(ConnectionError)
    /// Sends what is left and ends.
    func finish(_ farewell: Farewell) async
    /// Goes on under TLS, as the server.
    func startTLS(
        _ context: ServerContext, _ signer: any Signer, _ beginning: TLSBeginning
    ) async throws(TLSFault) -> ChannelSecurity
    /// Ends a wait of the session, which then sees the end.
    func interrupt()
}

/// What came before TLS.
enum TLSBeginning {
    /// Nothing of the client's: all that it has sent is TLS.
    case immediate
    /// Commands, the last of them STARTTLS. Whatever is behind it in plain text is nobody's.
    case commanded
}

/// How a session came to its end.
enum Farewell {
    /// The client has said QUIT: nothing that it could still send means anything.
    case agreed
    /// The client may be in the middle of saying something.
    case sudden
    /// The client was never let in, and waits for nothing but this: it gets none of our time.
    case refused
}

/// A client's connection.
final class NetworkStream: SessionStream {
    // How long, and for how many bytes, a client may go on talking after the last reply, and take to read it: closing with
    // unread input would reset the connection, and the reply might never be read.
    private static let lingerMilliseconds: UInt64 = 3_000
    private static let lingerBytes = 1 << 20

    private let connection: Connection

    init(_ connection: Connection) { self.connection = connection }

    var available: Int { connection.available }
    func withInput<Result>(_ body: (Span<UInt8>) -> Result) -> Result { connection.withInput(body) }
    func consume(_ count: Int) { connection.consume(count) }

    func read(timeoutMilliseconds: UInt64) async throws(ConnectionError) {
        try await connection.read(timeoutMilliseconds: timeoutMilliseconds)
    }

    func write(_ reply: Reply) { connection.write { reply.write(to: &$0) } }

    func room(timeoutMilliseconds: UInt64) async throws(ConnectionError) {
        try await connection.room(timeoutMilliseconds: timeoutMilliseconds)
    }

    func startTLS(
        _ context: ServerContext, _ signer: any Signer, _ beginning: TLSBeginning
    ) async throws(TLSFault) -> ChannelSecurity {
        do {
            // The reply is the last that is said in plain text.
            try await connection.drain(timeoutMilliseconds: ListenerProcess.idleMilliseconds)
        } catch {
            throw TLSFault("the connection is closed", isDisconnection: true)
        }
        switch beginning {
        case .immediate:
            // A PROXY header may have come in one segment with the client's first record.
            break
        case .commanded:
            // Whatever came before the handshake was not protected by it (RFC 3207 section 6).
            guard connection.available == 0 else { throw TLSFault("plain text behind STARTTLS") }
        }
        let channel = try await TLSChannel.accept(
            connection, context, signer: signer, timeoutMilliseconds: ListenerTLS.handshakeMilliseconds)
        return channel.security
    }

    func finish(_ farewell: Farewell) async {
        if farewell == .refused { return connection.close() }
        var left = Self.lingerBytes
        // For all of it together: a byte now and then must not keep the connection.
        let timer = Timer()
        timer.start(afterMilliseconds: Self.lingerMilliseconds) { [connection] in connection.close() }
        defer { timer.stop() }
        do {
            try await connection.drain(timeoutMilliseconds: Self.lingerMilliseconds)
            // Nothing waits to be read, and nothing more comes: no reply can be lost, and no end has to be waited for.
            if farewell == .agreed, connection.available == 0 { return connection.close() }
            connection.endOutput()
            while left > 0 {
                left -= max(1, connection.available)
                connection.consume(connection.available)
                try await connection.read(timeoutMilliseconds: Self.lingerMilliseconds)
            }
        } catch {
            // The client has gone, which is what this waits for.
        }
        connection.close()
    }

    func interrupt() { connection.close() }
}
