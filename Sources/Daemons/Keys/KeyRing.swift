// SPDX-License-Identifier: ISC

import IPC

/// The keys by the names of their `pki` statements, and who may have what signed.
final class KeyRing {
    /// A key serves one purpose: one that both sides use is held twice.
    struct Place: Hashable {
        let purpose: KeyPurpose
        let pki: String
    }

    // Two: while a certificate is being replaced, sessions begin with the old one and with the new one.
    private static let mostOfOneName = 2

    private var keys: [Place: [PrivateKey]] = [:]

    /// The newest of its name; the one before is kept for those who have the old certificate still.
    func add(_ key: PrivateKey, as place: Place) {
        let others = keys[place, default: []].filter { $0.fingerprint != key.fingerprint }
        keys[place] = Array(([key] + others).prefix(Self.mostOfOneName))
    }

    /// Forgets whatever is none of these.
    func keep(only names: Set<String>) { keys = keys.filter { names.contains($0.key.pki) } }

    var count: Int { keys.values.reduce(0) { $0 + $1.count } }

    /// Signs for `role`, which may speak for one purpose only.
    func answer(_ request: ToKeys, from role: Role) -> FromKeys {
        do throws(KeyFault) {
            switch request {
            case .sign(let name, let purpose, let algorithm, let input):
                return .signature(try key(name, purpose, role).sign(input, by: algorithm))
            case .holds(let name, let purpose):
                _ = try key(name, purpose, role)
                return .held
            }
        } catch {
            return .refused("\(error)")
        }
    }

    private func key(_ name: KeyName, _ purpose: KeyPurpose, _ role: Role) throws(KeyFault) -> PrivateKey {
        guard purpose == Self.purpose(of: role) else {
            throw KeyFault(description: "not a purpose of \(role.name)")
        }
        guard let held = keys[Place(purpose: purpose, pki: name.pki)] else {
            throw KeyFault(description: "no such key")
        }
        guard let key = held.first(where: { $0.fingerprint == name.fingerprint }) else {
            throw KeyFault(description: "not the key of that certificate")
        }
        return key
    }

    private static func purpose(of role: Role) -> KeyPurpose? {
        switch role {
        case .listener: .server
        case .relay: .client
        case .parent, .lookup, .resolver, .queue, .local, .keys, .account, .mailbox, .control, .table: nil
        }
    }
}
