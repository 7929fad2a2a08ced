// SPDX-License-Identifier: ISC

import COpenSSL

/// The keys of a spool: one with which is written, and older ones for what was written with them.
public struct SpoolKeys: Sendable {
    /// AES-256.
    public static let keySize = 32

    let current: SpoolKey?
    private let older: [SpoolKey]

    /// Nothing is encrypted, and nothing encrypted can be read.
    public init() {
        current = nil
        older = []
    }

    /// nil when one of them is not 32 bytes long. Without a current key nothing more is encrypted.
    public init?(current: [UInt8]?, older: [[UInt8]] = []) {
        guard (older + [current].compactMap { $0 }).allSatisfy({ $0.count == SpoolKeys.keySize }) else { return nil }
        self.current = current.map { SpoolKey($0) }
        self.older = older.map { SpoolKey($0) }
    }

    /// The key of that version; nil when it was not given.
    func key(_ version: UInt32) -> SpoolKey? {
        if let current, current.version == version { return current }
        return older.first { $0.version == version }
    }
}

/// One key, overwritten when nobody needs it any more. Its version is part of its digest, so that nobody has to count.
///
/// Unchecked because the bytes never change while it lives.
final class SpoolKey: @unchecked Sendable {
    let version: UInt32
    let bytes: UnsafeMutableRawBufferPointer

    init(_ key: [UInt8]) {
        bytes = .allocate(byteCount: key.count, alignment: 8)
        bytes.copyBytes(from: key)
        let named = Array("martlet spool key version".utf8) + key
        var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        EVP_Digest(named, named.count, &digest, nil, EVP_sha256(), nil)
        let value = digest.withUnsafeBytes { $0.integer(UInt32.self, at: 0) }
        // 0 is the version of no key.
        version = value == 0 ? 1 : value
    }

    deinit {
        OPENSSL_cleanse(bytes.baseAddress, bytes.count)
        bytes.deallocate()
    }
}
