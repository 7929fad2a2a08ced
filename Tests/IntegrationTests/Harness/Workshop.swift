// SPDX-License-Identifier: ISC

import Foundation
import Glibc

/// Certificates as a story needs them, made by the openssl command in a directory of the instance.
final class Workshop {
    enum Kind: String, CaseIterable {
        case ecdsa = "ec -pkeyopt ec_paramgen_curve:P-256"
        case rsa = "rsa:2048"
        case ed25519 = "ed25519"
    }

    let directory: String
    private let owner: Host.Account?

    /// With an authority, `ca.pem`, that nobody but our clients trusts.
    init(_ instance: Instance) throws {
        directory = "\(instance.directory)/pki"
        owner = instance.owner
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try makeAuthority("ca")
    }

    var authority: String { path("ca.pem") }
    func path(_ name: String) -> String { "\(directory)/\(name)" }
    func certificate(_ name: String) -> String { path("\(name).pem") }
    func key(_ name: String) -> String { path("\(name).key") }

    /// The pki statement of a certificate; its name in the configuration is `name`.
    func statement(_ name: String, as pki: String? = nil) -> String {
        "pki \(pki ?? name) cert \"\(certificate(name))\" key \"\(key(name))\""
    }

    @discardableResult
    func openssl(_ words: String, input: String = "") throws -> Program.Result {
        let result = try Program.run(["openssl"] + words.split(separator: " ").map(String.init), input: input)
        guard result.status == 0 else { throw Failure("openssl \(words): \(result.errors)") }
        return result
    }

    /// One that signs for itself, and is a certificate for these names.
    func makeAuthority(_ name: String, for names: [String] = []) throws {
        let alternatives = names.isEmpty ? "" : " -addext subjectAltName=\(Self.alternatives(names))"
        try openssl(
            "req -x509 -newkey \(Kind.ecdsa.rawValue) -nodes -keyout \(key(name)) -out \(certificate(name)) -days 30"
                + " -subj /CN=\(name).example.org -addext basicConstraints=critical,CA:true" + alternatives)
    }

    private static func alternatives(_ names: [String]) -> String {
        names.map { $0.contains("@") ? "email:\($0)" : $0.first?.isNumber == true ? "IP:\($0)" : "DNS:\($0)" }
            .joined(separator: ",")
    }

    /// A certificate for these names, the first of which is its subject too. Negative days have passed.
    func make(
        _ name: String, _ kind: Kind = .ecdsa, for names: [String] = ["mx.example.org"], days: Int = 30,
        by authority: String = "ca", purpose: String = "serverAuth"
    ) throws {
        let request = path("\(name).csr")
        let extensions = path("\(name).ext")
        try """
        subjectAltName=\(Self.alternatives(names))
        extendedKeyUsage=\(purpose)
        basicConstraints=CA:false

        """.write(toFile: extensions, atomically: true, encoding: .utf8)
        try openssl("req -newkey \(kind.rawValue) -nodes -keyout \(key(name)) -out \(request) -subj /CN=\(names[0])")
        try openssl(
            "x509 -req -in \(request) -CA \(certificate(authority)) -CAkey \(key(authority)) -CAcreateserial"
                + " -days \(days) -extfile \(extensions) -out \(certificate(name))")
        chmod(key(name), 0o600)
        if let owner { chown(key(name), owner.uid, owner.gid) }
    }

    /// The integer or the seed that is all of a private key, as it would lie in memory.
    func secret(_ name: String) throws -> [UInt8] {
        let text = try openssl("pkey -in \(key(name)) -noout -text").output
        guard let start = text.range(of: "priv:\n") ?? text.range(of: "prime1:\n") else {
            throw Failure("no private part: \(name)")
        }
        let digits = text[start.upperBound...].prefix { $0.isHexDigit || $0 == ":" || $0.isWhitespace }
        var bytes = digits.split(whereSeparator: { !$0.isHexDigit }).prefix { $0.count == 2 }.compactMap {
            UInt8($0, radix: 16)
        }
        // The sign of a positive integer.
        if bytes.first == 0 { bytes.removeFirst() }
        return bytes
    }
}

/// What `openssl s_client` says of one connection.
struct Handshake {
    let status: Int32
    let text: String

    /// `options` beside where to connect and whom to trust; `input` is typed.
    init(
        port: Int, _ workshop: Workshop, _ options: String = "", startTLS: Bool = true, input: String = "QUIT\r\n"
    ) throws {
        let start = startTLS ? ["-starttls", "smtp", "-name", "client.example.org"] : []
        let words =
            [
                "timeout", "40", "openssl", "s_client", "-connect", "127.0.0.1:\(port)", "-CAfile", workshop.authority,
                "-verify_return_error", "-ign_eof",
            ] + start + options.split(separator: " ").map(String.init)
        let result = try Program.run(words, input: input, seconds: 50)
        status = result.status
        text = result.output + result.errors
    }

    var isVerified: Bool { text.contains("Verify return code: 0 (ok)") }
    var isResumed: Bool { text.contains("\nReused, ") }
    var subject: String? {
        text.split(separator: "\n").first { $0.hasPrefix("subject=") }?.split(separator: "=").last
            .map { $0.trimmingCharacters(in: .whitespaces) }
    }
}
