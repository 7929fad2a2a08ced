// SPDX-License-Identifier: ISC

/// What a `HeaderScanner` saw; offsets count bytes of the content from its start.
public struct HeaderFindings: Hashable, Sendable {
    /// Why the header is not one.
    public enum Fault: Hashable, Sendable {
        /// The content begins with a blank, so its first line continues nothing.
        case leadingBlank
        /// The line at this offset is no field, no continuation and not empty.
        case neitherFieldNorContinuation(at: Int)
        case nameTooLong(at: Int)
        case headerTooLong
        case tooManyBccFields
        case tooManyAddressFields
    }

    /// The first fault; nothing behind it was looked at.
    public var fault: Fault?
    /// Behind the line end of the last field, where the empty line stands.
    public var headerEnd = 0
    /// Behind the empty line; nil when the content ends with the header.
    public var bodyStart: Int?
    /// The content ended within a line of the header.
    public var isUnterminated = false
    /// How many Received fields: the hops of the message.
    public var receivedCount = 0
    public var hasDate = false
    public var hasMessageID = false
    /// The unfolded value of the first Message-ID field, unless it is longer than a line may be.
    public var messageID: String?
    public var hasFrom = false
    /// A value goes beyond ASCII (RFC 6532).
    public var isInternational = false
    /// The Bcc fields with their line ends, in order, neighbours joined.
    public var bccRanges: [Range<Int>] = []
    /// The unfolded values of Delivered-To fields, when they were asked for; longer ones are left out.
    public var deliveredTo: [String] = []

    /// From, To and Cc, when they were asked for; those that are too long are left out.
    public var addressFields: [AddressField] = []
    /// One of those that were left out is a From.
    public var lacksFrom = false

    public init() {}
}
