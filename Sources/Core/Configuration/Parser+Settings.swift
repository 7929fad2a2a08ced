// SPDX-License-Identifier: ISC

import Bytes
import Mail

extension Parser {
    static let mostBounceWarnings = 4

    // admd = "admd" STR
    mutating func parseAdministrator(_ location: SourceLocation) throws(Failure) {
        let name = try string("a name")
        guard !name.text.isEmpty, name.text.utf8.allSatisfy(\.isPrintable) else {
            throw Failure(message: "not a valid admd: \(VisibleText(name.text))", location: name.location)
        }
        use(.admd, at: location)
        configuration.administrator = name.text
    }

    // bounce = "bounce" "warn-interval" DELAY { "," DELAY }
    mutating func parseBounce() throws(Failure) {
        try expect(.warnInterval)
        var intervals: [Interval] = []
        repeat {
            intervals.append(try delay("bounce"))
        } while take(",")
        // More than four are taken and not kept, as they always were.
        configuration.bounceWarnings = Array(intervals.prefix(Self.mostBounceWarnings))
    }

    // queue = "queue" ( "compression" | "encryption" [ STR ] | "encryption" "backup" STR | "reserve" SIZE | "ttl" DELAY )
    // "reserve" is a word of this place only: it may be a name elsewhere.
    mutating func parseQueue() throws(Failure) {
        if take(.compression) {
            configuration.queueCompression = .gzip
        } else if take(.encryption) {
            if take(.backup) {
                let key = try string("a key")
                configuration.queueOldKeys.append(try queueKey(key))
            } else if let word = takeString() {
                let isElsewhere = word.text == "stdin" || word.text == "-"
                configuration.queueEncryption = isElsewhere ? .standardInput : .key(try queueKey(word))
            } else {
                configuration.queueEncryption = .askedKey
            }
        } else if take(.ttl) {
            configuration.queueLifetime = try delay("ttl")
        } else if case .string("reserve") = peek().kind {
            _ = take()
            configuration.queueReserve = try size()
        } else {
            throw unexpected("compression, encryption, reserve or ttl")
        }
    }

    // AES-256.
    private static let queueKeySize = 32

    private func queueKey(_ word: Word) throws(Failure) -> String {
        guard word.text.utf8.count == Self.queueKeySize else {
            throw Failure(message: "queue encryption: a key has exactly 32 bytes", location: word.location)
        }
        return word.text
    }

    // scheduler = "scheduler" "limit" { STR NUM }
    mutating func parseScheduler() throws(Failure) {
        try expect(.limit)
        while let name = takeString() {
            let value = try limit(SchedulerLimits.Name.self, name, of: "scheduler")
            configuration.schedulerLimits[value.name] = value.value
        }
    }

    // mda = "mda" ( "limit" { STR NUM } | "wrapper" STR STR )
    mutating func parseMDA(_ location: SourceLocation) throws(Failure) {
        if take(.limit) {
            while let name = takeString() {
                let value = try limit(LocalLimits.Name.self, name, of: "mda")
                configuration.localLimits[value.name] = value.value
            }
            return
        }
        guard take(.wrapper) else { throw unexpected("limit or wrapper") }
        let name = try string("a wrapper's name")
        let command = try string("a command")
        guard !configuration.wrappers.contains(where: { $0.name == name.text }) else {
            throw Failure(
                message: "mda wrapper already declared with that name: \(name.text)", location: name.location)
        }
        _ = try template(command, for: .command)
        configuration.wrappers.append(
            WrapperDefinition(name: name.text, command: command.text, location: location))
    }

