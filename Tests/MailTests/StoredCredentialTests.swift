// SPDX-License-Identifier: ISC

import Mail
import Testing

@Suite struct `Stored credentials` {
    private static let verifier =
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
        + ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

    @Test(arguments: ["$6$salt$hash", "bob:$6$salt$hash", "$2b$12$abcdefghijklmnopqrstuv", "aJqFE4dOT2.Fs"])
    func `a hash of crypt is taken, behind a user's name too`(text: String) {
        guard case .crypt(let hash)? = StoredCredential(text) else {
            Issue.record("\(text) is none")
            return
        }
        #expect(text.hasSuffix(hash) && !hash.contains(":"))
    }

    @Test(arguments: [verifier, "bob:" + verifier]) func `a verifier of SCRAM is taken`(text: String) {
        guard case .scram(let found)? = StoredCredential(text) else {
            Issue.record("\(text) is none")
            return
        }
        #expect(found.rounds == 4096 && found.salt.count == 16)
        #expect(found.text == Self.verifier)
    }

    @Test(arguments: [
        "", "x", "*", "!", "!!", ":", "bob:", ":$6$x", "bob:*", "plain", "correct horse", "$6$a b", "SCRAM-SHA-256$",
        "SCRAM-SHA-256$0:AQID$AQID:AQID", "SCRAM-SHA-256$4096:AQID$AQID:AQID", "SCRAM-SHA-256$-1:AQID$AQID:AQID",
        "SCRAM-SHA-256$4096:$AQID:AQID", "$6$" + String(repeating: "x", count: 2048),
    ]) func `what lets nobody in is no credential`(text: String) {
        #expect(StoredCredential(text) == nil)
    }
}
