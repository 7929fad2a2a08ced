// SPDX-License-Identifier: ISC

import COpenSSL
import IPC

/// Why a key cannot be read, or a signature cannot be made; never with anything of the key in it.
struct KeyFault: Error, Hashable, CustomStringConvertible {
    let description: String
}

/// A private key, which never leaves: only signatures do.
///
/// Needs no file and no configuration of OpenSSL, since there is none to be opened here; see `prepare`.
final class PrivateKey {
    // RSA with 8192 bits takes a second to read and tenths of one to sign with.
    static let largestModulus = 8192
    // RFC 8446 section 4.4.3 and RFC 6376: what is signed is short.
    static let longestMessage = 64 * 1024

    private enum Kind {
        case rsa
        case ecdsa
        case ed25519
    }

    private let key: OpaquePointer
    private let kind: Kind
    /// SHA-256 of the public half, as a certificate has it.
    let fingerprint: [UInt8]

    /// Must run before anything else of OpenSSL: nothing may be looked for in the file system.
    static func prepare() {
        let settings = OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_NO_ATEXIT
        OPENSSL_init_crypto(UInt64(settings), nil)
    }

    /// The key in PEM form, without a password.
    init(pem: Span<UInt8>) throws(KeyFault) {
        guard pem.count > 0, let length = Int32(exactly: pem.count) else {
            throw KeyFault(description: "the key file is empty")
        }
        defer { ERR_clear_error() }
        let key: OpaquePointer? = pem.withUnsafeBytes { buffer in
            guard let input = BIO_new_mem_buf(buffer.baseAddress, length) else { return nil }
            defer { BIO_free(input) }
            // Without this OpenSSL would ask on a terminal for the password of a key that has one.
            return PEM_read_bio_PrivateKey(input, nil, { _, _, _, _ in -1 }, nil)
        }
        guard let key else { throw KeyFault(description: "no private key in PEM form, or one with a password") }
        guard let kind = Self.kind(of: key) else {
            EVP_PKEY_free(key)
            throw KeyFault(description: "neither an RSA, nor an ECDSA, nor an Ed25519 key of a fit size")
        }
        self.key = key
        self.kind = kind
        fingerprint = Self.fingerprint(of: key)
    }

    isolated deinit { EVP_PKEY_free(key) }

    private static func kind(of key: OpaquePointer) -> Kind? {
        if EVP_PKEY_is_a(key, "RSA") == 1 {
            return (1024...largestModulus).contains(Int(EVP_PKEY_get_bits(key))) ? .rsa : nil
        }
        if EVP_PKEY_is_a(key, "EC") == 1 { return .ecdsa }
        return EVP_PKEY_is_a(key, "ED25519") == 1 ? .ed25519 : nil
    }

    private static func fingerprint(of key: OpaquePointer) -> [UInt8] {
        var bytes: UnsafeMutablePointer<UInt8>?
        let count = i2d_PUBKEY(key, &bytes)
        guard count > 0, let bytes else { return [] }
        defer { CRYPTO_free(bytes, nil, 0) }
        return [UInt8](unsafeUninitializedCapacity: 32) { buffer, filled in
            filled = EVP_Digest(bytes, Int(count), buffer.baseAddress, nil, EVP_sha256(), nil) == 1 ? 32 : 0
        }
    }

    /// The signature of `input`: a digest, for `ed25519` the message.
    func sign(_ input: [UInt8], by algorithm: SignatureAlgorithm) throws(KeyFault) -> [UInt8] {
        defer { ERR_clear_error() }
        switch (algorithm, kind) {
        case (.rsaPSSWithSHA256, .rsa): return try signPadded(input, 32, EVP_sha256(), RSA_PKCS1_PSS_PADDING)
        case (.rsaPSSWithSHA384, .rsa): return try signPadded(input, 48, EVP_sha384(), RSA_PKCS1_PSS_PADDING)
        case (.rsaPSSWithSHA512, .rsa): return try signPadded(input, 64, EVP_sha512(), RSA_PKCS1_PSS_PADDING)
        case (.rsaPKCS1WithSHA256, .rsa): return try signPadded(input, 32, EVP_sha256(), RSA_PKCS1_PADDING)
        case (.rsaPKCS1WithSHA384, .rsa): return try signPadded(input, 48, EVP_sha384(), RSA_PKCS1_PADDING)
        case (.rsaPKCS1WithSHA512, .rsa): return try signPadded(input, 64, EVP_sha512(), RSA_PKCS1_PADDING)
        case (.ecdsa, .ecdsa):
            // SHA-256, SHA-384 or SHA-512.
            guard [32, 48, 64].contains(input.count) else { throw KeyFault(description: "not a digest") }
            return try signDigest(input) { _ in true }
        case (.ed25519, .ed25519):
            guard input.count <= Self.longestMessage else { throw KeyFault(description: "message too long") }
            return try signMessage(input)
        case (.rsaPKCS1WithSHA256, _), (.rsaPSSWithSHA256, _), (.rsaPKCS1WithSHA384, _), (.rsaPSSWithSHA384, _),
            (.rsaPKCS1WithSHA512, _), (.rsaPSSWithSHA512, _), (.ecdsa, _), (.ed25519, _):
            throw KeyFault(description: "not an algorithm of this key")
        }
    }

    private func signPadded(
        _ digest: [UInt8], _ length: Int, _ kind: OpaquePointer?, _ padding: Int32
    ) throws(KeyFault) -> [UInt8] {
        guard digest.count == length else { throw KeyFault(description: "not a digest of that kind") }
        return try signDigest(digest) { context in
            EVP_PKEY_CTX_set_rsa_padding(context, padding) > 0 && EVP_PKEY_CTX_set_signature_md(context, kind) > 0
                // RFC 8446 section 4.2.3: the salt is as long as the digest.
                && (padding != RSA_PKCS1_PSS_PADDING
                    || EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) > 0)
        }
    }

    private func signDigest(_ digest: [UInt8], _ setUp: (OpaquePointer) -> Bool) throws(KeyFault) -> [UInt8] {
        guard let context = EVP_PKEY_CTX_new(key, nil) else { throw KeyFault(description: "out of memory") }
        defer { EVP_PKEY_CTX_free(context) }
        var count = Int(EVP_PKEY_get_size(key))
        var signature = [UInt8](repeating: 0, count: count)
        guard EVP_PKEY_sign_init(context) > 0, setUp(context),
            EVP_PKEY_sign(context, &signature, &count, digest, digest.count) > 0
        else { throw KeyFault(description: "signing failed") }
        return Array(signature.prefix(count))
    }

    private func signMessage(_ message: [UInt8]) throws(KeyFault) -> [UInt8] {
        guard let context = EVP_MD_CTX_new() else { throw KeyFault(description: "out of memory") }
        defer { EVP_MD_CTX_free(context) }
        var count = Int(EVP_PKEY_get_size(key))
        var signature = [UInt8](repeating: 0, count: count)
        guard EVP_DigestSignInit(context, nil, nil, nil, key) > 0,
            EVP_DigestSign(context, &signature, &count, message, message.count) > 0
        else { throw KeyFault(description: "signing failed") }
        return Array(signature.prefix(count))
    }
}
