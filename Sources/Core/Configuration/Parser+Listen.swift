// SPDX-License-Identifier: ISC

import Bytes
import Mail

extension Parser {
    // Names of ports that a system's services file would give.
    private static let ports: [String: UInt16] = [
        "smtp": 25, "mail": 25, "smtps": 465, "submissions": 465, "submission": 587, "lmtp": 24,
    ]

    // listen = "listen" "on" ( "socket" { sockopt } | IFACE { ifopt } )
    mutating func parseListen(_ location: SourceLocation) throws(Failure) {
        try expect(.on)
        let place = peek().location
        var known: [Keyword] = [.filter, .maskSrc, .noDsn, .tag]
        var listener: ListenStatement
        if take(.socket) {
            guard !configuration.listeners.contains(where: { $0.endpoint == .socket }) else {
                throw Failure(message: "socket listener already configured", location: place)
            }
            listener = ListenStatement(.socket, location: location)
        } else {
            let name = try string("socket, an interface or an address")
            listener = ListenStatement(.interface(name.text), location: location)
            known += [
                .inet4, .inet6, .port, .smtps, .tls, .tlsRequire, .ciphers, .protocols, .pki, .ca, .auth,
                .authOptional, .hostname, .hostnames, .receivedAuth, .proxyV2, .senders,
            ]
        }
        var given: Set<String> = []
        while case .keyword(let keyword) = peek().kind, known.contains(keyword) {
            let token = take()
            try once(keyword, &given, token)
            try parseListenOption(keyword, token.location, &listener)
        }
        guard peek().kind == .newline else { throw unexpected("an option or end of line") }
        try check(listener, location)
        configuration.listeners.append(listener)
    }

    /// Some options share a place that only one of them may take.
    private func once(_ keyword: Keyword, _ given: inout Set<String>, _ token: Token) throws(Failure) {
        let place: String
        switch keyword {
        case .pki: return  // may be repeated
        case .inet4, .inet6: place = "address family"
        case .tls, .smtps, .tlsRequire: place = "TLS mode"
        case .auth, .authOptional: place = "auth"
        default: place = keyword.rawValue
        }
        guard given.insert(place).inserted else {
            throw Failure(message: "\(place) already specified", location: token.location)
        }
    }

    private mutating func parseListenOption(
        _ keyword: Keyword, _ location: SourceLocation, _ listener: inout ListenStatement
    ) throws(Failure) {
        switch keyword {
        case .filter:
            use(.listenFilter, at: location)
            listener.filter = try filterReference()
        case .maskSrc: listener.masksSource = true
        case .noDsn: listener.offersDeliveryNotices = false
        case .tag:
            let tag = try string("a tag")
            guard tag.text.utf8.count <= ListenStatement.longestTag else {
                throw Failure(message: "tag name too long", location: tag.location)
            }
            listener.tag = tag.text
        case .inet4: listener.family = .v4
        case .inet6: listener.family = .v6
        case .port: listener.explicitPort = try port()
        case .hostname: listener.hostname = try string("a host name").text
        case .hostnames:
            use(.listenHostnames, at: location)
            listener.hostnames = try table(for: .hostnames)
        case .receivedAuth:
            use(.listenReceivedAuthentication, at: location)
            listener.showsAuthentication = true
        case .proxyV2:
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
        default: try parseEncryptionOption(keyword, location, &listener)
        }
    }

    // "smtps" ["verify"] | "tls" | "tls-require" ["verify"] | "ciphers" STR | "protocols" STR | "pki" STR | "ca" STR
    private mutating func parseEncryptionOption(
        _ keyword: Keyword, _ location: SourceLocation, _ listener: inout ListenStatement
    ) throws(Failure) {
        switch keyword {
        case .smtps:
            use(.listenSMTPS, at: location)
            listener.encryption = .immediate(clientCertificate())
        case .tls:
            use(.listenTLS, at: location)
            listener.encryption = .offered
        case .tlsRequire:
            use(.listenTLSRequire, at: location)
            listener.encryption = .required(clientCertificate())
        case .ciphers:
            use(.listenCiphers, at: location)
            listener.ciphers = try string("a list of ciphers").text
        case .protocols:
            use(.listenProtocols, at: location)
            listener.protocols = try string("a list of protocols").text
        case .pki:
            use(.listenPKI, at: location)
            let name = try keyReference()
            guard listener.pki.count < ListenStatement.mostCertificates else {
                throw Failure(message: "too many pki specified", location: name.location)
            }
            try checkPKI(name)
            listener.pki.append(name.text)
        default:
            use(.listenCA, at: location)
            let name = try keyReference()
            try checkCA(name)
            listener.ca = name.text
        }
    }

    private mutating func clientCertificate() -> ListenStatement.ClientCertificate {
        let location = peek().location
        guard take(.verify) else { return .ignored }
        use(.listenVerify, at: location)
        return .required
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
}
