// SPDX-License-Identifier: ISC

/// What a key may be used for; each purpose belongs to one role.
public enum KeyPurpose: UInt8, Hashable, Sendable, WireValue {
    /// The server side of TLS: Listener.
    case server = 1
    /// The client certificate of outgoing TLS: Delivery (relay).
    case client = 2
}

public enum SignatureAlgorithm: UInt8, Hashable, Sendable, WireValue {
    /// Padding and digest are the caller's: the block is signed as it is.
    case rsaRaw = 1
    case rsaPSSWithSHA256 = 2
    case rsaPKCS1WithSHA256 = 3
    case ecdsa = 4
    case ed25519 = 5
}

/// Listener, Delivery (relay) - Keys.
public enum ToKeys: Hashable, Sendable {
    /// Signs a digest (for Ed25519 the message itself) with the key of that pki name. Answered once.
    case sign(key: String, purpose: KeyPurpose, algorithm: SignatureAlgorithm, [UInt8])
}

/// Keys - those who asked.
public enum FromKeys: Hashable, Sendable {
    case signature([UInt8])
    /// No such key, not for this role, or not by this algorithm.
    case refused(String)
}

extension ToKeys: EdgeMessage {
    private enum Tag: UInt8 {
        case sign = 1
    }

    public var tag: UInt8 {
        switch self {
        case .sign: Tag.sign.rawValue
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .sign(let key, let purpose, let algorithm, let value3):
            key.encode(to: &output)
            purpose.encode(to: &output)
            algorithm.encode(to: &output)
            value3.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .sign:
            self = .sign(
                key: try reader.value(), purpose: try reader.value(), algorithm: try reader.value(), try reader.value())
        }
    }
}

extension FromKeys: EdgeMessage {
    private enum Tag: UInt8 {
        case signature = 1
        case refused = 2
    }

    public var tag: UInt8 {
        switch self {
        case .signature: Tag.signature.rawValue
        case .refused: Tag.refused.rawValue
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .signature(let value):
            value.encode(to: &output)
        case .refused(let value):
            value.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .signature: self = .signature(try reader.value())
        case .refused: self = .refused(try reader.value())
        }
    }
}
