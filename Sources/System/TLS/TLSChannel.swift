// SPDX-License-Identifier: ISC

import Bytes
import CSigner
import Glibc
public import Mail
public import Reactor

/// TLS over the descriptor of one connection, from the handshake on.
@MainActor public final class TLSChannel: Transport {
    // RFC 9266 section 2
    private static let bindingLabel = "EXPORTER-Channel-Binding"
    private static let bindingLength = 32
    // A job for another handshake comes free when one of those that wait has its signature.
    private static let turnMilliseconds: UInt64 = 20

    private let ssl: OpaquePointer
    // Holds what the handshake reads.
    private let context: AnyObject
    /// OpenSSL reads what the connection had read before the handshake, and not yet from the descriptor.
    private var readsBuffered = false

    private init(_ ssl: OpaquePointer, _ context: AnyObject) {
        self.ssl = ssl
        self.context = context
    }

    isolated deinit { SSL_free(ssl) }

    /// The server's side of a handshake; the connection goes through TLS then. What is buffered in it is the beginning
    /// of the handshake: where plain text came before, the caller sees to it that nothing is.
    public static func accept(
        _ connection: Connection, _ context: ServerContext, signer: any Signer, timeoutMilliseconds: UInt64
    ) async throws(TLSFault) -> TLSChannel {
        guard let ssl = context.makeSession() else { throw TLSFault("out of memory") }
        let channel = TLSChannel(ssl, context)
        SSL_set_accept_state(ssl)
        try await channel.handshake(on: connection, connection.takeInput(), signer, timeoutMilliseconds)
        return channel
    }

    /// The client's side of a handshake.
    public static func connect(
        _ connection: Connection, _ context: ClientContext, host: String?, _ verification: ClientContext.Verification,
        resuming session: ResumableSession?, signer: any Signer, timeoutMilliseconds: UInt64
    ) async throws(TLSFault) -> TLSChannel {
        let ssl = try context.makeSession(host: host, verification, resuming: session)
        let channel = TLSChannel(ssl, context)
        SSL_set_connect_state(ssl)
        guard connection.available == 0 else { throw TLSFault("plain text behind STARTTLS") }
        try await channel.handshake(on: connection, [], signer, timeoutMilliseconds)
        return channel
    }

    // MARK: Handshake

    private func handshake(
        on connection: Connection, _ beginning: [UInt8], _ signer: any Signer, _ timeoutMilliseconds: UInt64
    ) async throws(TLSFault) {
        guard connection.isOpen, SSL_set_fd(ssl, connection.number) == 1 else {
            throw TLSFault("the connection is closed", isDisconnection: true)
        }
        try readFirst(beginning)
        let deadline = Loop.milliseconds + timeoutMilliseconds
        martlet_ssl_set_async(ssl, 1)
        while true {
            ERR_clear_error()
            let result = SSL_do_handshake(ssl)
            if result == 1 { break }
            switch SSL_get_error(ssl, result) {
            case SSL_ERROR_WANT_READ:
                if endBuffered(connection.number) { continue }
                try await wait(connection, .reading, deadline)
            case SSL_ERROR_WANT_WRITE:
                try await wait(connection, .writing, deadline)
            case SSL_ERROR_WANT_ASYNC:
                guard let signing = martlet_signing_take() else { throw TLSFault("paused for nothing") }
                // A paused handshake must be driven on, whatever becomes of the client: its stack is freed only so.
                await answer(signing, signer)
                // The number may be another's connection by now.
                if !connection.isOpen { SSL_set_fd(ssl, -1) }
            case SSL_ERROR_WANT_ASYNC_JOB:
                guard Loop.milliseconds < deadline else { throw TLSFault("too many handshakes") }
                await Loop.pause(milliseconds: Self.turnMilliseconds)
                guard connection.isOpen else { throw TLSFault("the connection is closed", isDisconnection: true) }
            case SSL_ERROR_SYSCALL, SSL_ERROR_ZERO_RETURN:
                ERR_clear_error()
                throw TLSFault("the other side went away", isDisconnection: true)
            default:
                throw failure()
            }
        }
        // Nothing is signed after the handshake: a job for each read and write would be for nothing.
        martlet_ssl_set_async(ssl, 0)
        guard connection.isOpen else { throw TLSFault("the connection is closed", isDisconnection: true) }
        connection.install(self)
    }