    // mta = "mta" ( "max-deferred" NUM | "limit" [ "for" "domain" STR ] { "inet4" | "inet6" | STR NUM }
    //             | "limit" "for" "sender" STR { STR NUM } )
    // `sender` is no keyword: as a word it may stand anywhere.
    mutating func parseMTA() throws(Failure) {
        if take(.maxDeferred) {
            configuration.deferredPerDomain = try limitValue()
            return
        }
        guard take(.limit) else { throw unexpected("max-deferred or limit") }
        var limits = configuration.relayLimits
        var domain: String?
        if take(.for) {
            if case .string("sender") = peek().kind {
                _ = take()
                return try parseSenderRates()
            }
            try expect(.domain)
            let key = try string("a domain").text.asciiLowercased
            limits = configuration.relayLimitsByDomain[key] ?? limits
            domain = key
        }
        while true {
            if take(.inet4) {
                limits.family = .v4
            } else if take(.inet6) {
                limits.family = .v6
            } else if let name = takeString() {
                let value = try limit(RelayLimits.Name.self, name, of: "mta")
                limits[value.name] = value.value
            } else {
                break
            }
        }
        if let domain {
            configuration.relayLimitsByDomain[domain] = limits
        } else {
            configuration.relayLimits = limits
        }
    }

    private mutating func parseSenderRates() throws(Failure) {
        let word = try string("an address or *")
        let sender = word.text.asciiLowercased
        guard sender == "*" || Mailbox(sender) != nil else {
            throw Failure(message: "invalid sender: \(VisibleText(word.text))", location: word.location)
        }
        var rates = configuration.senderRates[sender] ?? SenderRates()
        while let name = takeString() {
            let value = try limit(SenderRates.Name.self, name, of: "mta sender")
            rates[value.name] = value.value
        }
        configuration.senderRates[sender] = rates
    }

    // smtp = "smtp" ( "limit" { STR NUM } | "ciphers" STR | "max-message-size" SIZE | "sub-addr-delim" STR )
    mutating func parseSMTP() throws(Failure) {
        if take(.limit) {
            while let name = takeString() {
                let value = try limit(SMTPSettings.Name.self, name, of: "smtp")
                configuration.smtp[value.name] = value.value
            }
        } else if take(.ciphers) {
            let ciphers = try string("a list of ciphers")
            configuration.smtp.ciphers = ciphers.text
        } else if take(.maxMessageSize) {
            configuration.smtp.largestMessage = try size()
        } else if take(.subAddrDelim) {
            // The reference takes one character; here each of several is a delimiter.
            let delimiters = try string("a character, or several")
            guard !delimiters.text.isEmpty,
                delimiters.text.utf8.allSatisfy({ $0.isVisible && $0 != UInt8(ascii: "@") })
            else { throw Failure(message: "sub-addr-delim uses invalid character", location: delimiters.location) }
            configuration.smtp.delimiters = SubaddressDelimiters(delimiters.text)
        } else {
            throw unexpected("limit, ciphers, max-message-size or sub-addr-delim")
        }
    }

    // srs = "srs" ( "key" STR | "key" "backup" STR | "ttl" DELAY )
    mutating func parseSRS() throws(Failure) {
        if take(.key) {
            if take(.backup) {
                configuration.srs.backupKey = try string("a key").text
            } else {
                configuration.srs.key = try string("a key or backup").text
            }
        } else if take(.ttl) {
            let delayLocation = peek().location
            let (interval, digits) = try delayAndDigits("srs ttl")
            guard interval >= .days(1) else {
                throw Failure(message: "ttl delay \"\(digits)\" is too short", location: delayLocation)
            }
            configuration.srs.days = Int(interval.seconds / Interval.days(1).seconds)
        } else {
            throw unexpected("key or ttl")
        }
    }
}

// Numbers.
extension Parser {
    // STR NUM
    /// The limit that `name` names, and the value that follows.
    private mutating func limit<Name: RawRepresentable<String>>(
        _ names: Name.Type, _ name: Word, of kind: String
    ) throws(Failure) -> (name: Name, value: Int) {
        guard let limit = Name(rawValue: name.text) else {
            throw Failure(message: "invalid \(kind) limit keyword: \(name.text)", location: name.location)
        }
        return (limit, try limitValue())
    }

