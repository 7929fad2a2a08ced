// SPDX-License-Identifier: ISC

/// The extensions that a server may choose to offer; SIZE, 8BITMIME, ENHANCEDSTATUSCODES and LIMITS always are.
public struct ServerExtensions: OptionSet, Hashable, Sendable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let pipelining = ServerExtensions(rawValue: 1)  // RFC 2920
    public static let deliveryStatus = ServerExtensions(rawValue: 2)  // RFC 3461
    /// With BINARYMIME, which needs it.
    public static let chunking = ServerExtensions(rawValue: 4)  // RFC 3030
    public static let internationalMail = ServerExtensions(rawValue: 8)  // RFC 6531
    /// Under TLS only.
    public static let requireTLS = ServerExtensions(rawValue: 16)  // RFC 8689
    /// For those only whom we know, as the next one.
    public static let futureRelease = ServerExtensions(rawValue: 32)  // RFC 4865
    public static let deliverBy = ServerExtensions(rawValue: 64)  // RFC 2852
    public static let priority = ServerExtensions(rawValue: 512)  // RFC 6710
    /// To name the author of a message; where AUTH is offered, or was before the client had proven who it is.
    public static let authorship = ServerExtensions(rawValue: 1024)  // RFC 4954 section 5
    /// For clients that speak for others, by our configuration.
    public static let clientClaims = ServerExtensions(rawValue: 128)  // XCLIENT
    public static let forwardClaims = ServerExtensions(rawValue: 256)  // XFORWARD
}
