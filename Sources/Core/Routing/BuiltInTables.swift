// SPDX-License-Identifier: ISC

public import Configuration
public import Mail

/// The tables that every configuration can name without defining them.
public struct BuiltInTables: Sendable {
    /// What the socket of this host and mail that arose here are called where a client's address is asked for.
    public static let local = "local"

    private let localHost: TableContent
    private let localNames: TableContent
    private let anyHost = TableContent(list: [local, "0.0.0.0/0", "::/0"])
    private let anyDestination = TableContent(list: ["*"])

    /// `addresses` are those of all interfaces.
    public init(serverName: Domain, addresses: [IPAddress]) {
        let texts = addresses.map(\.hostText)
        localHost = TableContent(list: [Self.local] + texts)
        localNames = TableContent(list: ["localhost", serverName.text] + texts + addresses.map(\.literal))
    }

    /// nil for the users of the system, which are not held here.
    public subscript(table: BuiltInTable) -> TableContent? {
        switch table {
        case .anyHost: anyHost
        case .localHost: localHost
        case .localNames: localNames
        case .anyDestination: anyDestination
        case .users: nil
        }
    }
}
