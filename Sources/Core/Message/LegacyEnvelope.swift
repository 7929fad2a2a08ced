// SPDX-License-Identifier: ISC

import Bytes
public import Mail

/// An envelope file of an OpenSMTPD queue, version 3: lines of `field: value`.
public struct LegacyEnvelope: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        case relay
        /// `command` is that of an alias file or of a ~/.forward.
        case local(user: String, subaddress: String?, command: String?)
        case notice(NoticeKind)
    }

    public enum NoticeKind: String, Hashable, Sendable {
        case failed, delayed, delivered
    }

    public enum Fault: Error, Hashable, Sendable {
        case tooLong
        /// The line of this number has no colon, or a byte that no value may have.
        case badLine(Int)
        case unknownField(String)
        case repeatedField(String)
        case badValue(String)
        case missingField(String)
        case wrongVersion
    }

    // The reference reads none beyond 8 KiB.
    public static let longest = 64 * 1024
    private static let knownFields: Set<String> = [
        "version", "dispatcher", "tag", "type", "smtpname", "helo", "hostname", "username", "errorline", "sockaddr",
        "sender", "rcpt", "dest", "ctime", "last-try", "last-bounce", "ttl", "retry", "flags", "dsn-notify", "dsn-ret",
        "dsn-envid", "dsn-orcpt", "esc-class", "esc-code", "mda-exec", "mda-subaddress", "mda-user", "bounce-ttl",
        "bounce-delay", "bounce-type",
    ]

    public var kind: Kind
    /// The name of an action; the reference calls it a dispatcher.
    public var action: String
    public var sender: ReversePath
    public var recipient: Mailbox
    public var destination: Mailbox
    public var origin: Origin
    public var request: MessageRequest
    public var report: ReportRequest
    public var created: Timestamp
    public var lastTry: Timestamp?
    public var attempts: UInt32
    /// What the last try ended in.
    public var reply: Reply?

    public init(parsing bytes: Span<UInt8>) throws(Fault) {
        let fields = try Self.fields(bytes)
        func number(_ name: String) throws(Fault) -> Int64? {
            guard let text = fields[name] else { return nil }
            guard let value = Int64(text), value >= 0 else { throw .badValue(name) }
            return value
        }
        func required(_ name: String) throws(Fault) -> String {
            guard let text = fields[name], !text.isEmpty else { throw .missingField(name) }
            return text
        }
        guard fields["version"] == "3" else { throw .wrongVersion }
        action = try required("dispatcher")
        kind = try Self.kind(fields)
        sender = try Self.reversePath(fields["sender"] ?? "@")
        recipient = try Self.mailbox(try required("rcpt"), "rcpt")
        destination = try fields["dest"].map { text throws(Fault) in try Self.mailbox(text, "dest") } ?? recipient
        guard let serverName = Domain(try required("smtpname")) else { throw .badValue("smtpname") }
        let flags = (fields["flags"] ?? "").split(separator: " ").map(String.init)
        guard flags.allSatisfy({ ["authenticated", "bounce", "internal", "suspend", "hold"].contains($0) }) else {
            throw .badValue("flags")
        }
        let user = fields["username"] ?? ""
        origin = Origin(
            serverName: serverName, greeting: try required("helo"), hostName: try required("hostname"),
            address: try Self.address(fields["sockaddr"] ?? "local"), tag: fields["tag"],
            user: flags.contains("authenticated") ? (user.isEmpty ? "unknown" : user) : nil,
            isInternal: flags.contains("internal"))
        isSuspended = flags.contains("suspend") || flags.contains("hold")
        guard let created = try number("ctime") else { throw .missingField("ctime") }
        self.created = Timestamp(seconds: created)
        lastTry = try number("last-try").flatMap { $0 > 0 ? Timestamp(seconds: $0) : nil }
        attempts = UInt32(clamping: try number("retry") ?? 0)
        switch fields["dsn-ret"] {
        case nil: request = MessageRequest()
        case "FULL"?: request = MessageRequest(returned: .full)
        case "HDRS"?: request = MessageRequest(returned: .headers)
        case .some: throw .badValue("dsn-ret")
        }
        request.envelopeIdentifier = fields["dsn-envid"]
        let notify = try number("dsn-notify") ?? 0
        guard notify < 16 else { throw .badValue("dsn-notify") }
        report = ReportRequest(
            notify: ReportRequest.Notify(rawValue: UInt8(notify)), originalRecipient: fields["dsn-orcpt"])
        reply = Self.reply(
            fields["errorline"] ?? "", statusClass: try number("esc-class") ?? 0, code: try number("esc-code") ?? 0,
            isFailure: kind == .notice(.failed))
    }

    /// An administrator had paused it.
    public var isSuspended: Bool

    private static func fields(_ bytes: Span<UInt8>) throws(Fault) -> [String: String] {
        guard bytes.count <= longest else { throw .tooLong }
        var fields: [String: String] = [:]
        var rest = bytes
        var line = 0
        while !rest.isEmpty {
            line += 1
            let text = rest.take(while: { $0 != .lineFeed })
            _ = rest.take(byte: .lineFeed)
            var value = text
            let name = value.take(while: { $0.isAlphanumeric || $0 == UInt8(ascii: "-") })
            guard !name.isEmpty, value.take(byte: .colon), let word = String(ascii: name) else { throw .badLine(line) }
            for index in 0..<value.count where !value[index].isPrintable && value[index] < 0x80 {
                throw .badLine(line)
            }
            guard knownFields.contains(word) else { throw .unknownField(word) }
            guard fields[word] == nil else { throw .repeatedField(word) }
            fields[word] = String(displaying: value.trimmed)
        }
        return fields
    }

    private static func kind(_ fields: [String: String]) throws(Fault) -> Kind {
        switch fields["type"] {
        case "mta"?: return .relay
        case "mda"?:
            guard let user = fields["mda-user"], !user.isEmpty else { throw .missingField("mda-user") }
            return .local(user: user, subaddress: fields["mda-subaddress"], command: fields["mda-exec"])
        case "bounce"?:
            guard let kind = NoticeKind(rawValue: fields["bounce-type"] ?? "") else { throw .badValue("bounce-type") }
            return .notice(kind)
        case nil: throw .missingField("type")
        case .some: throw .badValue("type")
        }
    }

    private static func mailbox(_ text: String, _ field: String) throws(Fault) -> Mailbox {
        guard let mailbox = Mailbox(text) else { throw .badValue(field) }
        return mailbox
    }

    // `@` stands for nobody.
    private static func reversePath(_ text: String) throws(Fault) -> ReversePath {
        if text == "@" || text.isEmpty { return .null }
        return .mailbox(try mailbox(text, "sender"))
    }

    // `local`, an IPv4 address, or an IPv6 address in brackets.
    private static func address(_ text: String) throws(Fault) -> IPAddress? {
        if text == "local" { return nil }
        let bare = text.hasPrefix("[") && text.hasSuffix("]") ? String(text.dropFirst().dropLast()) : text
        guard let address = IPAddress(bare) else { throw .badValue("sockaddr") }
        return address
    }

    /// The last error, which may begin with a reply code and a status, or be a sentence.
    private static func reply(_ text: String, statusClass: Int64, code: Int64, isFailure: Bool) -> Reply? {
        guard !text.isEmpty || isFailure else { return nil }
        let bytes = Array(text.utf8)
        var rest = bytes.span
        let digits = rest.take(while: \.isDigit)
        var number = isFailure ? UInt16(554) : 451
        var words = bytes.span
        if digits.count == 3, let value = digits.decimal, (400...599).contains(value), rest.first?.isBlank == true {
            number = UInt16(value)
            words = rest.trimmed
        }
        if isFailure, number < 500 { number = 554 }
        var status = EnhancedStatus(prefixOf: words)
        if status != nil {
            _ = words.take(while: { !$0.isBlank })
            words = words.trimmed
        } else if (4...5).contains(statusClass), (0...99).contains(code) {
            // The reference's numbers of codes are the subject's digit and the detail's.
            status = EnhancedStatus(UInt8(statusClass), UInt16(code / 10), UInt16(code % 10))
        }
        if let found = status, found.statusClass != UInt8(number / 100) {
            status = EnhancedStatus(UInt8(number / 100), found.subject, found.detail)
        }
        return Reply(number, status, String(displaying: words))
    }
}

extension LegacyEnvelope.Fault: CustomStringConvertible {
    public var description: String {
        switch self {
        case .tooLong: "too long"
        case .badLine(let line): "line \(line) is no field"
        case .unknownField(let name): "unknown field \(VisibleText(name))"
        case .repeatedField(let name): "field \(name) twice"
        case .badValue(let name): "bad value of \(name)"
        case .missingField(let name): "no field \(name)"
        case .wrongVersion: "not version 3"
        }
    }
}
