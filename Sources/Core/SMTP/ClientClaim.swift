// SPDX-License-Identifier: ISC

import Bytes
public import Mail

/// What a client that is trusted to speak for another says of that one: the arguments of XCLIENT and XFORWARD.
///
/// The attributes are those of Postfix, each `NAME=xtext`; `[UNAVAILABLE]` and `[TEMPUNAVAIL]` stand for what it does
/// not know. Each value has a type, so none can carry a line end or a blank into a reply, a log line or a header.
public struct ClientClaim: Hashable, Sendable {
    // Every attribute once, and room for those that others add.
    private static let mostAttributes = 16

    public enum Value<Content: Hashable & Sendable>: Hashable, Sendable {
        case known(Content)
        case unknown
    }

    public var name: Value<Domain>?
    public var address: Value<IPAddress>?
    public var port: Value<UInt16>?
    public var greeting: Value<Domain>?
    /// The identifier of the message at the host that forwards it; XFORWARD only.
    public var identifier: String?

    init(parsing arguments: Span<UInt8>) throws(CommandError) {
        var rest = arguments
        var count = 0
        while var attribute = rest.takeParameter() {
            count += 1
            guard count <= Self.mostAttributes else { throw .claimSyntax }
            let keyword = attribute.take(while: { $0 != UInt8(ascii: "=") })
            guard attribute.take(byte: UInt8(ascii: "=")), let text = attribute.decodedExtendedText, !text.isEmpty
            else { throw .claimSyntax }
            try take(keyword, text)
        }
        guard count > 0 else { throw .claimSyntax }
    }

    private mutating func take(_ keyword: Span<UInt8>, _ text: String) throws(CommandError) {
        if keyword.equalsCaseInsensitively("NAME") {
            name = try Self.value(text, Self.name)
        } else if keyword.equalsCaseInsensitively("ADDR") {
            address = try Self.value(text) { text in
                let bare = text.asciiLowercased.hasPrefix("ipv6:") ? String(text.dropFirst(5)) : text
                return IPAddress(bare)
            }
        } else if keyword.equalsCaseInsensitively("PORT") {
            port = try Self.value(text) { UInt16($0) }
        } else if keyword.equalsCaseInsensitively("HELO") {
            greeting = try Self.value(text, Self.name)
        } else if keyword.equalsCaseInsensitively("IDENT") {
            identifier = text
        } else if keyword.equalsCaseInsensitively("PROTO") || keyword.equalsCaseInsensitively("DESTADDR")
            || keyword.equalsCaseInsensitively("DESTPORT") || keyword.equalsCaseInsensitively("SOURCE")
        {
            // What protocol the other one spoke, and to which address of ours, changes nothing here.
        } else {
            // LOGIN is one of these: who somebody is, is not taken on another's word.
            throw .claimSyntax
        }
    }

    private static func name(_ text: String) -> Domain? { Domain(text).flatMap { $0.isASCII ? $0 : nil } }

    private static func value<Content: Hashable & Sendable>(
        _ text: String, _ parse: (String) -> Content?
    ) throws(CommandError) -> Value<Content> {
        switch text.asciiLowercased {
        case "[unavailable]", "[tempunavail]": return .unknown
        default:
            guard let content = parse(text) else { throw .claimSyntax }
            return .known(content)
        }
    }
}
