// SPDX-License-Identifier: ISC

import Bytes
import Mail
import Reactor
import Routing

/// What the credentials of a table are good for, taken together.
nonisolated struct CredentialSurvey {
    // As many kinds and costs of credentials as a table may mix are seldom more.
    private static let mostStandIns = 16
    // Some milliseconds, as for lines of a file.
    private static let entriesPerTurn = 10_000

    private var hasKeys = false
    private var hasHashes = false
    /// Some usable credentials, drawn by a lot that hardly falls otherwise when the table changes: those of lowest rank.
    private var standIns: [(rank: UInt64, text: String)] = []

    /// A client that is offered SCRAM takes it. So it is offered where everybody can prove himself by it: beside keys
    /// there may be no hash of crypt(3), whose password only PLAIN and LOGIN can bring.
    var isFitForScram: Bool { hasKeys && !hasHashes }
    var isMixed: Bool { hasKeys && hasHashes }

    init() {}

    init(_ content: TableContent) {
        for number in 0..<content.count { add(content.value(ofEntry: number)) }
    }

    /// Looks at all of them while others have their turn.
    @MainActor init(slowly content: TableContent) async {
        for number in 0..<content.count {
            if number % Self.entriesPerTurn == Self.entriesPerTurn - 1 { await Loop.pause(milliseconds: 0) }
            add(content.value(ofEntry: number))
        }
    }

    private mutating func add(_ value: String) {
        switch StoredCredential(value) {
        case .scram: hasKeys = true
        case .crypt: hasHashes = true
        // Lets nobody in, by no mechanism.
        case nil: return
        }
        let rank = Self.rank(value)
        if standIns.count == Self.mostStandIns {
            guard let last = standIns.last, rank < last.rank else { return }
            standIns.removeLast()
        }
        standIns.insert((rank, value), at: standIns.firstIndex { $0.rank > rank } ?? standIns.count)
    }

    // FNV-1a: a lot, not a secret.
    private static func rank(_ value: String) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in value.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash
    }

    // MARK: Who does not exist

    /// The credential that stands for one whom the table does not know, or who is locked: nil where it has none to offer.
    ///
    /// So such a one takes as long as somebody whom it knows, in a table of several kinds, too. It is the same one for each
    /// name in every process, as long as it is in the table, and which it is only those know who know the table.
    func standIn(for user: String) -> String? {
        let name = Array(user.utf8)
        let lots = standIns.map { (lot: Self.lot(of: name, $0.text), text: $0.text) }
        return lots.max { $0.lot.lexicographicallyPrecedes($1.lot) }?.text
    }

    private static func lot(of name: [UInt8], _ text: String) -> [UInt8] {
        SHA256.authenticate(Array("lot\0".utf8) + name, key: Array(text.utf8))
    }

    /// What SCRAM says of such a one: salt and rounds as others have them, and a password that nobody knows.
    ///
    /// Whoever asks again, after a restart too, hears the same; nil where the table has no keys.
    func inventedVerifier(of user: String) -> ScramVerifier? {
        guard let text = standIn(for: user), case .scram(let model)? = StoredCredential(text) else { return nil }
        var salt: [UInt8] = []
        var block: UInt8 = 0
        while salt.count < model.salt.count {
            salt += SHA256.authenticate(Array("salt\0".utf8) + [block] + Array(user.utf8), key: Array(text.utf8))
            block += 1
        }
        let nothing = [UInt8](repeating: 0, count: model.storedKey.count)
        return ScramVerifier(
            rounds: model.rounds, salt: Array(salt.prefix(model.salt.count)), storedKey: nothing, serverKey: nothing)
    }
}