    private mutating func limitValue() throws(Failure) -> Int {
        let number = try number("a number")
        guard let value = Int32(exactly: number.value), value >= 0 else {
            throw Failure(message: "invalid limit value: \(number.value)", location: number.location)
        }
        return Int(value)
    }

    /// `kind` is that of the messages: `invalid ttl delay: 0`.
    mutating func delay(_ kind: String) throws(Failure) -> Interval { try delayAndDigits(kind).interval }

    // DELAY = STR: digits and one of s m h d; at least 1, and the seconds fit 31 bits
    private mutating func delayAndDigits(_ kind: String) throws(Failure) -> (interval: Interval, digits: String) {
        let word = try string("a delay, such as 4d")
        let bytes = Array(word.text.utf8)
        let factor: Int32?
        switch bytes.last {
        case UInt8(ascii: "s"): factor = 1
        case UInt8(ascii: "m"): factor = 60
        case UInt8(ascii: "h"): factor = 3600
        case UInt8(ascii: "d"): factor = 86400
        default: factor = nil
        }
        guard let factor else {
            throw Failure(message: "invalid \(kind) delay: \(VisibleText(word.text))", location: word.location)
        }
        let digits = bytes.dropLast()
        let text = String(decoding: digits, as: UTF8.self)
        guard digits.allSatisfy(\.isDigit), let value = Int32(text), value >= 1, value <= Int32.max / factor else {
            throw Failure(message: "invalid \(kind) delay: \(VisibleText(text))", location: word.location)
        }
        return (Interval(seconds: Int64(value) * Int64(factor)), text)
    }

    // SIZE = NUM | STR
    private mutating func size() throws(Failure) -> ByteCount {
        if case .number(let value) = peek().kind {
            let location = take().location
            guard value >= 0, let bytes = Int(exactly: value) else {
                throw Failure(message: "invalid size: \(value)", location: location)
            }
            return ByteCount(bytes)
        }
        let word = try string("a size, such as 35M")
        guard let bytes = Self.scaled(word.text) else {
            throw Failure(message: "invalid size: \(VisibleText(word.text))", location: word.location)
        }
        return ByteCount(bytes)
    }

    // number [ "." fraction ] [ "B" / "K" / "M" / "G" / "T" / "P" / "E" ], powers of 1024
    private static func scaled(_ text: String) -> Int? {
        let mostFractionDigits = 18  // 10^18 fits 64 bits
        let bytes = Array(text.utf8)
        var rest = bytes.span
        let whole = rest.take(while: \.isDigit)
        var fraction: UInt64 = 0
        var denominator: UInt64 = 1
        if rest.take(byte: .dot) {
            let digits = rest.take(while: \.isDigit)
            guard !whole.isEmpty || !digits.isEmpty, digits.count <= mostFractionDigits else { return nil }
            for index in digits.indices {
                fraction = fraction * 10 + UInt64(digits[index] - 0x30)
                denominator *= 10
            }
        } else if whole.isEmpty {
            return nil
        }
        var shift: UInt64 = 0
        if let unit = rest.first {
            let units = Array("bkmgtpe".utf8)
            guard rest.count == 1, let place = units.firstIndex(of: unit.lowercased) else { return nil }
            shift = UInt64(place) * 10
        }
        guard let wholeValue = whole.isEmpty ? 0 : whole.decimal else { return nil }
        let factor: UInt64 = 1 << shift
        let (product, overflow) = wholeValue.multipliedReportingOverflow(by: factor)
        // The fraction is below its denominator, so the quotient is below the factor.
        let part = denominator.dividingFullWidth(factor.multipliedFullWidth(by: fraction)).quotient
        let (sum, carry) = product.addingReportingOverflow(part)
        return overflow || carry ? nil : Int(exactly: sum)
    }
}
