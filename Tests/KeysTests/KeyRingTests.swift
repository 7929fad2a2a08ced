// SPDX-License-Identifier: ISC

import Glibc
import IPC
import Posix
import Testing

@testable import Keys

/// Keys and proofs come from the openssl command, so that nothing here agrees only with itself.
@MainActor @Suite struct KeyRingTests {
    private final class Workshop {
        let path: String

        init() throws {
            var template = Array("/tmp/martlet-keys.XXXXXX".utf8CString)
            guard mkdtemp(&template) != nil else { throw SystemError("mkdtemp") }
            path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }

        deinit { system("rm -rf \(path)") }

        func run(_ command: String) -> Bool { system("cd \(path) && openssl \(command) >/dev/null 2>&1") == 0 }

        func write(_ bytes: [UInt8], to name: String) throws {
            let file = try FileDescriptor.open("\(path)/\(name)", O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
            try file.writeAll(bytes)
        }

        func open(_ name: String) throws -> FileDescriptor { try FileDescriptor.open("\(path)/\(name)", O_RDONLY) }
    }

    private let shop: Workshop

    init() throws {
        shop = try Workshop()
        PrivateKey.prepare()
    }

    private func key(_ name: String) throws -> PrivateKey {
        let text = try KeyText(try shop.open(name), limit: 64 * 1024)
        return try text.withBytes { bytes throws(KeyFault) in try PrivateKey(pem: bytes) }
    }

    private func makeKey(_ options: String) throws -> PrivateKey {
        try #require(shop.run("genpkey \(options) -out key.pem") && shop.run("pkey -in key.pem -pubout -out key.pub"))
        return try key("key.pem")
    }

    private let digest = [UInt8](0..<32)

    // The digest's length says which algorithm is meant; all tables here have SHA-256.
    nonisolated static let algorithms: [(String, SignatureAlgorithm, String)] = [
        ("-algorithm RSA -pkeyopt rsa_keygen_bits:2048", .rsaPKCS1WithSHA256, "-pkeyopt digest:sha256"),
        (
            "-algorithm RSA -pkeyopt rsa_keygen_bits:2048", .rsaPSSWithSHA256,
            "-pkeyopt digest:sha256 -pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:32"
        ),
        ("-algorithm EC -pkeyopt ec_paramgen_curve:P-256", .ecdsa, ""),
        ("-algorithm ED25519", .ed25519, "-rawin"),
    ]

    @Test(arguments: algorithms)
    func `others accept the signature`(options: String, algorithm: SignatureAlgorithm, proof: String) throws {
        let signature = try makeKey(options).sign(digest, by: algorithm)
        try shop.write(signature, to: "signature")
        try shop.write(digest, to: "input")
        #expect(shop.run("pkeyutl -verify -pubin -inkey key.pub -sigfile signature -in input \(proof)"))
        try shop.write(digest.reversed(), to: "input")
        #expect(!shop.run("pkeyutl -verify -pubin -inkey key.pub -sigfile signature -in input \(proof)"))
    }

    @Test func `a key signs by its own algorithms only, and only digests`() throws {
        let curve = try makeKey("-algorithm EC -pkeyopt ec_paramgen_curve:P-256")
        for algorithm in [SignatureAlgorithm.rsaPKCS1WithSHA512, .rsaPKCS1WithSHA256, .rsaPSSWithSHA256, .ed25519] {
            #expect(throws: KeyFault.self) { try curve.sign(digest, by: algorithm) }
        }
        #expect(throws: KeyFault.self) { try curve.sign([], by: .ecdsa) }
        #expect(throws: KeyFault.self) { try curve.sign([UInt8](repeating: 0, count: 65), by: .ecdsa) }
        let rsa = try makeKey("-algorithm RSA -pkeyopt rsa_keygen_bits:2048")
        #expect(throws: KeyFault.self) { try rsa.sign(Array(digest.dropLast()), by: .rsaPKCS1WithSHA256) }
        #expect(throws: KeyFault.self) { try rsa.sign(digest + digest, by: .rsaPSSWithSHA256) }
        #expect(throws: KeyFault.self) { try rsa.sign(digest, by: .ecdsa) }
    }

