// SPDX-License-Identifier: ISC

public import Bytes
public import Mail

/// What stands behind the path of MAIL.
public struct MailParameters: Hashable, Sendable {
    // RFC 3461 section 4.4
    static let longestEnvelopeIdentifier = 100
    // size-value = 1*20DIGIT                                                             (RFC 1870 section 3)
    static let longestSize = 20

    /// The size that the client announces, line ends counted as two bytes.
    public var size: ByteCount?
    public var request: MessageRequest

    public init(size: ByteCount? = nil, request: MessageRequest = MessageRequest()) {
        self.size = size
        self.request = request
    }

    init(parsing arguments: Span<UInt8>, extensions: ServerExtensions) throws(CommandError) {
        self.init()
        var rest = arguments
        while var parameter = rest.takeParameter() {
            let keyword = parameter.take(while: { $0 != UInt8(ascii: "=") })
            guard parameter.take(byte: UInt8(ascii: "=")), !parameter.isEmpty else {
                let name = String(displaying: keyword)
                throw Self.isKnown(keyword, extensions) ? .invalidParameter(name) : .unsupportedParameter(name)
            }
            try take(keyword, parameter, extensions)
        }
    }

    private static func isKnown(_ keyword: Span<UInt8>, _ extensions: ServerExtensions) -> Bool {
        if keyword.equalsCaseInsensitively("SIZE") || keyword.equalsCaseInsensitively("BODY")
            || keyword.equalsCaseInsensitively("AUTH")
        {
            return true
        }
        guard extensions.contains(.deliveryStatus) else { return false }
        return keyword.equalsCaseInsensitively("RET") || keyword.equalsCaseInsensitively("ENVID")
    }

    private mutating func take(
        _ keyword: Span<UInt8>, _ value: Span<UInt8>, _ extensions: ServerExtensions
    ) throws(CommandError) {
        guard Self.isKnown(keyword, extensions) else { throw .unsupportedParameter(String(displaying: keyword)) }
        if keyword.equalsCaseInsensitively("SIZE") {
            guard size == nil, let announced = Self.size(value) else { throw .invalidParameter("SIZE") }
            size = announced
        } else if keyword.equalsCaseInsensitively("BODY") {
            guard request.body == nil, let body = Self.body(value) else { throw .invalidParameter("BODY") }
            request.body = body
        } else if keyword.equalsCaseInsensitively("RET") {
            guard request.returned == nil, let part = Self.returned(value) else { throw .invalidParameter("RET") }
            request.returned = part
        } else if keyword.equalsCaseInsensitively("ENVID") {
            guard request.envelopeIdentifier == nil, value.count <= Self.longestEnvelopeIdentifier,
                let identifier = value.decodedExtendedText
            else { throw .invalidParameter("ENVID") }
            request.envelopeIdentifier = identifier
        }
        // AUTH= is left: nobody here trusts the client to name the author (RFC 4954 section 5).
    }

    private static func size(_ value: Span<UInt8>) -> ByteCount? {
        guard value.count <= longestSize else { return nil }
        for index in value.indices where !value[index].isDigit { return nil }
        return ByteCount(Int(clamping: value.decimal ?? .max))
    }

    private static func body(_ value: Span<UInt8>) -> MessageRequest.Body? {
        if value.equalsCaseInsensitively("7BIT") { return .sevenBit }
        return value.equalsCaseInsensitively("8BITMIME") ? .eightBitMIME : nil
    }

    private static func returned(_ value: Span<UInt8>) -> MessageRequest.Return? {
        if value.equalsCaseInsensitively("FULL") { return .full }
        return value.equalsCaseInsensitively("HDRS") ? .headers : nil
    }
}
