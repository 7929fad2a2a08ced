// SPDX-License-Identifier: ISC

import Bytes
public import Mail

/// The sender rewriting scheme: a forwarded message gets a sender of this host, so that SPF holds at the next hop, and a
/// bounce to that sender finds its way back.
///
///     SRS0=HHHH=TT=domain=user@here                a sender of the first hop, kept with
///     SRS1=HHHH=first-hop==HHHH=TT=domain=user@here   its rewritten form at the second and every later one
///
/// HHHH are the first four characters of the Base64 of SHA-1(key, what follows them); TT are two base32 digits, the day.
/// This is the reference's form, so that addresses that it has handed out stay good. 24 bits are no strong signature:
/// they keep strangers from using the address as an open relay for bounces, and no more than a bounce is let through.
public struct SRS: Sendable {
    /// Why an address is not turned back.
    public enum Refusal: Error, Hashable, Sendable, CustomStringConvertible {
        case malformed
        case forged
        case expired

        public var description: String {
            switch self {
            case .malformed: "not in the form of SRS"
            case .forged: "not signed by this host"
            case .expired: "too old"
            }
        }
    }

    private static let prefixLength = 5
    private static let hashLength = 4
    // Two base32 digits.
    private static let dayCount: Int64 = 1024
    private static let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)
    private static let equals = UInt8(ascii: "=")

    private let key: [UInt8]
    private let backupKey: [UInt8]?
    private let days: Int64

    /// Signs with `key`; takes what was signed with `backupKey`, too, for so many days.
    public init(key: String, backupKey: String? = nil, days: Int) {
        self.key = Array(key.utf8)
        self.backupKey = backupKey.map { Array($0.utf8) }
        self.days = Int64(min(max(1, days), Int(Self.dayCount) - 2))
    }

    // MARK: Out

    /// The sender to use for a message from `sender` that was addressed to `domain` and goes elsewhere; nil when it would
    /// be too long for an address.
    public func rewritten(_ sender: Mailbox, forRecipientAt domain: Domain, on now: Timestamp) -> Mailbox? {
        let user = Array(sender.localPart.text.utf8)
        switch Self.kind(of: user) {
        case nil:
            break
        case .first:
            // The first hop has a stamp of its own, and is where a bounce goes next.
            let signed = Self.text(sender.domain) + Array("==".utf8) + user.dropFirst(Self.prefixLength)
            return signedAddress("SRS1=", signed, at: domain)
        case .later:
            // Hops between the first and this one need not see the bounce: only the signature is ours. It is put on nothing
            // but this form: whoever could have any text signed could make an address of the other form with it.
            if let parts = Self.parts(of: user), Self.laterParts(of: parts.signed) != nil {
                return signedAddress("SRS1=", Array(parts.signed), at: domain)
            }
        }
        let signed = Self.stamp(of: now) + [Self.equals] + Self.text(sender.domain) + [Self.equals] + user
        return signedAddress("SRS0=", signed, at: domain)
    }

    private func signedAddress(_ prefix: StaticString, _ signed: [UInt8], at domain: Domain) -> Mailbox? {
        var text: [UInt8] = []
        text.append(prefix)
        text += Self.hash(key, signed, at: Array(domain.text.utf8)) + [Self.equals] + signed
        return LocalPart(String(decoding: text, as: UTF8.self)).map { Mailbox($0, at: domain) }
    }

    // MARK: Back

    /// Where a bounce to `address` goes: one hop back.
    public func original(of address: Mailbox, on now: Timestamp) throws(Refusal) -> Mailbox {
        let user = Array(address.localPart.text.utf8)
        guard let kind = Self.kind(of: user) else { throw .malformed }
        guard let parts = Self.parts(of: user) else { throw .malformed }
        let signed = Array(parts.signed)
        guard isSigned(parts.hash, signed, at: address.domain) else { throw .forged }
        switch kind {
        case .first: return try first(signed, now)
        case .later: return try later(signed)
        }
    }

    private func first(_ signed: [UInt8], _ now: Timestamp) throws(Refusal) -> Mailbox {
        // TT=domain=user; a user may have the sign in it, a domain never.
        guard signed.count > 3, signed[2] == Self.equals, let day = Self.day(of: signed.prefix(2)) else {
            throw .malformed
        }
        let age = Self.modulo(Self.dayNumber(now) - day)
        // Tomorrow is the zone of somebody else's clock.
        guard age <= days || age == Self.dayCount - 1 else { throw .expired }
        let address = signed.dropFirst(3)
        guard let separator = address.firstIndex(of: Self.equals) else { throw .malformed }
        return try Self.mailbox(address[(separator + 1)...], at: address[..<separator])
    }

    private func later(_ signed: [UInt8]) throws(Refusal) -> Mailbox {
        guard let parts = Self.laterParts(of: signed[...]) else { throw .malformed }
        return try Self.mailbox(Array("SRS0=".utf8) + parts.rest, at: parts.domain)
    }

    // domain "==" rest
    private static func laterParts(
        of signed: ArraySlice<UInt8>
    ) -> (domain: ArraySlice<UInt8>, rest: ArraySlice<UInt8>)? {
        guard let separator = signed.firstIndex(of: equals), separator > signed.startIndex,
            separator + 1 < signed.endIndex, signed[separator + 1] == equals
        else { return nil }
        return (signed[..<separator], signed[(separator + 2)...])
    }

    private static func mailbox(
        _ user: some Sequence<UInt8>, at domain: ArraySlice<UInt8>
    ) throws(Refusal) -> Mailbox {
        guard let user = LocalPart(String(decoding: Array(user), as: UTF8.self)),
            let domain = Domain(String(decoding: domain, as: UTF8.self))
        else { throw .malformed }
        return Mailbox(user, at: domain)
    }

    // MARK: Parts

    private enum Kind {
        case first
        case later
    }

    private static func kind(of user: [UInt8]) -> Kind? {
        if user.span.startsCaseInsensitively(with: "SRS0=") { return .first }
        return user.span.startsCaseInsensitively(with: "SRS1=") ? .later : nil
    }

    // "SRSn=" HHHH "=" signed
    private static func parts(of user: [UInt8]) -> (hash: ArraySlice<UInt8>, signed: ArraySlice<UInt8>)? {
        let separator = prefixLength + hashLength
        guard user.count > separator, user[separator] == equals else { return nil }
        return (user[prefixLength..<separator], user[(separator + 1)...])
    }

    private func isSigned(_ hash: ArraySlice<UInt8>, _ signed: [UInt8], at domain: Domain) -> Bool {
        var isSigned = false
        // Whoever sends the bounce may write the domain in another case than we did.
        let spellings = Set([domain.text, domain.canonical])
        for key in [key, backupKey].compactMap(\.self) {
            for spelling in spellings where Self.isEqual(hash, Self.hash(key, signed, at: Array(spelling.utf8))) {
                isSigned = true
            }
        }
        return isSigned
    }

    private static func hash(_ key: [UInt8], _ signed: [UInt8], at domain: [UInt8]) -> [UInt8] {
        let digest = SHA1.digest(key + signed + [UInt8(ascii: "@")] + domain)
        // RFC 4648 section 5: the alphabet that is fit for names.
        return Base64.encode(digest.span).prefix(hashLength).map { byte in
            switch byte {
            case UInt8(ascii: "+"): UInt8(ascii: "-")
            case UInt8(ascii: "/"): UInt8(ascii: "_")
            default: byte
            }
        }
    }

    // Looks at every byte, so that the time tells nothing about how many are right.
    private static func isEqual(_ left: ArraySlice<UInt8>, _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        return zip(left, right).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }

    private static func text(_ domain: Domain) -> [UInt8] { Array(domain.text.utf8) }

    private static func dayNumber(_ now: Timestamp) -> Int64 { modulo(now.seconds / Interval.days(1).seconds) }

    private static func modulo(_ day: Int64) -> Int64 { ((day % dayCount) + dayCount) % dayCount }

    private static func stamp(of now: Timestamp) -> [UInt8] {
        let day = Int(dayNumber(now))
        return [digits[day >> 5], digits[day & 31]]
    }

    private static func day(of stamp: ArraySlice<UInt8>) -> Int64? {
        var day: Int64 = 0
        for byte in stamp {
            // Some hosts on the way write addresses in small letters; the hash still has the last word.
            guard let digit = digits.firstIndex(of: byte.isLetter ? byte & ~0x20 : byte) else { return nil }
            day = day << 5 | Int64(digit)
        }
        return day
    }
}
