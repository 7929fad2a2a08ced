// SPDX-License-Identifier: ISC

import Digest
import IPC
import Mail
import Testing

@testable import Account

@Suite struct PasswordTests {
    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { byte in
            let digits = String(byte, radix: 16)
            return digits.utf8.count == 1 ? "0" + digits : digits
        }.joined()
    }

    // FIPS 180-4, RFC 4231 section 4.3 and 4.7
    @Test func `digests are those of the standards`() {
        #expect(
            Self.hexadecimal(Digest.sha256(Array("abc".utf8)))
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            Self.hexadecimal(Digest.hmac(key: Array("Jefe".utf8), Array("what do ya want for nothing?".utf8)))
                == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        let long = Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8)
        #expect(
            Self.hexadecimal(Digest.hmac(key: [UInt8](repeating: 0xAA, count: 131), long))
                == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
    }

    // RFC 7677 section 3: the password is "pencil".
    private static let salt: [UInt8] = [
        0x5B, 0x6D, 0x99, 0x68, 0x9D, 0x12, 0x35, 0x8E, 0xEC, 0xA0, 0x4B, 0x14, 0x12, 0x36, 0xFA, 0x81,
    ]
    private static let message = Array(
        ("n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            + "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0").utf8)
    // dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=
    private static let proof: [UInt8] = [
        0x74, 0x7C, 0xDB, 0x65, 0xAA, 0x56, 0x22, 0x4E, 0x23, 0x52, 0x13, 0x7E, 0x52, 0xD7, 0xBD, 0xCA, 0xD6, 0xA0,
        0xF7, 0x38, 0xDF, 0x30, 0x78, 0x2C, 0xAA, 0x69, 0xA2, 0xCF, 0xB0, 0x27, 0x75, 0x54,
    ]
    // 6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=
    private static let serverSignature: [UInt8] = [
        0xEA, 0xBA, 0xE2, 0x4D, 0x10, 0x62, 0xDB, 0x75, 0xA9, 0x45, 0x1F, 0xF0, 0xB6, 0xEA, 0x7E, 0x98, 0xC8, 0x54,
        0x65, 0x49, 0xFF, 0x74, 0x1E, 0x67, 0x2D, 0x32, 0x51, 0xB2, 0x39, 0x7D, 0xE4, 0x6E,
    ]

    private static func verifier() throws -> String {
        let salted = try #require(Digest.stretch(password: Array("pencil".utf8), salt: salt, rounds: 4096))
        return ScramVerifier(
            rounds: 4096, salt: salt, storedKey: Digest.sha256(Digest.hmac(key: salted, Array("Client Key".utf8))),
            serverKey: Digest.hmac(key: salted, Array("Server Key".utf8))
        ).text
    }

    @Test func `the exchange of the RFC is accepted, and answered as there`() throws {
        let credential = try Self.verifier()
        #expect(
            Passwords.proof(Self.proof, message: Self.message, credential: credential) == .proof(Self.serverSignature))
    }

    @Test func `a proof with one wrong bit, of another message or of no length is refused`() throws {
        let credential = try Self.verifier()
        for index in Self.proof.indices {
            var wrong = Self.proof
            wrong[index] ^= 1
            #expect(Passwords.proof(wrong, message: Self.message, credential: credential) == .verdict(.wrong))
        }
        #expect(Passwords.proof(Self.proof, message: [1], credential: credential) == .verdict(.wrong))
        #expect(Passwords.proof([], message: Self.message, credential: credential) == .verdict(.wrong))
        #expect(Passwords.proof(Self.proof, message: Self.message, credential: "$6$x$y") == .verdict(.wrong))
    }

    @Test func `a password is compared with what SCRAM keeps of it`() throws {
        let credential = try Self.verifier()
        #expect(Passwords.check(Array("pencil".utf8), credential: credential) == .right)
        #expect(Passwords.check(Array("pencils".utf8), credential: credential) == .wrong)
        #expect(Passwords.check([], credential: credential) == .wrong)
    }

    // From the specification of SHA-crypt by Ulrich Drepper.
    private static let hash =
        "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"

    @Test func `a password is compared with its hash by crypt`() {
        let right = Array("Hello world!".utf8)
        #expect(Passwords.check(right, credential: Self.hash) == .right)
        #expect(Passwords.check(right, credential: "bob:" + Self.hash) == .right)
        #expect(Passwords.check(Array("hello world!".utf8), credential: Self.hash) == .wrong)
        #expect(Passwords.check(right + [0] + [65], credential: Self.hash) == .wrong)
        #expect(Passwords.check(right, credential: "*") == .wrong)
    }

    @Test func `nobody logs in without a password, or by a name that is none`() {
        #expect(Passwords.login(user: "root", []) == .wrong)
        #expect(Passwords.login(user: "-x", Array("x".utf8)) == .wrong)
        #expect(Passwords.login(user: "a\nb", Array("x".utf8)) == .wrong)
    }
}
