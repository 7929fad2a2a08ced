// SPDX-License-Identifier: ISC

/// Who needs which keys and authorities.
extension ServerConfiguration {
    /// The names of `pki` that listeners show.
    public var pkiOfListeners: [String] {
        Self.distinct(listeners.filter { $0.encryption != .none }.flatMap(\.pki))
    }

    /// The names of `pki` that relay actions show.
    public var pkiOfRelays: [String] { Self.distinct(relayActions.compactMap(\.pki)) }

    /// The names of `ca` that clients of listeners are verified by; nil for those of the system.
    public var authoritiesOfListeners: [String?] {
        Self.distinct(listeners.filter { $0.encryption.verifiesClients }.map(\.ca))
    }

    /// The names of `ca` that next hops are verified by; nil for those of the system.
    public var authoritiesOfRelays: [String?] { Self.distinct(relayActions.map(\.ca)) }

    private var relayActions: [RelayAction] {
        actions.compactMap { action in
            if case .relay(let relay) = action.kind { relay } else { nil }
        }
    }

    private static func distinct<Value: Hashable>(_ values: [Value]) -> [Value] {
        var seen: Set<Value> = []
        return values.filter { seen.insert($0).inserted }
    }
}

extension ListenStatement.Encryption {
    public var verifiesClients: Bool {
        switch self {
        case .immediate(.required), .required(.required): true
        case .immediate(.ignored), .required(.ignored), .offered, .none: false
        }
    }
}
