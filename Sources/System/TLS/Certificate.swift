// SPDX-License-Identifier: ISC

import Bytes
import CSigner
import Glibc
public import Mail
public import Posix

/// The certificates of one file: the first is the one that is shown, the others are its chain.
@MainActor public final class CertificateChain {
    /// Real chains have three; a bundle was given by mistake above this.
    private static let most = 16
    static let longestFile = 1 << 20

    let leaf: OpaquePointer
    let chain: [OpaquePointer]
    /// SHA-256 of the public key as the certificate has it (SubjectPublicKeyInfo): names the private key to it.
    public let keyFingerprint: [UInt8]

    public convenience init(_ descriptor: consuming FileDescriptor) throws(TLSFault) {
        try self.init(pem: try CertificateFile.content(descriptor))
    }

    public init(pem: [UInt8]) throws(TLSFault) {
        var certificates = try CertificateFile.certificates(in: pem, most: Self.most)
        guard !certificates.isEmpty else { throw TLSFault("no certificate in PEM form") }
        leaf = certificates.removeFirst()
        chain = certificates
        keyFingerprint = Self.fingerprint(ofKeyIn: leaf)
    }

    isolated deinit {
        X509_free(leaf)
        for certificate in chain { X509_free(certificate) }
    }

    private static func fingerprint(ofKeyIn certificate: OpaquePointer) -> [UInt8] {
        KeyFingerprint.of(X509_get0_pubkey(certificate))
    }

    /// Why clients would refuse it at `now`; nil when nothing is seen.
    public func fault(at now: Timestamp) -> String? {
        var time = time_t(now.seconds)
        if X509_cmp_time(X509_get0_notAfter(leaf), &time) < 0 { return "the certificate has expired" }
        if X509_cmp_time(X509_get0_notBefore(leaf), &time) > 0 { return "the certificate is not valid yet" }
        return nil
    }

    /// Whether `name` is one of those in the certificate.
    public func names(_ name: String) -> Bool {
        Array(name.utf8).withUnsafeBufferPointer { buffer in
            buffer.withMemoryRebound(to: CChar.self) { X509_check_host(leaf, $0.baseAddress, $0.count, 0, nil) == 1 }
        }
    }
}

/// Those whose word is taken for the certificates of others.
@MainActor public final class TrustAnchors {
    /// Debian trusts about 140 authorities.
    private static let most = 1000

    let store: OpaquePointer
    private let certificates: [OpaquePointer]

    public convenience init(_ descriptor: consuming FileDescriptor) throws(TLSFault) {
        try self.init(pem: try CertificateFile.content(descriptor))
    }

    public init(pem: [UInt8]) throws(TLSFault) {
        let certificates = try CertificateFile.certificates(in: pem, most: Self.most)
        guard !certificates.isEmpty else { throw TLSFault("no certificate in PEM form") }
        guard let store = X509_STORE_new() else { throw TLSFault("out of memory") }
        for certificate in certificates { X509_STORE_add_cert(store, certificate) }
        ERR_clear_error()
        self.store = store
        self.certificates = certificates
    }

    isolated deinit {
        X509_STORE_free(store)
        for certificate in certificates { X509_free(certificate) }
    }

    /// Tells clients whose certificates a listener takes (RFC 8446 section 4.2.4).
    func announce(in context: OpaquePointer) {
        for certificate in certificates { SSL_CTX_add_client_CA(context, certificate) }
    }
}

enum CertificateFile {
    static func content(_ descriptor: consuming FileDescriptor) throws(TLSFault) -> [UInt8] {
        do {
            guard let content = try descriptor.readAll(limit: CertificateChain.longestFile) else {
                throw TLSFault("the file is too large")
            }
            return content
        } catch let fault as TLSFault {
            throw fault
        } catch {
            throw TLSFault("\(error)")
        }
    }

    /// Every certificate of a PEM text, in its order; whatever else the text holds is passed over.
    static func certificates(in pem: [UInt8], most: Int) throws(TLSFault) -> [OpaquePointer] {
        guard let length = Int32(exactly: pem.count) else { throw TLSFault("the file is too large") }
        // First of all: OpenSSL by itself would look for its configuration, in a file system that is not there.
        try TLSLibrary.prepare()
        defer { ERR_clear_error() }
        var found: [OpaquePointer] = []
        var isBroken = false
        pem.withUnsafeBytes { buffer in
            guard length > 0, let input = BIO_new_mem_buf(buffer.baseAddress, length) else { return }
            defer { BIO_free(input) }
            while found.count <= most, let certificate = PEM_read_bio_X509(input, nil, { _, _, _, _ in -1 }, nil) {
                found.append(certificate)
            }
            // The end of a text is told as the lack of another first line.
            let last = ERR_peek_last_error()
            isBroken = last != 0 && last & 0x7F_FFFF != UInt(PEM_R_NO_START_LINE)
        }
        guard !isBroken, found.count <= most else {
            for certificate in found { X509_free(certificate) }
            throw TLSFault(isBroken ? "a certificate that cannot be read" : "too many certificates")
        }
        return found
    }
}

/// A private key that is looked at and not kept.
public enum PrivateKeyFile {
    static let longest = 64 * 1024

    /// SHA-256 of its public half, as `CertificateChain.keyFingerprint`.
    public static func fingerprint(_ descriptor: consuming FileDescriptor) throws(TLSFault) -> [UInt8] {
        try TLSLibrary.prepare()
        var content = try CertificateFile.content(descriptor)
        defer { content.withUnsafeMutableBytes { Memory.erase($0) } }
        guard !content.isEmpty, content.count <= longest else { throw TLSFault("no private key in PEM form") }
        defer { ERR_clear_error() }
        let key: OpaquePointer? = content.withUnsafeBytes { buffer in
            guard let input = BIO_new_mem_buf(buffer.baseAddress, Int32(buffer.count)) else { return nil }
            defer { BIO_free(input) }
            // Without this OpenSSL would ask on a terminal for the password of a key that has one.
            return PEM_read_bio_PrivateKey(input, nil, { _, _, _, _ in -1 }, nil)
        }
        guard let key else {
            throw TLSFault("no private key in PEM form, or one with a password (openssl pkey takes it off)")
        }
        defer { EVP_PKEY_free(key) }
        return KeyFingerprint.of(key)
    }
}

/// Names a key by its public half, the same for a certificate and for its private key.
enum KeyFingerprint {
    static func of(_ key: OpaquePointer?) -> [UInt8] {
        var bytes: UnsafeMutablePointer<UInt8>?
        let count = i2d_PUBKEY(key, &bytes)
        guard count > 0, let bytes else { return [] }
        defer { CRYPTO_free(bytes, nil, 0) }
        return digest(bytes, Int(count))
    }

    nonisolated static func digest(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 32) { buffer, filled in
            filled = EVP_Digest(bytes, count, buffer.baseAddress, nil, EVP_sha256(), nil) == 1 ? 32 : 0
        }
    }
}
