// SPDX-License-Identifier: ISC

import CSigner
import Posix

/// TLS as one kind of relaying has it.
@MainActor public final class ClientContext {
    public enum Verification: Hashable, Sendable {
        /// Whatever certificate is shown will do.
        case none
        /// It must be vouched for, and name this host: a domain name, or an address as text.
        case name(String)
        case address(String)
    }

    private let context: OpaquePointer
    /// Whether anybody can be verified.
    public let hasAuthorities: Bool

    public init(
        _ settings: TLSSettings, identity: ServerContext.Identity?, authorities: TrustAnchors?
    ) throws(TLSFault) {
        try TLSLibrary.prepare()
        guard let context = SSL_CTX_new(TLS_client_method()) else { throw TLSFault("out of memory") }
        self.context = context
        hasAuthorities = authorities != nil
        try settings.apply(to: context)
        if let authorities { martlet_context_set_store(context, authorities.store) }
        try identity?.install(in: context)
    }

    isolated deinit { SSL_CTX_free(context) }

    /// `host` is told to the server, which may have several certificates; nil for an address.
    func makeSession(
        host: String?, _ verification: Verification, resuming session: ResumableSession?
    ) throws(TLSFault) -> OpaquePointer {
        guard let ssl = SSL_new(context) else { throw TLSFault("out of memory") }
        var isSet = host.map { martlet_ssl_set_host_name(ssl, $0) == 1 } ?? true
        switch verification {
        case .none:
            SSL_set_verify(ssl, SSL_VERIFY_NONE, nil)
        case .name(let name):
            SSL_set_verify(ssl, SSL_VERIFY_PEER, nil)
            SSL_set_hostflags(ssl, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
            isSet = isSet && SSL_set1_host(ssl, name) == 1
        case .address(let text):
            SSL_set_verify(ssl, SSL_VERIFY_PEER, nil)
            isSet = isSet && X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), text) == 1
        }
        guard isSet else {
            SSL_free(ssl)
            throw TLSFault("host name: \(TLSLibrary.lastError())")
        }
        if let session { SSL_set_session(ssl, session.session) }
        return ssl
    }
}

/// What a server gave to make the next handshake with it short. Worth nothing to another server, and not taken twice
/// under TLS 1.3 (RFC 8446 appendix C.4).
@MainActor public final class ResumableSession {
    let session: OpaquePointer

    init(owning session: OpaquePointer) { self.session = session }

    isolated deinit { SSL_SESSION_free(session) }
}
