// SPDX-License-Identifier: ISC

import CSigner
import Configuration

/// What a statement of the configuration says of its TLS, for both sides.
public nonisolated struct TLSSettings: Hashable, Sendable {
    public enum Version: Int32, Comparable, Hashable, Sendable {
        case tls12 = 0x0303
        case tls13 = 0x0304

        public static func < (left: Version, right: Version) -> Bool { left.rawValue < right.rawValue }
    }

    public enum KeyExchange: Hashable, Sendable {
        /// By elliptic curves only.
        case curves
        /// By finite fields too, for those who know nothing else.
        case finiteFields
    }

    /// For TLS 1.2, in OpenSSL's words; those of TLS 1.3 are all good.
    public var ciphers: String?
    public var versions: ClosedRange<Version> = .tls12 ... .tls13
    public var keyExchange = KeyExchange.curves

    public init() {}

    /// As a statement has them, in its words.
    public init(ciphers: String?, protocols: String?) {
        self.ciphers = ciphers
        let left = protocols.flatMap { TLSProtocols(parsing: $0) } ?? .all
        versions = (left.contains(.version12) ? .tls12 : .tls13)...(left.contains(.version13) ? .tls13 : .tls12)
    }

    private static let usualCiphers = "HIGH:!aNULL:!eNULL:!MD5"
    // No signature by a private key that is elsewhere could decrypt, so RSA key exchange, which has no forward secrecy
    // either, is never there.
    private static let neverCiphers = ":!kRSA:!kPSK:!kSRP:!aNULL:!eNULL"
    // SHA-1 and below are left to the past.
    private static let signatures =
        "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:rsa_pss_rsae_sha256:"
        + "rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:RSA+SHA256:RSA+SHA384:RSA+SHA512"

    /// Sets all of it; the last words of OpenSSL when it does not take them.
    @MainActor func apply(to context: OpaquePointer) throws(TLSFault) {
        guard martlet_context_prepare(context, versions.lowerBound.rawValue, versions.upperBound.rawValue) == 1 else {
            throw TLSFault("protocols: \(TLSLibrary.lastError())")
        }
        guard
            SSL_CTX_set_cipher_list(context, (ciphers.map(Self.translated) ?? Self.usualCiphers) + Self.neverCiphers)
                == 1
        else { throw TLSFault("ciphers \(ciphers ?? ""): \(TLSLibrary.lastError())") }
        guard martlet_context_set_signatures(context, Self.signatures) == 1 else {
            throw TLSFault("signatures: \(TLSLibrary.lastError())")
        }
        martlet_context_set_dh(context, keyExchange == .finiteFields ? 1 : 0)
    }

    // The short names of libtls, which the reference is built with.
    private static func translated(_ ciphers: String) -> String {
        switch ciphers {
        case "secure", "default": "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20"
        case "compat", "legacy", "insecure", "all": usualCiphers
        default: ciphers
        }
    }

    /// Why OpenSSL does not take these settings; nil when it does.
    @MainActor public func fault() -> TLSFault? {
        do throws(TLSFault) {
            try TLSLibrary.prepare()
            guard let context = SSL_CTX_new(TLS_method()) else { return TLSFault("out of memory") }
            defer { SSL_CTX_free(context) }
            try apply(to: context)
            return nil
        } catch {
            return error
        }
    }
}
