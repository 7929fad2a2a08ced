// SPDX-License-Identifier: ISC

import Mail
import Reactor
import Routing

/// What the credentials of a table are good for, taken together.
struct CredentialSurvey {
    // Some milliseconds, as for lines of a file.
    private static let entriesPerTurn = 10_000

    private var hasKeys = false
    private var hasHashes = false

    /// A client that is offered SCRAM takes it. So it is offered where everybody can prove himself by it: beside keys
    /// there may be no hash of crypt(3), whose password only PLAIN and LOGIN can bring.
    var isFitForScram: Bool { hasKeys && !hasHashes }
    var isMixed: Bool { hasKeys && hasHashes }

    init() {}

    init(_ content: TableContent) {
        for number in 0..<content.count { add(content.value(ofEntry: number)) }
    }

    /// Looks at all of them while others have their turn.
    init(slowly content: TableContent) async {
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
        case nil: break
        }
    }
}
