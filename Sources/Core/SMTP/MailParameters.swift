// SPDX-License-Identifier: ISC

public import Bytes
public import Mail

/// What stands behind the path of MAIL.
public struct MailParameters: Hashable, Sendable {
    // RFC 3461 section 4.4
    static let longestEnvelopeIdentifier = 100
    // size-value = 1*20DIGIT                                                             (RFC 1870 section 3)
    static let longestSize = 20
    // RFC 4865 section 4, RFC 2852 section 4: 1*9DIGIT
    static let longestInterval = 9
    // RFC 4954 section 5: a mailbox in xtext, each byte three characters at most.
    static let longestAuthor = 3 * 2 * LocalPart.longest

    /// When a message that is held back may go (RFC 4865).
    public enum Hold: Hashable, Sendable {
        case interval(Interval)
        case until(Timestamp)
    }

    /// `BY`: the deadline counted from the receipt of the command (RFC 2852).
    public struct DeliverBy: Hashable, Sendable {
        public var interval: Interval
        public var mode: MessageRequest.Deadline.Mode
        public var trace: MessageRequest.Deadline.Trace
    }

    /// The size that the client announces, line ends counted as two bytes.
    public var size: ByteCount?
    public var request: MessageRequest
    public var hold: Hold?
    public var deliverBy: DeliverBy?

    public init(size: ByteCount? = nil, request: MessageRequest = MessageRequest()) {
        self.size = size
        self.request = request
    }

    private enum Keyword: String, CaseIterable {
        case size = "SIZE"
        case body = "BODY"
        case author = "AUTH"
        case returned = "RET"
        case envelopeIdentifier = "ENVID"
        case international = "SMTPUTF8"
        case requireTLS = "REQUIRETLS"
        case holdFor = "HOLDFOR"
        case holdUntil = "HOLDUNTIL"
        case deliverBy = "BY"
        case priority = "MT-PRIORITY"

        init?(_ word: Span<UInt8>, offered: ServerExtensions) {
            let text = String(displaying: word)
            guard let keyword = Self.allCases.first(where: { $0.rawValue.asciiLowercased == text.asciiLowercased }),
                keyword.isOffered(offered)
            else { return nil }
            self = keyword
        }

        private func isOffered(_ offered: ServerExtensions) -> Bool {
            switch self {
            case .size, .body: true
            case .author: offered.contains(.authorship)
            case .returned, .envelopeIdentifier: offered.contains(.deliveryStatus)
            case .international: offered.contains(.internationalMail)
            case .requireTLS: offered.contains(.requireTLS)
            case .holdFor, .holdUntil: offered.contains(.futureRelease)
            case .deliverBy: offered.contains(.deliverBy)
            case .priority: offered.contains(.priority)
            }
        }
    }

    init(parsing arguments: Span<UInt8>, extensions: ServerExtensions) throws(CommandError) {
        self.init()
        var rest = arguments
        var hasAuthor = false
        while var parameter = rest.takeParameter() {
            let word = parameter.take(while: { $0 != UInt8(ascii: "=") })
            guard let keyword = Keyword(word, offered: extensions) else {
                throw .unsupportedParameter(String(displaying: word))
            }
            let hasValue = parameter.take(byte: UInt8(ascii: "="))
            switch keyword {
            case .international, .requireTLS:
                // esmtp-value is not allowed here                      (RFC 6531 section 3.4, RFC 8689 section 2)
                guard !hasValue else { throw .invalidParameter(keyword.rawValue) }
            case .size, .body, .author, .returned, .envelopeIdentifier, .holdFor, .holdUntil, .deliverBy,
                .priority:
                guard hasValue, !parameter.isEmpty else { throw .invalidParameter(keyword.rawValue) }
            }
            if keyword == .author {
                guard !hasAuthor else { throw .invalidParameter(keyword.rawValue) }
                hasAuthor = true
            }
            guard take(keyword, parameter, extensions) else { throw .invalidParameter(keyword.rawValue) }
        }
    }

