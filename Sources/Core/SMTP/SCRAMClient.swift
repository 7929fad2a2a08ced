// SPDX-License-Identifier: ISC

import Bytes

/// The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677): the password does not leave, and the server has to prove that
/// it knows it, too. Printed without what it knows.
public struct SCRAMClient: Sendable, CustomStringConvertible, CustomReflectable {
    /// Why the server is not to be believed.
    public enum Failure: Error, Hashable, Sendable {
        case malformed
        /// The nonce does not begin with ours.
        case wrongNonce
        /// Fewer iterations than RFC 7677 section 4 asks for, or so many that they would keep us from everything else.
        case iterations
        case notProven
    }

    static let name = "SCRAM-SHA-256"
    static let fewestIterations = 4096
    static let mostIterations = 200_000
    // `n,,`: no channel binding, no other identity (RFC 5802 section 7).
    private static let header = "n,,"

    private let password: [UInt8]
    private let nonce: String
    private let firstBare: String
    private var serverFirst = ""
    private var serverNonce = ""
    private var serverSignature: [UInt8] = []

    /// `nonce` is visible ASCII without a comma.
    public init(user: String, password: [UInt8], nonce: String) {
        self.password = password
        self.nonce = nonce
        // RFC 5802 section 5.1: `=` and `,` are written otherwise.
        let name = user.map { $0 == "=" ? "=3D" : $0 == "," ? "=2C" : String($0) }.joined()
        firstBare = "n=\(name),r=\(nonce)"
    }

    public var description: String { "<secret>" }
    public var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }

    /// client-first-message
    var first: [UInt8] { Array((Self.header + firstBare).utf8) }

    /// Reads the server-first-message; the key that has to be made for `final`.
    mutating func receive(first message: [UInt8]) throws(Failure) -> PasswordKey {
        guard let text = String(validating: message, as: UTF8.self) else { throw .malformed }
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        // An `m=` is an extension that must be understood (section 5.1).
        guard parts.count >= 3, parts[0].hasPrefix("r="), parts[1].hasPrefix("s="), parts[2].hasPrefix("i="),
            let iterations = Int(parts[2].dropFirst(2))
        else { throw .malformed }
        let saltText = Array(parts[1].dropFirst(2).utf8)
        guard let salt = Base64.decode(saltText.span), !salt.isEmpty else { throw .malformed }
        serverNonce = String(parts[0].dropFirst(2))
        guard serverNonce.hasPrefix(nonce), serverNonce.utf8.count > nonce.utf8.count else { throw .wrongNonce }
        guard (Self.fewestIterations...Self.mostIterations).contains(iterations) else { throw .iterations }
        serverFirst = text
        return PasswordKey(password: password, salt: salt, iterations: iterations)
    }

    /// client-final-message
    mutating func final(_ key: [UInt8]) -> [UInt8] {
        let clientKey = SHA256.authenticate(Array("Client Key".utf8), key: key)
        let header = Array(Self.header.utf8)
        let binding = String(decoding: Base64.encode(header.span), as: UTF8.self)
        let withoutProof = "c=\(binding),r=\(serverNonce)"
        let message = Array("\(firstBare),\(serverFirst),\(withoutProof)".utf8)
        let signature = SHA256.authenticate(message, key: SHA256.digest(clientKey))
        let proof = zip(clientKey, signature).map { $0 ^ $1 }
        serverSignature = SHA256.authenticate(
            message, key: SHA256.authenticate(Array("Server Key".utf8), key: key))
        return Array("\(withoutProof),p=".utf8) + Base64.encode(proof.span)
    }

    /// Reads the server-final-message.
    func receive(final message: [UInt8]) throws(Failure) {
        let end = message.firstIndex(of: UInt8(ascii: ",")) ?? message.count
        guard message.starts(with: "v=".utf8) else { throw .notProven }
        let text = Array(message[2..<end])
        guard let signature = Base64.decode(text.span), signature.count == serverSignature.count else {
            throw .notProven
        }
        var difference: UInt8 = 0
        for (left, right) in zip(signature, serverSignature) { difference |= left ^ right }
        guard difference == 0 else { throw .notProven }
    }
}