    @Test func `a role has its own purpose and no other`() throws {
        let ring = KeyRing()
        let key = try makeKey("-algorithm ED25519")
        for purpose in [KeyPurpose.server, .client] {
            ring.add(key, as: KeyRing.Place(purpose: purpose, pki: "mail.example.org"))
        }
        func answer(_ name: String, _ purpose: KeyPurpose, _ role: Role) -> FromKeys {
            ring.answer(
                .sign(
                    KeyName(pki: name, fingerprint: key.fingerprint), purpose: purpose, algorithm: .ed25519, digest),
                from: role)
        }
        for (role, own, other) in [(Role.listener, KeyPurpose.server, KeyPurpose.client), (.relay, .client, .server)] {
            guard case .signature(let signature) = answer("mail.example.org", own, role) else {
                Issue.record("refused")
                continue
            }
            #expect(signature.count == 64)
            #expect(answer("mail.example.org", other, role) == .refused("not a purpose of \(role.name)"))
            #expect(answer("other.example.org", own, role) == .refused("no such key"))
        }
        #expect(answer("mail.example.org", .server, .lookup) == .refused("not a purpose of lookup"))
    }

    @Test func `a key is named by its certificate too, and the one before stays for a while`() throws {
        let ring = KeyRing()
        let place = KeyRing.Place(purpose: .server, pki: "mail.example.org")
        let keys = try (0..<3).map { _ in try makeKey("-algorithm ED25519") }
        func holds(_ key: PrivateKey, _ role: Role = .listener) -> FromKeys {
            let purpose: KeyPurpose = role == .listener ? .server : .client
            return ring.answer(
                .holds(KeyName(pki: "mail.example.org", fingerprint: key.fingerprint), purpose: purpose), from: role)
        }
        let other = FromKeys.refused("not the key of that certificate")
        ring.add(keys[0], as: place)
        #expect(holds(keys[0]) == .held)
        #expect(holds(keys[1]) == other)
        #expect(holds(keys[0], .relay) == .refused("no such key"))
        ring.add(keys[1], as: place)
        ring.add(keys[1], as: place)
        #expect(keys.map { holds($0) } == [.held, .held, other])
        ring.add(keys[2], as: place)
        #expect(keys.map { holds($0) } == [other, .held, .held])
        #expect(ring.count == 2)
        ring.keep(only: ["else.example.org"])
        #expect(ring.count == 0)
    }

    @Test func `a fingerprint is that of the public key in DER`() throws {
        let key = try makeKey("-algorithm EC -pkeyopt ec_paramgen_curve:P-256")
        try #require(shop.run("pkey -pubin -in key.pub -outform DER -out key.der"))
        try #require(shop.run("dgst -sha256 -binary -out key.digest key.der"))
        #expect(try shop.open("key.digest").readAll(limit: 100) == key.fingerprint)
    }

    @Test func `what is no key is refused without a question`() throws {
        try #require(shop.run("genpkey -algorithm ED25519 -aes256 -pass pass:horse -out locked.pem"))
        try #require(shop.run("genpkey -algorithm X25519 -out exchange.pem"))
        try shop.write([], to: "empty")
        try shop.write(Array("-----BEGIN PRIVATE KEY-----\nAAAA\n".utf8), to: "cut")
        for name in ["locked.pem", "exchange.pem", "empty", "cut"] {
            #expect(throws: KeyFault.self) { _ = try key(name) }
        }
    }

    @Test func `a key file that is too large is not read`() throws {
        try shop.write([UInt8](repeating: 65, count: 11), to: "large")
        #expect(throws: KeyFault.self) { _ = try KeyText(try shop.open("large"), limit: 10) }
    }
}
