// SPDX-License-Identifier: ISC

import COpenSSL

/// AES-256-GCM, for one thread.
///
/// What is sealed has a random key and nonce of its own, wrapped by a key of the spool:
///
///     key version:4 zero:4 wrap nonce:12 wrapped key:32 wrap tag:16 nonce:12 ciphertext tag:16
///
/// The nonce of a wrapping is random too: 2^32 messages may be wrapped by one key (SP 800-38D section 8.3).
final class Cipher {
    static let nonceSize = 12
    static let tagSize = 16
    static let wrappedSize = 8 + nonceSize + SpoolKeys.keySize + tagSize
    /// By how much what is sealed is longer.
    static let overhead = wrappedSize + nonceSize + tagSize

    enum Fault: Error, Hashable {
        case unknownKey(UInt32)
        case damaged
    }

    private let context: OpaquePointer
    let keys: SpoolKeys

    /// Must run before the file system is out of reach: OpenSSL would look for a configuration.
    static func prepare() {
        OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT), nil)
    }

    init(_ keys: SpoolKeys) {
        Cipher.prepare()
        self.keys = keys
        guard let context = EVP_CIPHER_CTX_new() else { preconditionFailure("out of memory") }
        self.context = context
    }

    deinit { EVP_CIPHER_CTX_free(context) }

    // MARK: Records

    /// Fills `sealed`, which is by the overhead longer than `plain`.
    func seal(
        _ plain: UnsafeRawBufferPointer, with key: SpoolKey, associated: UnsafeRawBufferPointer,
        into sealed: UnsafeMutableRawBufferPointer
    ) {
        let own = ContentKey(random: ())
        let wrapped = UnsafeMutableRawBufferPointer(rebasing: sealed[..<Cipher.wrappedSize])
        wrap(own, with: key, into: wrapped)
        let nonce = UnsafeMutableRawBufferPointer(rebasing: sealed[Cipher.wrappedSize...].prefix(Cipher.nonceSize))
        Cipher.random(nonce)
        encrypt(
            plain, key: own, nonce: UnsafeRawBufferPointer(nonce), associated: associated,
            into: UnsafeMutableRawBufferPointer(rebasing: sealed[(Cipher.wrappedSize + Cipher.nonceSize)...]))
    }

    func open(
        _ sealed: UnsafeRawBufferPointer, associated: UnsafeRawBufferPointer
    ) throws(Fault) -> [UInt8] {
        guard sealed.count >= Cipher.overhead else { throw .damaged }
        let own = try unwrap(UnsafeRawBufferPointer(rebasing: sealed[..<Cipher.wrappedSize]))
        let nonce = UnsafeRawBufferPointer(rebasing: sealed[Cipher.wrappedSize...].prefix(Cipher.nonceSize))
        let rest = UnsafeRawBufferPointer(rebasing: sealed[(Cipher.wrappedSize + Cipher.nonceSize)...])
        guard let plain = decrypt(rest, key: own, nonce: nonce, associated: associated) else { throw .damaged }
        return plain
    }

    // MARK: Keys of contents

    func wrap(_ own: ContentKey, with key: SpoolKey, into wrapped: UnsafeMutableRawBufferPointer) {
        wrapped.storeBytes(of: key.version.littleEndian, toByteOffset: 0, as: UInt32.self)
        wrapped.storeBytes(of: 0, toByteOffset: 4, as: UInt32.self)
        let nonce = UnsafeMutableRawBufferPointer(rebasing: wrapped[8..<8 + Cipher.nonceSize])
        Cipher.random(nonce)
        encrypt(
            UnsafeRawBufferPointer(own.bytes), key: ContentKey(key), nonce: UnsafeRawBufferPointer(nonce),
            associated: UnsafeRawBufferPointer(rebasing: wrapped[..<8]),
            into: UnsafeMutableRawBufferPointer(rebasing: wrapped[(8 + Cipher.nonceSize)...]))
    }

    func unwrap(_ wrapped: UnsafeRawBufferPointer) throws(Fault) -> ContentKey {
        guard wrapped.count == Cipher.wrappedSize else { throw .damaged }
        let version = wrapped.integer(UInt32.self, at: 0)
        guard let key = keys.key(version) else { throw .unknownKey(version) }
        let nonce = UnsafeRawBufferPointer(rebasing: wrapped[8..<8 + Cipher.nonceSize])
        let rest = UnsafeRawBufferPointer(rebasing: wrapped[(8 + Cipher.nonceSize)...])
        let associated = UnsafeRawBufferPointer(rebasing: wrapped[..<8])
        guard var own = decrypt(rest, key: ContentKey(key), nonce: nonce, associated: associated) else {
            throw .damaged
        }
        defer { own.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) } }
        return ContentKey(own)
    }

    // MARK: The cipher

    /// `output` takes the ciphertext and its tag.
    func encrypt(
        _ plain: UnsafeRawBufferPointer, key: ContentKey, nonce: UnsafeRawBufferPointer,
        associated: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) {
        var written: Int32 = 0
        let target = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        let isDone =
            EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), nil, key.pointer, Cipher.pointer(nonce)) == 1
            && EVP_EncryptUpdate(context, nil, &written, Cipher.pointer(associated), Int32(associated.count)) == 1
            && EVP_EncryptUpdate(context, target, &written, Cipher.pointer(plain), Int32(plain.count)) == 1
            && EVP_EncryptFinal_ex(context, target.map { $0 + plain.count }, &written) == 1
            && EVP_CIPHER_CTX_ctrl(
                context, EVP_CTRL_AEAD_GET_TAG, Int32(Cipher.tagSize), target.map { $0 + plain.count }) == 1
        precondition(isDone, "the cipher failed")
    }

    /// nil when the tag is not that of key, nonce, associated data and ciphertext.
    func decrypt(
        _ sealed: UnsafeRawBufferPointer, key: ContentKey, nonce: UnsafeRawBufferPointer,
        associated: UnsafeRawBufferPointer
    ) -> [UInt8]? {
        guard sealed.count >= Cipher.tagSize else { return nil }
        defer { ERR_clear_error() }
        let count = sealed.count - Cipher.tagSize
        var tag = Array(sealed[count...])
        var written: Int32 = 0
        var isRight = false
        let plain = [UInt8](unsafeUninitializedCapacity: max(count, 1)) { buffer, filled in
            isRight =
                EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), nil, key.pointer, Cipher.pointer(nonce)) == 1
                && EVP_DecryptUpdate(context, nil, &written, Cipher.pointer(associated), Int32(associated.count)) == 1
                && EVP_DecryptUpdate(context, buffer.baseAddress, &written, Cipher.pointer(sealed), Int32(count)) == 1
                && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, Int32(Cipher.tagSize), &tag) == 1
                && EVP_DecryptFinal_ex(context, buffer.baseAddress.map { $0 + count }, &written) == 1
            filled = isRight ? count : 0
        }
        return isRight ? plain : nil
    }

    private static func pointer(_ bytes: UnsafeRawBufferPointer) -> UnsafePointer<UInt8>? {
        bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
    }

    static func random(_ bytes: UnsafeMutableRawBufferPointer) {
        let target = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
        precondition(RAND_bytes(target, Int32(bytes.count)) == 1, "no randomness")
    }
}

/// The key of one record or body, overwritten with its last holder.
final class ContentKey {
    let bytes: UnsafeMutableRawBufferPointer

    init(random: Void) {
        bytes = .allocate(byteCount: SpoolKeys.keySize, alignment: 8)
        Cipher.random(bytes)
    }

    init(_ key: [UInt8]) {
        bytes = .allocate(byteCount: SpoolKeys.keySize, alignment: 8)
        bytes.copyBytes(from: key.prefix(SpoolKeys.keySize))
    }

    init(_ key: SpoolKey) {
        bytes = .allocate(byteCount: SpoolKeys.keySize, alignment: 8)
        bytes.copyMemory(from: UnsafeRawBufferPointer(key.bytes))
    }

    var pointer: UnsafePointer<UInt8>? { UnsafePointer(bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)) }

    deinit {
        OPENSSL_cleanse(bytes.baseAddress, bytes.count)
        bytes.deallocate()
    }
}
