// SPDX-License-Identifier: ISC

import Bytes

/// What a table of credentials holds for a user: a hash of crypt(3), or what SCRAM needs to know of a password.
public enum StoredCredential: Hashable, Sendable {
    case crypt(String)
    case scram(ScramVerifier)

    // tables.md: less than 2048 bytes, at least 3.
    static let longest = 2047

    /// The value of a table: `hash` or `user:hash`. A hash of crypt(3) has no colon, and the other form begins with its name.
    public init?(_ value: String) {
        guard (3...Self.longest).contains(value.utf8.count) else { return nil }
        var text = value
        if !text.hasPrefix(ScramVerifier.prefix), let colon = text.firstIndex(of: ":") {
            let user = text[..<colon]
            text = String(text[text.index(after: colon)...])
            guard !user.isEmpty, !text.isEmpty else { return nil }
        }
        if text.hasPrefix(ScramVerifier.prefix) {
            guard let verifier = ScramVerifier(text) else { return nil }
            self = .scram(verifier)
        } else {
            // An empty hash, or one that marks a locked account, lets nobody in.
            guard text.hasPrefix("$") || text.utf8.count == 13, text.utf8.allSatisfy(\.isVisible) else { return nil }
            self = .crypt(text)
        }
    }
}

/// `SCRAM-SHA-256$rounds:salt$StoredKey:ServerKey`, the last three in base64 (RFC 5803, and as PostgreSQL has it).
public struct ScramVerifier: Hashable, Sendable {
    static let prefix = "SCRAM-SHA-256$"
    static let keySize = 32
    // RFC 7677 section 4 wants 4,096 at least; a client must compute as many as we say.
    public static let fewestRounds: UInt32 = 4096
    static let mostRounds: UInt32 = 10_000_000
    static let longestSalt = 128

    public var rounds: UInt32
    public var salt: [UInt8]
    public var storedKey: [UInt8]
    public var serverKey: [UInt8]

    public init(rounds: UInt32, salt: [UInt8], storedKey: [UInt8], serverKey: [UInt8]) {
        self.rounds = rounds
        self.salt = salt
        self.storedKey = storedKey
        self.serverKey = serverKey
    }

    public init?(_ text: String) {
        guard text.hasPrefix(Self.prefix) else { return nil }
        let parts = text.dropFirst(Self.prefix.count).split(separator: "$", omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        let first = parts[0].split(separator: ":", omittingEmptySubsequences: false)
        let second = parts[1].split(separator: ":", omittingEmptySubsequences: false)
        guard first.count == 2, second.count == 2, first[0].utf8.allSatisfy(\.isDigit), let rounds = UInt32(first[0]),
            (1...Self.mostRounds).contains(rounds), let salt = Self.decoded(first[1]),
            (1...Self.longestSalt).contains(salt.count), let storedKey = Self.decoded(second[0]),
            let serverKey = Self.decoded(second[1]), storedKey.count == Self.keySize, serverKey.count == Self.keySize
        else { return nil }
        self.init(rounds: rounds, salt: salt, storedKey: storedKey, serverKey: serverKey)
    }

    public var text: String {
        func encoded(_ bytes: [UInt8]) -> String { String(decoding: Base64.encode(bytes.span), as: UTF8.self) }
        return "\(Self.prefix)\(rounds):\(encoded(salt))$\(encoded(storedKey)):\(encoded(serverKey))"
    }

    private static func decoded(_ text: Substring) -> [UInt8]? { Base64.decode(Array(text.utf8).span) }
}