    /// Gives OpenSSL what came together with something that was not TLS, a PROXY header.
    private func readFirst(_ bytes: [UInt8]) throws(TLSFault) {
        guard !bytes.isEmpty else { return }
        // Of this kind because its end is no end of the stream: OpenSSL is told to come again.
        guard let memory = BIO_new(BIO_s_mem()), BIO_write(memory, bytes, Int32(clamping: bytes.count)) == bytes.count
        else { throw TLSFault("out of memory") }
        SSL_set0_rbio(ssl, memory)
        readsBuffered = true
    }

    /// Whether that was used up only now, so that reading may go on.
    private func endBuffered(_ number: Int32) -> Bool {
        guard readsBuffered else { return false }
        readsBuffered = false
        return SSL_set_rfd(ssl, number) == 1
    }

    private func wait(
        _ connection: Connection, _ interest: Watch.Interest, _ deadline: UInt64
    ) async throws(TLSFault) {
        let now = Loop.milliseconds
        guard now < deadline else { throw TLSFault("the handshake took too long") }
        do {
            try await connection.wait(until: interest, timeoutMilliseconds: deadline - now)
        } catch .timedOut {
            throw TLSFault("the handshake took too long")
        } catch {
            throw TLSFault("the connection is closed", isDisconnection: true)
        }
    }

    private func answer(_ signing: UnsafeMutablePointer<martlet_signing>, _ signer: any Signer) async {
        let input = Array(UnsafeBufferPointer(start: signing.pointee.input, count: signing.pointee.input_count))
        let signature = await signer.sign(
            key: signing.pointee.key, algorithm: UInt8(truncatingIfNeeded: signing.pointee.algorithm), input)
        martlet_signing_answer(signing, signature, signature.count)
    }

    private func failure() -> TLSFault {
        let reason = TLSLibrary.lastError()
        let verdict = SSL_get_verify_result(ssl)
        // What is wrong with a certificate says more than that it failed.
        guard verdict != Int(X509_V_OK), let text = X509_verify_cert_error_string(verdict) else {
            return TLSFault(reason)
        }
        return TLSFault("\(reason): \(String(cString: text))")
    }

    // MARK: Transport

    public func read(into buffer: UnsafeMutableRawBufferPointer) -> TransportResult {
        ERR_clear_error()
        var count = SSL_read(ssl, buffer.baseAddress, Int32(clamping: buffer.count))
        // The number is the one that is written to.
        if count <= 0, readsBuffered, SSL_get_error(ssl, count) == SSL_ERROR_WANT_READ, endBuffered(SSL_get_wfd(ssl)) {
            ERR_clear_error()
            count = SSL_read(ssl, buffer.baseAddress, Int32(clamping: buffer.count))
        }
        return count > 0 ? .moved(Int(count)) : result(count)
    }

    public func write(_ bytes: UnsafeRawBufferPointer) -> TransportResult {
        ERR_clear_error()
        let count = SSL_write(ssl, bytes.baseAddress, Int32(clamping: bytes.count))
        return count > 0 ? .moved(Int(count)) : result(count)
    }

    private func result(_ count: Int32) -> TransportResult {
        let number = errno
        switch SSL_get_error(ssl, count) {
        case SSL_ERROR_WANT_READ: return .wantsToRead
        case SSL_ERROR_WANT_WRITE: return .wantsToWrite
        case SSL_ERROR_ZERO_RETURN: return .ended
        case SSL_ERROR_SYSCALL:
            ERR_clear_error()
            return number == 0 || number == ECONNRESET || number == EPIPE
                ? .ended : .failed(.broken("TLS: error \(number) of the system"))
        default: return .failed(.broken("TLS: \(TLSLibrary.lastError())"))
        }
    }

