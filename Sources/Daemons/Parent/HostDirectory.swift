// SPDX-License-Identifier: ISC

import Configuration
import Host
import Mail
import Posix

/// A socket to bind for a `listen` statement.
nonisolated struct Endpoint: Hashable, Sendable {
    /// Its place among the listen statements, from 0.
    let statement: UInt16
    let address: SocketAddress
    let location: SourceLocation
}

/// The names and addresses of this host as they were found at the start, before which nothing waits for the network.
final class HostDirectory {
    let serverName: String
    private(set) var interfaces: [HostNames.InterfaceAddress] = []
    private var resolved: [String: [IPAddress]] = [:]
    private var mayAsk = true

    init() {
        serverName = HostNames.serverName()
        refresh()
    }

    /// From now on only names that were asked before have addresses.
    func stopAsking() { mayAsk = false }

    /// Addresses come and go; asks only the kernel.
    func refresh() { interfaces = HostNames.interfaceAddresses() }

    var localAddresses: [String] {
        var seen: Set<String> = []
        return interfaces.map(\.address.description).filter { seen.insert($0).inserted }
    }

    func endpoints(of statements: [ListenStatement]) throws(StartFailure) -> [Endpoint] {
        var endpoints: [Endpoint] = []
        var taken: Set<SocketAddress> = []
        for (index, statement) in statements.enumerated() {
            for socket in try sockets(of: statement) {
                guard taken.insert(socket).inserted else {
                    throw StartFailure("\(statement.location): another listen statement has \(socket)")
                }
                endpoints.append(
                    Endpoint(
                        statement: UInt16(truncatingIfNeeded: index), address: socket, location: statement.location))
            }
        }
        return endpoints
    }

    private func sockets(of statement: ListenStatement) throws(StartFailure) -> [SocketAddress] {
        switch statement.endpoint {
        case .socket: return []
        case .path(let path): return [.local(path: path)]
        case .interface(let name):
            let addresses = try addresses(of: name).filter { statement.family == nil || $0.family == statement.family }
            guard !addresses.isEmpty else {
                throw StartFailure("\(statement.location): invalid virtual ip or interface: \(name)")
            }
            return addresses.map { .internet($0, port: statement.port) }
        }
    }

    // An interface's name, an address, a name that resolves: the first that is something.
    private func addresses(of name: String) throws(StartFailure) -> [IPAddress] {
        let interface = interfaces.filter { $0.interface == name }.map(\.address)
        if !interface.isEmpty {
            // An address of one link means nothing without its interface.
            return interface.filter { !($0.family == .v6 && $0.bytes[0] == 0xFE && $0.bytes[1] & 0xC0 == 0x80) }
        }
        if let address = IPAddress(name) { return [address] }
        return try addresses(ofServer: name)
    }

    /// The addresses of a host that is not this one, or a name of this one.
    func addresses(ofServer name: String) throws(StartFailure) -> [IPAddress] {
        if let known = resolved[name] { return known }
        guard mayAsk else {
            throw StartFailure("\(name): a new name is only looked up at a start; write its address")
        }
        var seen: Set<IPAddress> = []
        let addresses = HostNames.addresses(of: name).filter { seen.insert($0).inserted }
        resolved[name] = addresses
        return addresses
    }
}
