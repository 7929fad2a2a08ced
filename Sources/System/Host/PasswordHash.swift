// SPDX-License-Identifier: ISC

import CCrypt
import Glibc
public import Posix

/// Hashes of passwords as crypt(3) of this host makes them. Each takes as long as it is meant to: never on a loop that
/// serves anybody.
public enum PasswordHash {
    // CRYPT_MAX_PASSPHRASE_SIZE of libxcrypt, its end included.
    public static let longestPassword = 511

    /// A new hash with a salt of its own, by the method that the host prefers. Without NUL and line ends, which no
    /// client can send, and not empty: an empty password is none.
    public static func make(of password: [UInt8]) throws(SystemError) -> String {
        guard !password.isEmpty, password.count <= longestPassword, !password.contains(where: { $0 == 0 || $0 == 10 })
        else { throw SystemError("password", EINVAL) }
        var setting = [CChar](repeating: 0, count: Int(CRYPT_GENSALT_OUTPUT_SIZE))
        // No prefix and no rounds: the default of the library; no bytes: its own randomness.
        guard crypt_gensalt_rn(nil, 0, nil, 0, &setting, Int32(setting.count)) != nil else {
            throw SystemError("crypt_gensalt")
        }
        let work = UnsafeMutablePointer<crypt_data>.allocate(capacity: 1)
        defer {
            // The password stands in there.
            UnsafeMutableRawPointer(work).initializeMemory(as: UInt8.self, repeating: 0, count: size)
            work.deallocate()
        }
        UnsafeMutableRawPointer(work).initializeMemory(as: UInt8.self, repeating: 0, count: size)
        var phrase = password.map { CChar(bitPattern: $0) } + [0]
        defer { for index in phrase.indices { phrase[index] = 0 } }
        guard let hash = crypt_rn(phrase, setting, work, Int32(size)) else { throw SystemError("crypt") }
        return String(cString: hash)
    }

    private static let size = MemoryLayout<crypt_data>.size
}
