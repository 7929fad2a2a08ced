// SPDX-License-Identifier: ISC

import Configuration
import Host
import IPC
import Posix

/// One file of `pki` or `ca`, for one kind of child.
nonisolated struct KeyFile: Hashable, Sendable {
    let purpose: ParentToChild.FilePurpose
    let name: String
    let path: String

    /// What must not be set in its mode: a key may be read by a group at most, nobody else may change any of them.
    private var forbidden: UInt32 {
        switch purpose {
        // The reference's 0740 and 0755.
        case .serverKey, .clientKey: 0o037
        case .certificate, .authorities, .table, .tableProgram: 0o022
        }
    }

    private var label: String {
        switch purpose {
        case .serverKey, .clientKey: "pki \(name): key \(path)"
        case .certificate: "pki \(name): certificate \(path)"
        case .authorities where name == ParentToChild.systemAuthorities: path
        case .authorities: "ca \(name): \(path)"
        case .table, .tableProgram: "table \(path)"
        }
    }

    /// The file, once it is seen that nobody can have put it there but root, or whoever runs this.
    func open() throws(StartFailure) -> FileDescriptor {
        let reason: String
        do throws(SystemError) {
            let file = try FileDescriptor.readable(path)
            guard let fault = fault(try file.facts()) else { return file }
            reason = fault
        } catch {
            reason = "\(error)"
        }
        throw StartFailure("\(label): \(reason)")
    }

    func fault(_ facts: FileFacts) -> String? {
        if facts.owner != 0, facts.owner != ThisProcess.uid {
            return "belongs to uid \(facts.owner) (chown root \(path))"
        }
        guard facts.mode & forbidden == 0 else {
            let octal = String(facts.mode & ~forbidden, radix: 8)
            return "insecure permissions 0\(String(facts.mode, radix: 8)) (chmod 0\(octal) \(path))"
        }
        return nil
    }
}

/// Which files of `pki` and `ca` a configuration needs, and for whom.
nonisolated struct KeyFiles: Hashable, Sendable {
    // Where distributions keep the authorities of the system: Debian, Alpine and OpenBSD, Fedora.
    static let systemBundles = [
        "/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem", "/etc/pki/tls/certs/ca-bundle.crt",
    ]

    private(set) var keys: [KeyFile] = []
    private(set) var listener: [KeyFile] = []
    private(set) var relay: [KeyFile] = []

    /// `bundle` is where the authorities of the system are, if they are.
    init(_ configuration: ServerConfiguration, bundle: String?) throws(StartFailure) {
        for name in configuration.pkiOfListeners {
            let paths = try Self.paths(of: name, configuration)
            keys.append(KeyFile(purpose: .serverKey, name: name, path: paths.key))
            listener.append(KeyFile(purpose: .certificate, name: name, path: paths.certificate))
        }
        for name in configuration.pkiOfRelays {
            let paths = try Self.paths(of: name, configuration)
            keys.append(KeyFile(purpose: .clientKey, name: name, path: paths.key))
            relay.append(KeyFile(purpose: .certificate, name: name, path: paths.certificate))
        }
        for name in configuration.authoritiesOfListeners {
            if let file = try Self.authorities(name, configuration, bundle) { listener.append(file) }
        }
        for name in configuration.authoritiesOfRelays {
            if let file = try Self.authorities(name, configuration, bundle) { relay.append(file) }
        }
    }

    var all: [KeyFile] { keys + listener + relay }

    func files(for role: Role) -> [KeyFile] {
        switch role {
        case .keys: keys
        case .listener: listener
        case .relay: relay
        case .parent, .lookup, .resolver, .queue, .local, .account, .mailbox, .control, .table: []
        }
    }

    private static func paths(
        of name: String, _ configuration: ServerConfiguration
    ) throws(StartFailure) -> (certificate: String, key: String) {
        guard let pki = configuration.pki.first(where: { $0.name == name }) else {
            throw StartFailure("pki \(name): not defined")
        }
        guard let certificate = pki.certificatePath else {
            throw StartFailure("\(pki.location): pki \(name): missing certificate file")
        }
        guard let key = pki.keyPath else { throw StartFailure("\(pki.location): pki \(name): missing key file") }
        return (certificate, key)
    }

    private static func authorities(
        _ name: String?, _ configuration: ServerConfiguration, _ bundle: String?
    ) throws(StartFailure) -> KeyFile? {
        guard let name else {
            return bundle.map { KeyFile(purpose: .authorities, name: ParentToChild.systemAuthorities, path: $0) }
        }
        guard let ca = configuration.authorities.first(where: { $0.name == name }) else {
            throw StartFailure("ca \(name): not defined")
        }
        return KeyFile(purpose: .authorities, name: name, path: ca.certificatePath)
    }
}
