// SPDX-License-Identifier: ISC

import Bytes
import Mail

extension Parser {
    // Names of ports that a system's services file would give.
    private static let ports: [String: UInt16] = [
        "smtp": 25, "mail": 25, "smtps": 465, "submissions": 465, "submission": 587, "lmtp": 24,
    ]

    private enum Option: String {
        case filter, tag, inet4, inet6, port, smtps, tls, ciphers, protocols, pki, ca, auth, hostname, hostnames
        case senders, lmtp
        case maskSource = "mask-src"
        case noDeliveryNotices = "no-dsn"
        case tlsRequire = "tls-require"
        case authOptional = "auth-optional"
        case receivedAuth = "received-auth"
        case proxy = "proxy-v2"

        // sockopt = "filter" STR | "filter" "{" opt-NL filterlist "}" | "mask-src" | "no-dsn" | "tag" STR
        var isForSocket: Bool {
            switch self {
            case .filter, .tag, .maskSource, .noDeliveryNotices: true
            case .inet4, .inet6, .port, .smtps, .tls, .ciphers, .protocols, .pki, .ca, .auth, .hostname, .hostnames,
                .senders, .tlsRequire, .authOptional, .receivedAuth, .proxy, .lmtp:
                false
            }
        }

        /// What can be given once; some options share it. nil for what may be repeated.
        var place: String? {
            switch self {
            case .pki: nil
            case .inet4, .inet6: "address family"
            case .tls, .smtps, .tlsRequire: "TLS mode"
            case .auth, .authOptional: "auth"
            case .filter, .tag, .maskSource, .noDeliveryNotices, .port, .ciphers, .protocols, .ca, .hostname,
                .hostnames, .senders, .receivedAuth, .proxy, .lmtp:
                rawValue
            }
        }
    }

    // listen = "listen" "on" ( "socket" { sockopt } | IFACE { ifopt } )
    mutating func parseListen(_ location: SourceLocation) throws(Failure) {
        try expect(.on)
        let place = peek().location
        var listener: ListenStatement
        if take(.socket) {
            guard !configuration.listeners.contains(where: { $0.endpoint == .socket }) else {
                throw Failure(message: "socket listener already configured", location: place)
            }
            listener = ListenStatement(.socket, location: location)
        } else {
            let name = try string("socket, an interface or an address")
            let isPath = name.text.begins(with: "/")
            listener = ListenStatement(isPath ? .path(name.text) : .interface(name.text), location: location)
        }
        var given: Set<String> = []
        while try parseOwnOption(&given, &listener) {}
        while let option = next(as: Option.self), option.isForSocket || listener.endpoint != .socket {
            let token = take()
            if let place = option.place, !given.insert(place).inserted {
                throw Failure(message: "\(place) already specified", location: token.location)
            }
            try parseOption(option, token.location, &listener)
            while try parseOwnOption(&given, &listener) {}
        }
        guard peek().kind == .newline else { throw unexpected("an option or end of line") }
        try check(listener, location)
        configuration.listeners.append(listener)
    }

    private mutating func parseOption(
        _ option: Option, _ location: SourceLocation, _ listener: inout ListenStatement
    ) throws(Failure) {
        switch option {
        case .filter:
            use(.listenFilter, at: location)
            listener.filter = try filterReference()
        case .maskSource: listener.masksSource = true
        case .noDeliveryNotices: listener.offersDeliveryNotices = false
        case .tag: listener.tag = try tag()
        case .inet4: listener.family = .v4
        case .inet6: listener.family = .v6
        case .port: listener.explicitPort = try port()
        case .hostname: listener.hostname = try string("a host name").text
        case .hostnames:
            listener.hostnames = try table(for: .hostnames)
        case .receivedAuth:
            use(.listenReceivedAuthentication, at: location)
            listener.showsAuthentication = true
        case .lmtp:
            listener.speaksLMTP = true
        case .proxy:
            use(.listenProxy, at: location)
            listener.expectsProxyHeader = true
        case .senders:
            use(.listenSenders, at: location)
            let senders = try table(for: .senders)
            listener.senders = ListenStatement.Senders(
                table: senders, treatment: take(.masquerade) ? .masquerade : .check)
        case .auth:
            use(.listenAuthentication, at: location)
            listener.authentication = .required(isTableNext() ? try table(for: .credentials) : nil)
        case .authOptional:
            use(.listenOptionalAuthentication, at: location)
            listener.authentication = .optional(isTableNext() ? try table(for: .credentials) : nil)
        case .smtps:
            listener.encryption = .immediate(clientCertificate())
        case .tls:
            listener.encryption = .offered
        case .tlsRequire:
            listener.encryption = .required(clientCertificate())
        case .ciphers:
            listener.ciphers = try string("a list of ciphers").text
        case .protocols:
            listener.protocols = try protocols()
        case .pki:
            listener.pki.append(try pki(after: listener.pki.count))
        case .ca:
            let name = try keyReference()
            try checkCA(name)
            listener.ca = name.text
        }
    }

