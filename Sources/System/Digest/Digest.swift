// SPDX-License-Identifier: ISC

internal import COpenSSL

/// SHA-256 and what is built on it, by OpenSSL's hand; all are pure calculations.
public enum Digest {
    public static let size = 32

    public static func sha256(_ bytes: [UInt8]) -> [UInt8] {
        var output = [UInt8](repeating: 0, count: size)
        var length: UInt32 = 0
        guard EVP_Digest(bytes, bytes.count, &output, &length, EVP_sha256(), nil) == 1, Int(length) == size else {
            preconditionFailure("libcrypto has no SHA-256")
        }
        return output
    }

    // RFC 2104
    public static func hmac(key: [UInt8], _ bytes: [UInt8]) -> [UInt8] {
        let block = 64
        var padded = key.count > block ? sha256(key) : key
        padded += [UInt8](repeating: 0, count: block - padded.count)
        let inner = sha256(padded.map { $0 ^ 0x36 } + bytes)
        return sha256(padded.map { $0 ^ 0x5C } + inner)
    }

    /// PBKDF2 with HMAC-SHA-256 (RFC 8018 section 5.2), which is slow by intention; nil when it cannot be had.
    public static func stretch(password: [UInt8], salt: [UInt8], rounds: Int) -> [UInt8]? {
        guard let rounds = Int32(exactly: rounds), rounds > 0 else { return nil }
        var output = [UInt8](repeating: 0, count: size)
        let status = password.withUnsafeBufferPointer { buffer in
            buffer.withMemoryRebound(to: CChar.self) { text in
                PKCS5_PBKDF2_HMAC(
                    text.baseAddress, Int32(clamping: password.count), salt, Int32(clamping: salt.count), rounds,
                    EVP_sha256(), Int32(size), &output)
            }
        }
        return status == 1 ? output : nil
    }

    /// Whether two secrets are the same, in a time that does not tell where they differ.
    public static func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        return CRYPTO_memcmp(left, right, left.count) == 0
    }
}
