// SPDX-License-Identifier: ISC

import Bytes
import Mail
import SMTP

/// AUTH: each line of the input is one of the client's.
enum Proofs {
    static func look(_ input: [UInt8]) {
        guard let first = input.first else { return }
        var settings = ServerSession.Settings(serverName: Commands.server)
        settings.maximumFailures = 8
        let security = ChannelSecurity(
            version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384", bits: 256,
            clientCertificate: first & 1 == 0
                ? .absent
                : .verified(
                    VerifiedCertificate(fingerprint: "00", commonName: "bob", addresses: ["bob@example.org"])),
            binding: first & 2 == 0 ? [] : Array("binding".utf8))
        var session = ServerSession(
            settings: settings, client: ServerSession.Client(address: nil, hostName: "localhost"), security: security)
        session.mechanisms = SASLMechanism.allCases
        var action = session.begin()
        var lines = [Array("EHLO client.example.org".utf8)]
        lines += input.dropFirst().split(separator: 10, omittingEmptySubsequences: false).prefix(16).map { line in
            Array((line.last == 13 ? line.dropLast() : line).prefix(LineFramer.longestLine - 2))
        }
        var next = 0
        while !session.isClosed {
            switch action {
            case .ask(.authenticate(_, let claim)):
                precondition(session.user == nil, "a second AUTH")
                action = session.answer(judged(claim, first))
            case .ask(.endOfData): action = session.answer(.refuse(Reply(450, nil, "no")))
            case .ask: action = session.answer(.proceed)
            case .reply, .rollback, .awaitCommand:
                guard next < lines.count else { return }
                let line = lines[next]
                next += 1
                action = session.receive(line.span, waiting: 0)
            case .takeChunk: action = session.receive(endOfChunk: ContentFindings(size: ByteCount(0)))
            case .skip: action = session.skipped()
            case .startData: action = session.receive(endOfData: ContentFindings(size: ByteCount(0)), waiting: 0)
            case .startTLS: preconditionFailure("TLS twice")
            case .close: return
            }
        }
    }

    private static func judged(_ claim: SASLClaim, _ first: UInt8) -> ServerSession.Answer {
        if let user = claim.user {
            precondition(!user.isEmpty && user.utf8.count <= 255, "no name of a user")
            precondition(!user.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F }, "a user of two lines")
        }
        switch claim {
        case .password(_, let password):
            precondition(!password.isEmpty && !password.contains(0) && password.count <= 1023, "no password")
        case .scramBegin(let beginning):
            precondition(!beginning.nonce.contains(","), "a nonce of two parts")
            return .challenged(ScramChallenge(nonce: "server", salt: [1, 2, 3], rounds: 4096))
        case .scramProof(_, let message, let proof):
            precondition(!message.isEmpty && !proof.isEmpty, "a proof of nothing")
            if first & 4 != 0 { return .authenticated(user: "bob", proof: [1, 2, 3]) }
        case .external: break
        }
        return first & 8 == 0
            ? .refuse(Reply(535, EnhancedStatus(5, 7, 8), "no")) : .authenticated(user: "bob", proof: [])
    }
}
