// SPDX-License-Identifier: ISC

import IPC

/// The keys by the names of their `pki` statements, and who may have what signed.
final class KeyRing {
    private var keys: [String: PrivateKey] = [:]

    func add(_ key: PrivateKey, as name: String) { keys[name] = key }

    var count: Int { keys.count }

    /// Signs for `role`, which may speak for one purpose only.
    func answer(_ request: ToKeys, from role: Role) -> FromKeys {
        switch request {
        case .sign(let name, let purpose, let algorithm, let input):
            guard purpose == Self.purpose(of: role) else { return .refused("not a purpose of \(role.name)") }
            guard let key = keys[name] else { return .refused("no such key") }
            do throws(KeyFault) {
                return .signature(try key.sign(input, by: algorithm))
            } catch {
                return .refused("\(error)")
            }
        }
    }

    private static func purpose(of role: Role) -> KeyPurpose? {
        switch role {
        case .listener: .server
        case .relay: .client
        case .parent, .lookup, .resolver, .queue, .local, .keys, .account, .mailbox, .control: nil
        }
    }
}