    public func endOutput() {
        // RFC 8446 section 6.1; not waited for: what comes from the other side is not wanted any more.
        ERR_clear_error()
        if SSL_is_init_finished(ssl) == 1 { SSL_shutdown(ssl) }
        ERR_clear_error()
    }

    // MARK: What was agreed on

    /// What protects the channel.
    public var security: ChannelSecurity {
        var bits: Int32 = 0
        let cipher = martlet_ssl_cipher(ssl, &bits).map { String(cString: $0) } ?? ""
        return ChannelSecurity(
            version: SSL_get_version(ssl).map { String(cString: $0) } ?? "", cipher: cipher, bits: Int(bits),
            clientCertificate: peerCertificate, binding: binding)
    }

    public var isResumed: Bool { SSL_session_reused(ssl) == 1 }

    /// For the next handshake with the same server; worth asking for at the end, when the server has given its ticket.
    public func resumableSession() -> ResumableSession? {
        guard let session = SSL_get1_session(ssl) else { return nil }
        let kept = ResumableSession(owning: session)
        return SSL_SESSION_is_resumable(session) == 1 ? kept : nil
    }

    /// The certificate of the other side, where it was vouched for.
    private var peerCertificate: ChannelSecurity.ClientCertificate {
        guard let certificate = SSL_get1_peer_certificate(ssl) else { return .absent }
        defer { X509_free(certificate) }
        guard SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE, SSL_get_verify_result(ssl) == Int(X509_V_OK) else {
            return .absent
        }
        return .verified(VerifiedCertificate(reading: certificate))
    }

    /// SHA-256 of the certificate that the other side has shown, vouched for or not; nil when it has shown none.
    public var peerFingerprint: String? {
        guard let certificate = SSL_get1_peer_certificate(ssl) else { return nil }
        defer { X509_free(certificate) }
        return VerifiedCertificate(reading: certificate).fingerprint
    }

    // Without the extended master secret two channels of TLS 1.2 can be made to have the same name (RFC 7627).
    private var binding: [UInt8] {
        guard martlet_ssl_has_extended_secret(ssl) == 1 else { return [] }
        return [UInt8](unsafeUninitializedCapacity: Self.bindingLength) { buffer, filled in
            let made = SSL_export_keying_material(
                ssl, buffer.baseAddress, Self.bindingLength, Self.bindingLabel, Self.bindingLabel.utf8.count, nil, 0, 0)
            filled = made == 1 ? Self.bindingLength : 0
        }
    }
}

extension VerifiedCertificate {
    // Far more than anybody has.
    private static let mostAddresses = 32
    private static let longestName = 256

    @MainActor init(reading certificate: OpaquePointer) {
        var digest = [UInt8](repeating: 0, count: 64)
        var count: UInt32 = 0
        X509_digest(certificate, EVP_sha256(), &digest, &count)
        self.init(
            fingerprint: digest.prefix(Int(count)).map { Hexadecimal.text(UInt64($0), width: 2) }.joined(),
            commonName: Self.commonName(certificate), addresses: Self.addresses(certificate))
    }

    @MainActor private static func commonName(_ certificate: OpaquePointer) -> String? {
        var text = [CChar](repeating: 0, count: longestName)
        let name = X509_get_subject_name(certificate)
        let count = X509_NAME_get_text_by_NID(name, NID_commonName, &text, Int32(text.count))
        let bytes = text.prefix(Int(max(0, count))).map { UInt8(bitPattern: $0) }
        return bytes.isEmpty || bytes.contains(0) ? nil : String(validating: bytes, as: UTF8.self)
    }

    @MainActor private static func addresses(_ certificate: OpaquePointer) -> [String] {
        guard let list = X509_get1_email(certificate) else { return [] }
        defer { X509_email_free(list) }
        return (0..<min(OPENSSL_sk_num(list), Int32(mostAddresses))).compactMap { index in
            OPENSSL_sk_value(list, index).flatMap { raw in
                String(validatingCString: raw.assumingMemoryBound(to: CChar.self))
            }
        }
    }
}
