// SPDX-License-Identifier: ISC

import Bytes

/// SCRAM on the server's side (RFC 5802, with SHA-256 by RFC 7677), without its digests.
///
/// The salt, the rounds and the judgement come from outside. What is here sees that the messages are what they must be:
/// the nonce is ours, the channel is the one that the client bound itself to, and nobody took the binding away.
struct ScramExchange: Sendable {
    // Of a nonce: clients take 18 to 32 bytes of randomness.
    static let longestNonce = 256

    enum Binding: Hashable, Sendable {
        /// SCRAM-SHA-256-PLUS: the client binds itself to `tls-exporter` of this channel (RFC 9266).
        case with([UInt8])
        /// SCRAM-SHA-256; `isOffered`: the other one was offered beside it.
        case without(isOffered: Bool)
    }

    private enum State: Sendable {
        case beginning
        case asking(user: String, nonce: String, bare: [UInt8], header: [UInt8])
        case proof(user: String, nonce: String, message: [UInt8], header: [UInt8])
        case finished
    }

    private let binding: Binding
    private var state = State.beginning

    init(_ binding: Binding) { self.binding = binding }

    mutating func receive(_ response: Span<UInt8>) -> SASLExchange.Step {
        switch state {
        case .beginning: return begin(response)
        case .proof(let user, let nonce, let message, let header):
            state = .finished
            return prove(response, user, nonce, message, header)
        case .asking, .finished: return .malformed
        }
    }

    // client-first-message = gs2-header client-first-message-bare
    // gs2-header           = gs2-cbind-flag "," [ "a=" saslname ] ","
    // gs2-cbind-flag       = ( "p=" cb-name ) / "n" / "y"
    private mutating func begin(_ response: Span<UInt8>) -> SASLExchange.Step {
        state = .finished
        var rest = response
        let flag = rest.take(while: { $0 != UInt8(ascii: ",") })
        guard isAllowed(flag), rest.take(byte: UInt8(ascii: ",")) else { return .malformed }
        let authorization = rest.take(while: { $0 != UInt8(ascii: ",") })
        guard rest.take(byte: UInt8(ascii: ",")) else { return .malformed }
        let header = response.extracting(first: response.count - rest.count).array
        let bare = rest.array
        // A mandatory extension, which nobody knows, would stand here as "m=".
        guard rest.take(prefix: "n=") else { return .malformed }
        let name = rest.take(while: { $0 != UInt8(ascii: ",") })
        guard let user = Self.decoded(name), rest.take(byte: UInt8(ascii: ",")), rest.take(prefix: "r=") else {
            return .malformed
        }
        let nonce = rest.take(while: { $0 != UInt8(ascii: ",") })
        guard Self.isNonce(nonce), let text = String(ascii: nonce) else { return .malformed }
        if !authorization.isEmpty {
            // Nobody may act for another here.
            var other = authorization
            guard other.take(prefix: "a="), Self.decoded(other) == user else { return .malformed }
        }
        state = .asking(user: user, nonce: text, bare: bare, header: header)
        return .claim(.scramBegin(ScramBeginning(user: user, nonce: text)))
    }

    private func isAllowed(_ flag: Span<UInt8>) -> Bool {
        switch binding {
        case .with: flag.array == Array("p=tls-exporter".utf8)
        // RFC 5802 section 6: "y" says that the client knows of bindings and believes that we do not.
        case .without(let isOffered):
            flag.array == [UInt8(ascii: "n")] || (!isOffered && flag.array == [UInt8(ascii: "y")])
        }
    }

    // server-first-message = "r=" c-nonce s-nonce "," "s=" base64 "," "i=" posit-number
    mutating func challenged(_ challenge: ScramChallenge) -> SASLExchange.Step {
        guard case .asking(let user, let nonce, let bare, let header) = state else { return .malformed }
        let whole = nonce + challenge.nonce
        var first = Array("r=\(whole),s=".utf8)
        first += Base64.encode(challenge.salt.span)
        first += Array(",i=\(challenge.rounds)".utf8)
        state = .proof(
            user: user, nonce: whole, message: bare + [UInt8(ascii: ",")] + first + [UInt8(ascii: ",")], header: header)
        return .challenge(first)
    }

    // client-final-message = "c=" base64 "," "r=" nonce [ "," extensions ] "," "p=" base64
    private func prove(
        _ response: Span<UInt8>, _ user: String, _ nonce: String, _ message: [UInt8], _ header: [UInt8]
    ) -> SASLExchange.Step {
        var rest = response
        guard rest.take(prefix: "c=") else { return .malformed }
        let bound = rest.take(while: { $0 != UInt8(ascii: ",") })
        var expected = header
        if case .with(let channel) = binding { expected += channel }
        guard Base64.decode(bound) == expected, rest.take(byte: UInt8(ascii: ",")), rest.take(prefix: "r=") else {
            return .malformed
        }
        guard rest.take(while: { $0 != UInt8(ascii: ",") }).array == Array(nonce.utf8) else { return .malformed }
        // The proof is the last; what stands before it are extensions, which may be left.
        while rest.take(byte: UInt8(ascii: ",")) {
            let end = response.count - rest.count - 1
            if rest.take(prefix: "p=") {
                guard let proof = Base64.decode(rest) else { return .malformed }
                return .claim(
                    .scramProof(user: user, message: message + response.extracting(first: end).array, proof: proof))
            }
            _ = rest.take(while: { $0 != UInt8(ascii: ",") })
        }
        return .malformed
    }

    // saslname: "=2C" stands for a comma, "=3D" for an equals sign
    private static func decoded(_ name: Span<UInt8>) -> String? {
        var bytes: [UInt8] = []
        var rest = name
        while let byte = rest.first {
            if byte == UInt8(ascii: "=") {
                if rest.take(prefix: "=2C") {
                    bytes.append(UInt8(ascii: ","))
                } else if rest.take(prefix: "=3D") {
                    bytes.append(UInt8(ascii: "="))
                } else {
                    return nil
                }
            } else {
                bytes.append(byte)
                rest = rest.extracting(droppingFirst: 1)
            }
        }
        return SASLExchange.user(bytes.span)
    }

    // printable = %x21-2B / %x2D-7E
    private static func isNonce(_ nonce: Span<UInt8>) -> Bool {
        guard !nonce.isEmpty, nonce.count <= longestNonce else { return false }
        for index in nonce.indices where !nonce[index].isVisible { return false }
        return true
    }
}

extension Span where Element == UInt8 {
    /// Removes `prefix` from the front when it stands there, letter by letter.
    fileprivate mutating func take(prefix: StaticString) -> Bool {
        guard count >= prefix.utf8CodeUnitCount else { return false }
        let isThere = prefix.withUTF8Buffer { wanted in
            for index in wanted.indices where self[index] != wanted[index] { return false }
            return true
        }
        if isThere { self = extracting(droppingFirst: prefix.utf8CodeUnitCount) }
        return isThere
    }
}
