// SPDX-License-Identifier: ISC

/// What protects a session, once the TLS handshake is done.
public struct ChannelSecurity: Hashable, Sendable {
    public enum ClientCertificate: Hashable, Sendable {
        case absent
        /// Shown, its key proven, and vouched for by the authorities that the listener names.
        case verified(VerifiedCertificate)
    }

    /// `TLSv1.2` or `TLSv1.3`.
    public var version: String
    /// As OpenSSL names it.
    public var cipher: String
    /// Of the cipher's key.
    public var bits: Int
    public var clientCertificate: ClientCertificate
    /// Names this very channel, the same on both sides (`tls-exporter` of RFC 9266); empty where the library has none.
    public var binding: [UInt8]

    public init(
        version: String, cipher: String, bits: Int, clientCertificate: ClientCertificate = .absent,
        binding: [UInt8] = []
    ) {
        self.version = version
        self.cipher = cipher
        self.bits = bits
        self.clientCertificate = clientCertificate
        self.binding = binding
    }
}

/// Whom a certificate names.
public struct VerifiedCertificate: Hashable, Sendable {
    /// SHA-256 of the whole certificate, in lower-case hexadecimal digits.
    public var fingerprint: String
    /// The common name of its subject, which may be anything.
    public var commonName: String?
    /// The mail addresses among its alternative names (RFC 5280 section 4.2.1.6).
    public var addresses: [String]

    public init(fingerprint: String, commonName: String? = nil, addresses: [String] = []) {
        self.fingerprint = fingerprint
        self.commonName = commonName
        self.addresses = addresses
    }
}
