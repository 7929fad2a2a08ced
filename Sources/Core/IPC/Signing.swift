// SPDX-License-Identifier: ISC

/// What a key may be used for; each purpose belongs to one role.
public enum KeyPurpose: UInt8, Hashable, Sendable, WireValue {
    /// The server side of TLS: Listener.
    case server = 1
    /// The client certificate of outgoing TLS: Delivery (relay).
    case client = 2
}

/// What is signed is a digest, for Ed25519 the message itself. Padding is Keys' affair: a block padded by whoever asks
/// could be one that somebody else had encrypted.
public enum SignatureAlgorithm: UInt8, Hashable, Sendable, WireValue {
    case rsaPSSWithSHA256 = 2
    case rsaPKCS1WithSHA256 = 3
    case ecdsa = 4
    case ed25519 = 5
    case rsaPSSWithSHA384 = 6
    case rsaPSSWithSHA512 = 7
    case rsaPKCS1WithSHA384 = 8
    case rsaPKCS1WithSHA512 = 9
}

/// A key of a pki name: that whose public half (SubjectPublicKeyInfo) has this SHA-256. While a certificate is being
/// replaced a name has two.
public struct KeyName: Hashable, Sendable {
    public var pki: String
    public var fingerprint: [UInt8]

    public init(pki: String, fingerprint: [UInt8]) {
        self.pki = pki
        self.fingerprint = fingerprint
    }
}

/// Listener, Delivery (relay) - Keys.
public enum ToKeys: Hashable, Sendable {
    /// Signs with that key. Answered once, by `signature` or `refused`.
    case sign(KeyName, purpose: KeyPurpose, algorithm: SignatureAlgorithm, [UInt8])
    /// Whether that key could sign. Answered by `held` or `refused`.
    case holds(KeyName, purpose: KeyPurpose)
}

/// Keys - those who asked.
public enum FromKeys: Hashable, Sendable {
    case signature([UInt8])
    /// No such key, not for this role, or not by this algorithm.
    case refused(String)
    case held
}

extension KeyName: WireValue {
    public func encode(to output: inout [UInt8]) {
        pki.encode(to: &output)
        fingerprint.encode(to: &output)
    }

    public init(from reader: inout WireReader) throws(WireError) {
        self.init(pki: try reader.value(), fingerprint: try reader.value())
    }
}

extension ToKeys: EdgeMessage {
    private enum Tag: UInt8 {
        case sign = 1
        case holds = 2
    }

    public var tag: UInt8 {
        switch self {
        case .sign: Tag.sign.rawValue
        case .holds: Tag.holds.rawValue
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .sign(let key, let purpose, let algorithm, let input):
            key.encode(to: &output)
            purpose.encode(to: &output)
            algorithm.encode(to: &output)
            input.encode(to: &output)
        case .holds(let key, let purpose):
            key.encode(to: &output)
            purpose.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .sign:
            self = .sign(
                try reader.value(), purpose: try reader.value(), algorithm: try reader.value(), try reader.value())
        case .holds:
            self = .holds(try reader.value(), purpose: try reader.value())
        }
    }
}

extension FromKeys: EdgeMessage {
    private enum Tag: UInt8 {
        case signature = 1
        case refused = 2
        case held = 3
    }

    public var tag: UInt8 {
        switch self {
        case .signature: Tag.signature.rawValue
        case .refused: Tag.refused.rawValue
        case .held: Tag.held.rawValue
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .signature(let value):
            value.encode(to: &output)
        case .refused(let value):
            value.encode(to: &output)
        case .held:
            break
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .signature: self = .signature(try reader.value())
        case .refused: self = .refused(try reader.value())
        case .held: self = .held
        }
    }
}