    // Words of ours, known only here: as names and elsewhere they are like any other.
    private enum OwnOption: String {
        case takesPriority = "priority"
        case proxiesFrom = "proxy-from"
        case clientClaimsFrom = "xclient-from"
        case forwardClaimsFrom = "xforward-from"

        var isForSocket: Bool { self == .takesPriority }
    }

    // "priority" | ( "proxy-from" | "xclient-from" | "xforward-from" ) ( STR | "{" opt-NL list "}" )
    /// Takes the option when it stands next.
    private mutating func parseOwnOption(
        _ given: inout Set<String>, _ listener: inout ListenStatement
    ) throws(Failure) -> Bool {
        guard case .string(let text) = peek().kind, let option = OwnOption(rawValue: text),
            option.isForSocket || listener.endpoint != .socket
        else { return false }
        let location = take().location
        guard given.insert(option.rawValue).inserted else {
            throw Failure(message: "\(option.rawValue) already specified", location: location)
        }
        switch option {
        case .takesPriority: listener.takesPriority = true
        case .proxiesFrom: listener.proxiesFrom = try networks()
        case .clientClaimsFrom: listener.clientClaimsFrom = try networks()
        case .forwardClaimsFrom: listener.forwardClaimsFrom = try networks()
        }
        return true
    }

    private mutating func networks() throws(Failure) -> [NetworkPattern] {
        guard take("{") else { return [try network()] }
        takeNewlines()
        var networks: [NetworkPattern] = []
        repeat {
            networks.append(try network())
            _ = take(",")
            takeNewlines()
        } while !take("}")
        return networks
    }

    private mutating func network() throws(Failure) -> NetworkPattern {
        let word = try string("an address or a network")
        guard let network = NetworkPattern(word.text) else {
            throw Failure(message: "invalid address or network: \(VisibleText(word.text))", location: word.location)
        }
        return network
    }

    private mutating func tag() throws(Failure) -> String {
        let tag = try string("a tag")
        guard tag.text.utf8.count <= ListenStatement.longestTag else {
            throw Failure(message: "tag name too long", location: tag.location)
        }
        return tag.text
    }

    private mutating func pki(after count: Int) throws(Failure) -> String {
        let name = try keyReference()
        guard count < ListenStatement.mostCertificates else {
            throw Failure(message: "too many pki specified", location: name.location)
        }
        try checkPKI(name)
        return name.text
    }

    private mutating func clientCertificate() -> ListenStatement.ClientCertificate {
        take(.verify) ? .required : .ignored
    }

    // "port" ( NUM | STR | "smtp" | "smtps" )
    private mutating func port() throws(Failure) -> UInt16 {
        if take(.smtp) { return 25 }
        if take(.smtps) { return 465 }
        if case .number(let value) = peek().kind {
            let location = take().location
            guard let port = UInt16(exactly: value), port > 0 else {
                throw Failure(message: "invalid port: \(value)", location: location)
            }
            return port
        }
        guard let name = takeString() else { throw unexpected("a port") }
        guard let port = Self.ports[name.text] else {
            throw Failure(message: "invalid port: \(VisibleText(name.text))", location: name.location)
        }
        return port
    }

    private func check(_ listener: ListenStatement, _ location: SourceLocation) throws(Failure) {
        if case .path = listener.endpoint { try checkPath(listener, location) }
        let isEncrypted = listener.encryption != .none
        if listener.authentication != .none, !isEncrypted {
            throw Failure(message: "invalid listen option: auth requires tls/smtps", location: location)
        }
        if !listener.pki.isEmpty, !isEncrypted {
            throw Failure(message: "invalid listen option: pki requires tls/smtps", location: location)
        }
        if listener.pki.isEmpty, isEncrypted {
            throw Failure(message: "invalid listen option: pki required for tls/smtps", location: location)
        }
    }

    // Clients of a Unix socket have no address, and nothing in between them and us.
    private func checkPath(_ listener: ListenStatement, _ location: SourceLocation) throws(Failure) {
        guard listener.speaksLMTP else {
            throw Failure(message: "invalid listen option: a path is for lmtp", location: location)
        }
        let hasForeign =
            listener.explicitPort != nil || listener.family != nil || listener.encryption != .none
            || listener.expectsProxyHeader || listener.senders != nil || listener.hostnames != nil
            || !listener.proxiesFrom.isEmpty || !listener.clientClaimsFrom.isEmpty
            || !listener.forwardClaimsFrom.isEmpty
        guard !hasForeign else {
            throw Failure(
                message: "invalid listen option: "
                    + "a path has lmtp, filter, hostname, mask-src, no-dsn, priority and tag only",
                location: location)
        }
    }
}
