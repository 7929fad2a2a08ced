// SPDX-License-Identifier: ISC

public import Bytes
public import Mail

/// What the server offered in its reply to EHLO or LHLO (RFC 5321 section 4.1.1.1).
public struct PeerExtensions: OptionSet, Hashable, Sendable {
    public let rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let pipelining = PeerExtensions(rawValue: 1)  // RFC 2920
    public static let size = PeerExtensions(rawValue: 2)  // RFC 1870
    public static let eightBitMIME = PeerExtensions(rawValue: 4)  // RFC 6152
    public static let deliveryStatus = PeerExtensions(rawValue: 8)  // RFC 3461
    public static let enhancedStatusCodes = PeerExtensions(rawValue: 16)  // RFC 2034
    public static let internationalMail = PeerExtensions(rawValue: 32)  // RFC 6531
    public static let startTLS = PeerExtensions(rawValue: 64)  // RFC 3207
    public static let chunking = PeerExtensions(rawValue: 128)  // RFC 3030
    public static let authentication = PeerExtensions(rawValue: 256)  // RFC 4954
    public static let requireTLS = PeerExtensions(rawValue: 512)  // RFC 8689
    public static let binaryMIME = PeerExtensions(rawValue: 1024)  // RFC 3030
    public static let deliverBy = PeerExtensions(rawValue: 2048)  // RFC 2852
    public static let priority = PeerExtensions(rawValue: 4096)  // RFC 6710
}

/// The extensions of one EHLO reply with their parameters.
public struct PeerOffer: Hashable, Sendable {
    public private(set) var extensions: PeerExtensions = []
    /// The largest message that the server takes; nil when it did not say or said that it has no limit.
    public private(set) var largestMessage: ByteCount?
    /// Upper-case SASL mechanism names in the order given.
    public private(set) var mechanisms: [String] = []

    // More than any server knows.
    private static let mostMechanisms = 32

    /// What a server that only knows HELO offers.
    public init() {}

    /// The offer in `reply`; its first line is the greeting and names no extension.
    public init(_ reply: Reply) {
        for text in reply.lines.dropFirst() {
            let bytes = Array(text.utf8)
            var rest = bytes.span
            let keyword = rest.take(while: { !$0.isBlank && $0 != UInt8(ascii: "=") })
            if keyword.equalsCaseInsensitively("PIPELINING") { extensions.insert(.pipelining) }
            if keyword.equalsCaseInsensitively("8BITMIME") { extensions.insert(.eightBitMIME) }
            if keyword.equalsCaseInsensitively("DSN") { extensions.insert(.deliveryStatus) }
            if keyword.equalsCaseInsensitively("ENHANCEDSTATUSCODES") { extensions.insert(.enhancedStatusCodes) }
            if keyword.equalsCaseInsensitively("SMTPUTF8") { extensions.insert(.internationalMail) }
            if keyword.equalsCaseInsensitively("STARTTLS") { extensions.insert(.startTLS) }
            if keyword.equalsCaseInsensitively("CHUNKING") { extensions.insert(.chunking) }
            if keyword.equalsCaseInsensitively("REQUIRETLS") { extensions.insert(.requireTLS) }
            if keyword.equalsCaseInsensitively("BINARYMIME") { extensions.insert(.binaryMIME) }
            if keyword.equalsCaseInsensitively("DELIVERBY") { extensions.insert(.deliverBy) }
            if keyword.equalsCaseInsensitively("MT-PRIORITY") { extensions.insert(.priority) }
            if keyword.equalsCaseInsensitively("SIZE") {
                extensions.insert(.size)
                // RFC 1870 section 3: zero means no fixed limit.
                if let limit = rest.trimmed.decimal, limit > 0 { largestMessage = ByteCount(Int(clamping: limit)) }
            }
            if keyword.equalsCaseInsensitively("AUTH") {
                extensions.insert(.authentication)
                // Old servers write `AUTH=PLAIN` as well.
                while !rest.isEmpty, mechanisms.count < Self.mostMechanisms {
                    _ = rest.take(while: { $0.isBlank || $0 == UInt8(ascii: "=") })
                    let name = rest.take(while: { !$0.isBlank }).array.map { $0 >= 0x61 && $0 <= 0x7A ? $0 - 0x20 : $0 }
                    let mechanism = String(decoding: name, as: UTF8.self)
                    if !name.isEmpty, !mechanisms.contains(mechanism) { mechanisms.append(mechanism) }
                }
            }
        }
    }
}
