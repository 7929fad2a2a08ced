// SPDX-License-Identifier: ISC

import Configuration
import Host
import IPC
import Mail
import Posix

/// A socket that several may hold; closed when nobody does any more.
final class OpenSocket {
    let descriptor: FileDescriptor
    init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }
}

/// One configuration and all that was opened for it; the next one begins another era.
final class Era {
    let number: UInt32
    let configuration: ServerConfiguration
    let listening: [(statement: UInt16, address: SocketAddress, socket: OpenSocket)]
    let keyFiles: KeyFiles
    /// How the files of keys and certificates were when they were given away last, by path.
    var keyMarks: [String: [Int64]] = [:]
    /// Of LMTP servers that the configuration calls by name.
    private let serverAddresses: [String: [IPAddress]]
    let included: IncludedFiles

    // Connections that the kernel completes before a worker takes them.
    private static let backlog: Int32 = 1024

    /// Binds what `previous` has not bound already, and reads what must be readable. Nothing of `previous` changes.
    init(
        _ number: UInt32, _ configuration: ServerConfiguration, after previous: Era?, names: HostDirectory
    ) throws(StartFailure) {
        self.number = number
        self.configuration = configuration
        included = IncludedFiles(configuration)
        var sockets: [SocketAddress: OpenSocket] = [:]
        for entry in previous?.listening ?? [] { sockets[entry.address] = entry.socket }
        var listening: [(statement: UInt16, address: SocketAddress, socket: OpenSocket)] = []
        for endpoint in try names.endpoints(of: configuration.listeners) {
            let socket =
                if let known = sockets[endpoint.address] { known } else { try Era.bind(endpoint) }
            listening.append((endpoint.statement, endpoint.address, socket))
        }
        self.listening = listening
        keyFiles = try KeyFiles(configuration, bundle: KeyFiles.systemBundles.first { FileFacts(at: $0) != nil })
        serverAddresses = try Era.findServers(configuration, names)
        for path in tablePaths { _ = try Era.open(path, for: "table") }
        for file in keyFiles.all {
            _ = try file.open()
            keyMarks[file.path] = FileFacts(at: file.path)?.mark ?? []
        }
    }

    private static func bind(_ endpoint: Endpoint) throws(StartFailure) -> OpenSocket {
        do {
            switch endpoint.address {
            case .internet: return OpenSocket(try FileDescriptor.listen(on: endpoint.address, backlog: backlog))
            case .local(let path): return OpenSocket(try DirectoryHandle.listen(at: path, mode: pathMode))
            }
        } catch {
            let hint =
                if case .internet(_, let port) = endpoint.address, port < 1024, error.isPermission {
                    " (a port below 1024 needs root)"
                } else { "" }
            throw StartFailure("\(endpoint.location): listen on \(endpoint.address): \(error)\(hint)")
        }
    }

    // Whoever can reach its directory may use it.
    private static let pathMode: UInt32 = 0o666

    // Looked up now, since nothing may wait for the network later.
    private static func findServers(
        _ configuration: ServerConfiguration, _ names: HostDirectory
    ) throws(StartFailure) -> [String: [IPAddress]] {
        var found: [String: [IPAddress]] = [:]
        for action in configuration.actions {
            guard case .local(let local) = action.kind, case .lmtp(let text, _) = local.method,
                let destination = try? LMTPDestination(text), destination.isConstant,
                case .host(let name, _)? = destination.place(for: "", delimiters: configuration.smtp.delimiters)
            else { continue }
            let addresses = try names.addresses(ofServer: name)
            guard !addresses.isEmpty else { throw StartFailure("\(action.location): no address of \(name)") }
            found[name] = addresses
        }
        return found
    }

    /// The addresses of an LMTP server, in the order in which they are tried.
    func addresses(of place: LMTPDestination.Place) -> [SocketAddress] {
        switch place {
        case .socket(let path): [.local(path: path)]
        case .address(let address, let port): [.internet(address, port: port)]
        case .host(let name, let port): (serverAddresses[name] ?? []).map { .internet($0, port: port) }
        }
    }

    var hasSubmission: Bool { configuration.listeners.contains { $0.endpoint == .socket } }

    /// The files of tables, each once.
    var tablePaths: [String] {
        var seen: Set<String> = []
        return configuration.tables.compactMap { table in
            guard case .file(let path) = table.kind, seen.insert(path).inserted else { return nil }
            return path
        }
    }

    /// The tables behind programs.
    var programTables: [TableDefinition] {
        configuration.tables.filter { table in
            guard case .backend(let backend, _) = table.kind else { return false }
            return backend != BuiltInTable.users.rawValue
        }
    }

    static func open(_ path: String, for purpose: String) throws(StartFailure) -> FileDescriptor {
        do {
            return try FileDescriptor.readable(path)
        } catch {
            throw StartFailure("\(purpose) \(path): \(error)")
        }
    }

    /// The part that a child is told.
    func part(for role: Role) -> String {
        switch role {
        case .listener: configuration.printed(for: .listener)
        case .lookup: configuration.printed(for: .lookup)
        case .queue: configuration.printed(for: .queue)
        case .relay: configuration.printed(for: .relay)
        case .local: configuration.printed(for: .local)
        case .keys: configuration.printed(for: .keys)
        case .resolver: configuration.printed(for: .resolver)
        case .parent, .account, .mailbox, .control, .table: ""
        }
    }
}
