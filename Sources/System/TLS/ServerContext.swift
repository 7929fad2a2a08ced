// SPDX-License-Identifier: ISC

import CSigner

/// TLS as one listener has it: its certificates, among which the name that a client wants decides, and its tickets.
///
/// Sessions hold it; when the certificates change the listener makes another.
@MainActor public final class ServerContext {
    public enum ClientCertificate: Hashable, Sendable {
        case ignored
        case required
    }

    /// A certificate, and the number under which its signatures are asked for.
    public struct Identity {
        let chain: CertificateChain
        let key: UInt32

        public init(_ chain: CertificateChain, key: UInt32) {
            self.chain = chain
            self.key = key
        }
    }

    private var contexts: [OpaquePointer] = []
    // OpenSSL reads it while a client says which name it wants.
    private let siblings: UnsafeMutablePointer<OpaquePointer?>
    private let capacity: Int

    /// The first identity is for clients that want no name, or none that there is. `name` keeps the tickets of one
    /// listener apart from those of another.
    public init(
        _ settings: TLSSettings, name: [UInt8], identities: [Identity], clientCertificate: ClientCertificate,
        authorities: TrustAnchors?
    ) throws(TLSFault) {
        try TLSLibrary.prepare()
        capacity = max(1, identities.count)
        siblings = .allocate(capacity: capacity)
        siblings.initialize(repeating: nil, count: capacity)
        for identity in identities {
            guard let context = SSL_CTX_new(TLS_server_method()) else { throw TLSFault("out of memory") }
            contexts.append(context)
            try settings.apply(to: context)
            try identity.install(in: context)
            martlet_context_require_smtp(context)
            let digest = name.withUnsafeBufferPointer { buffer in
                buffer.baseAddress.map { KeyFingerprint.digest($0, buffer.count) } ?? []
            }
            SSL_CTX_set_session_id_context(context, digest, UInt32(digest.count))
            if let authorities { martlet_context_set_store(context, authorities.store) }
            if clientCertificate == .required {
                SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
                authorities?.announce(in: context)
            }
        }
        guard !contexts.isEmpty else { throw TLSFault("no certificate") }
        for (index, context) in contexts.enumerated() { siblings[index] = context }
        for context in contexts where martlet_context_set_siblings(context, siblings, contexts.count) != 1 {
            throw TLSFault("out of memory")
        }
    }

    isolated deinit {
        for context in contexts { SSL_CTX_free(context) }
        siblings.deinitialize(count: capacity)
        siblings.deallocate()
    }

    /// Tickets are made with the first secret, and taken when made with any. Secrets are shared with all workers that
    /// have the same listener; `name` is that of the listener.
    public func setTickets(_ secrets: [[UInt8]], name: [UInt8]) {
        var keys: [UInt8] = []
        for secret in secrets.prefix(Int(MARTLET_TICKET_KEYS_MAX)) { keys += Self.ticketKey(secret, name) }
        let count = keys.count / Int(MARTLET_TICKET_KEY_SIZE)
        for context in contexts { martlet_context_set_ticket_keys(context, keys, count) }
        keys.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) }
    }

    // 80 bytes from the secret and the listener's name, as HKDF-Expand makes them (RFC 5869 section 2.3).
    private static func ticketKey(_ secret: [UInt8], _ name: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        var block: [UInt8] = []
        for counter in UInt8(1)...3 {
            let input = block + name + [counter]
            block = [UInt8](unsafeUninitializedCapacity: 32) { buffer, filled in
                var count: UInt32 = 0
                let made = HMAC(
                    EVP_sha256(), secret, Int32(secret.count), input, input.count, buffer.baseAddress, &count)
                filled = made == nil ? 0 : Int(count)
            }
            output += block
        }
        return Array(output.prefix(Int(MARTLET_TICKET_KEY_SIZE)))
    }

    func makeSession() -> OpaquePointer? { SSL_new(contexts[0]) }
}

extension ServerContext.Identity {
    @MainActor func install(in context: OpaquePointer) throws(TLSFault) {
        guard SSL_CTX_use_certificate(context, chain.leaf) == 1 else {
            throw TLSFault("certificate: \(TLSLibrary.lastError())")
        }
        for certificate in chain.chain where martlet_context_add_chain(context, certificate) != 1 {
            throw TLSFault("certificate chain: \(TLSLibrary.lastError())")
        }
        guard let remote = martlet_remote_key(chain.leaf, key) else {
            throw TLSFault("the certificate's key is neither RSA, nor ECDSA, nor Ed25519")
        }
        defer { EVP_PKEY_free(remote) }
        guard SSL_CTX_use_PrivateKey(context, remote) == 1 else { throw TLSFault("key: \(TLSLibrary.lastError())") }
    }
}