    /// False when the value is wrong or the keyword was given before.
    private mutating func take(_ keyword: Keyword, _ value: Span<UInt8>, _ extensions: ServerExtensions) -> Bool {
        switch keyword {
        case .size:
            guard size == nil, let announced = Self.size(value) else { return false }
            size = announced
        case .body:
            guard request.body == nil, let body = Self.body(value, extensions) else { return false }
            request.body = body
        case .author:
            // Nobody here trusts the client to name the author (RFC 4954 section 5), but its syntax is looked at.
            guard value.count <= Self.longestAuthor, let author = value.decodedExtendedText,
                author == "<>" || Mailbox(author) != nil
            else { return false }
        case .returned:
            guard request.returned == nil, let part = Self.returned(value) else { return false }
            request.returned = part
        case .envelopeIdentifier:
            guard request.envelopeIdentifier == nil, value.count <= Self.longestEnvelopeIdentifier,
                let identifier = value.strictlyDecodedExtendedText
            else { return false }
            request.envelopeIdentifier = identifier
        case .international:
            guard !request.isInternational else { return false }
            request.isInternational = true
        case .requireTLS:
            guard !request.requiresTLS else { return false }
            request.requiresTLS = true
        case .holdFor:
            guard hold == nil, value.count <= Self.longestInterval, let seconds = value.decimal else { return false }
            hold = .interval(.seconds(Int64(clamping: seconds)))
        case .holdUntil:
            guard hold == nil, let time = Timestamp(internet: value) else { return false }
            hold = .until(time)
        case .deliverBy:
            guard deliverBy == nil, let wanted = Self.deliverBy(value) else { return false }
            deliverBy = wanted
        case .priority:
            guard request.priority == nil, let priority = Self.priority(value) else { return false }
            request.priority = priority
        }
        return true
    }

    private static func size(_ value: Span<UInt8>) -> ByteCount? {
        guard value.count <= longestSize else { return nil }
        for index in value.indices where !value[index].isDigit { return nil }
        return ByteCount(Int(clamping: value.decimal ?? .max))
    }

    private static func body(_ value: Span<UInt8>, _ extensions: ServerExtensions) -> MessageRequest.Body? {
        if value.equalsCaseInsensitively("7BIT") { return .sevenBit }
        if value.equalsCaseInsensitively("8BITMIME") { return .eightBitMIME }
        guard extensions.contains(.chunking) else { return nil }
        return value.equalsCaseInsensitively("BINARYMIME") ? .binaryMIME : nil
    }

    private static func returned(_ value: Span<UInt8>) -> MessageRequest.Return? {
        if value.equalsCaseInsensitively("FULL") { return .full }
        return value.equalsCaseInsensitively("HDRS") ? .headers : nil
    }

    // priority-value = ( ["-"] NZDIGIT ) / "0"                                             (RFC 6710 section 7)
    private static func priority(_ value: Span<UInt8>) -> MessageRequest.Priority? {
        var rest = value
        let isNegative = rest.take(byte: UInt8(ascii: "-"))
        guard rest.count == 1, rest[0].isDigit, !isNegative || rest[0] != UInt8(ascii: "0") else { return nil }
        let digit = Int8(rest[0] - UInt8(ascii: "0"))
        return MessageRequest.Priority(isNegative ? -digit : digit)
    }

    // by-value = by-time ";" by-mode [ by-trace ]; by-time = [ "-" / "+" ] 1*9digit      (RFC 2852 section 4)
    private static func deliverBy(_ value: Span<UInt8>) -> DeliverBy? {
        var rest = value
        let isNegative = rest.take(byte: UInt8(ascii: "-"))
        if !isNegative { _ = rest.take(byte: UInt8(ascii: "+")) }
        let digits = rest.take(while: \.isDigit)
        guard digits.count <= longestInterval, let number = digits.decimal, rest.take(byte: UInt8(ascii: ";")) else {
            return nil
        }
        let seconds = Int64(clamping: number)
        let mode: MessageRequest.Deadline.Mode
        if rest.take(keyword: "R") {
            mode = .giveUp
        } else if rest.take(keyword: "N") {
            mode = .notify
        } else {
            return nil
        }
        let trace: MessageRequest.Deadline.Trace = rest.take(keyword: "T") ? .relays : .none
        // RFC 2852 section 4: a time that is not positive makes sense in the mode N only.
        guard rest.isEmpty, mode == .notify || (!isNegative && seconds > 0) else { return nil }
        return DeliverBy(interval: .seconds(isNegative ? -seconds : seconds), mode: mode, trace: trace)
    }
}
