// SPDX-License-Identifier: ISC

import Bytes

extension Parser {
    // action = "action" STR ( local | relay ) [ "ttl" DELAY ]
    mutating func parseAction(_ location: SourceLocation) throws(Failure) {
        let name = try string("an action's name")
        guard configuration.action(named: name.text) == nil else {
            throw Failure(
                message: "dispatcher already declared with that name: \(name.text)", location: name.location)
        }
        let kind: ActionDefinition.Kind =
            if take(.relay) { .relay(try relayOptions()) } else { .local(try localOptions(try method())) }
        var action = ActionDefinition(name: name.text, kind: kind, location: location)
        if take(.ttl) { action.lifetime = try delay("ttl") }
        configuration.actions.append(action)
    }

    // method = "mbox" | "maildir" [ STR ] [ "junk" ] | "lmtp" STR [ "rcpt-to" ] | "mda" STR
    //        | "forward-only" | "expand-only"
    private mutating func method() throws(Failure) -> LocalAction.Method {
        if take(.mbox) { return .mbox }
        if take(.forwardOnly) { return .forwardOnly }
        if take(.expandOnly) { return .expandOnly }
        if take(.maildir) {
            let path = takeString()
            if let path { try checkTemplate(path, for: .path) }
            return .maildir(path: path?.text, take(.junk) ? .used : .unused)
        }
        if take(.lmtp) {
            let destination = try string("a host and port or a socket's path")
            do throws(LMTPDestination.SyntaxError) {
                _ = try LMTPDestination(destination.text)
            } catch {
                throw Failure(message: "\(error)", location: destination.location)
            }
            return .lmtp(destination: destination.text, take(.rcptTo) ? .address : .user)
        }
        if take(.mda) {
            let command = try string("a command")
            try checkTemplate(command, for: .command)
            return .command(command.text)
        }
        throw unexpected("relay or a way of delivery")
    }

    private enum LocalOption: String {
        case user, alias, virtual, userbase, wrapper
    }

    // localopt = "user" STR | "alias" tables | "virtual" tables | "userbase" tables | "wrapper" STR
    private mutating func localOptions(_ method: LocalAction.Method) throws(Failure) -> LocalAction {
        var local = LocalAction(method)
        var given: Set<LocalOption> = []
        while let option = try takeOption(&given) {
            switch option.name {
            case .user:
                switch method {
                case .mbox, .forwardOnly, .expandOnly:
                    throw Failure(message: "user may not be specified for this dispatcher", location: option.location)
                case .maildir, .lmtp, .command:
                    local.user = try string("a user").text
                }
            case .alias:
                guard local.expansion == .none else { throw exclusive("alias", "virtual", option.location) }
                local.expansion = .aliases(try table(for: .alias))
            case .virtual:
                guard local.expansion == .none else { throw exclusive("virtual", "alias", option.location) }
                local.expansion = .virtual(try table(for: .virtual))
            case .userbase:
                local.userbase = try table(for: .userbase)
            case .wrapper:
                switch method {
                case .command: break
                case .mbox, .maildir, .lmtp, .forwardOnly, .expandOnly: use(.wrappedMailbox, at: option.location)
                }
                let name = try string("a wrapper's name")
                guard
                    options.completeness == .partial || configuration.wrappers.contains(where: { $0.name == name.text })
                else { throw Failure(message: "no mda wrapper with that name: \(name.text)", location: name.location) }
                local.wrapper = name.text
            }
        }
        return local
    }

    private enum RelayOption: String {
        case helo, pki, ca, ciphers, protocols, src, backup, host, domain, tls, auth, srs, filter
        case heloSource = "helo-src"
        case mailFrom = "mail-from"
    }

    // relay = "relay" { relayopt }
    private mutating func relayOptions() throws(Failure) -> RelayAction {
        var relay = RelayAction()
        var given: Set<RelayOption> = []
        while let option = try takeOption(&given) { try parseOption(option.name, option.location, &relay) }
        return relay
    }

    private mutating func parseOption(
        _ option: RelayOption, _ location: SourceLocation, _ relay: inout RelayAction
    ) throws(Failure) {
        switch option {
        case .helo: relay.helo = try string("a host name").text
        case .heloSource:
            use(.relayHeloSource, at: location)
            relay.heloSource = try table(for: .heloSource)
        case .pki:
            relay.pki = try keyReference().text
        case .ca:
            relay.ca = try keyReference().text
        case .ciphers:
            relay.ciphers = try string("a list of ciphers").text
        case .protocols:
            relay.protocols = try protocols()
        case .src:
            use(.relaySource, at: location)
            relay.source = try table(for: .source)
        case .mailFrom: relay.mailFrom = try string("an address").text
        case .tls:
            relay.encryption = take(.noVerify) ? .requiredUnverified : .required
        case .srs:
            guard options.completeness == .partial || configuration.srs.key != nil else {
                throw Failure(
                    message: "an srs key is required for srs to be specified in an action", location: location)
            }
            relay.senderRewriting = .srs
        case .filter:
            use(.relayFilter, at: location)
            relay.filter = try filterReference()
        case .backup:
            use(.relayBackup, at: location)
            try checkDestination("backup", relay, location)
            relay.destination = .backup(exchanger: take(.mx) ? try string("a host name").text : nil)
        case .host:
            try checkDestination("host", relay, location)
            let tableLocation = peek().location
            let reference = try table(for: .host)
            let hosts = list(of: reference)
            if hosts == nil { use(.relayHostTable, at: tableLocation) }
            try checkHosts(hosts ?? [], tableLocation)
            relay.destination = .host(reference)
        case .domain:
            use(.relayDomain, at: location)
            try checkDestination("domain", relay, location)
            relay.destination = .domain(try table(for: .domain))
        case .auth:
            use(.relayAuthentication, at: location)
            switch relay.destination {
            case .host, .domain: relay.credentials = try table(for: .credentials)
            case .mailExchangers, .backup:
                throw Failure(message: "auth may not be specified without host or domain", location: location)
            }
        }
    }

    private func checkDestination(
        _ name: String, _ relay: RelayAction, _ location: SourceLocation
    ) throws(Failure) {
        switch relay.destination {
        case .mailExchangers: break
        case .backup: throw exclusive(name, "backup", location)
        case .host: throw exclusive(name, "host", location)
        case .domain: throw exclusive(name, "domain", location)
        }
    }

    private mutating func checkHosts(_ hosts: [String], _ location: SourceLocation) throws(Failure) {
        for text in hosts {
            guard let url = RelayURL(text) else {
                throw Failure(message: "invalid relay host: \(VisibleText(text))", location: location)
            }
            if url.label != nil { use(.relayLabel, at: location) }
        }
    }

    private func exclusive(_ name: String, _ other: String, _ location: SourceLocation) -> Failure {
        Failure(message: "\(name) may not be specified together with \(other)", location: location)
    }

    /// The next option, which may be given once; nil at the end of the line, or before the ttl of the action.
    private mutating func takeOption<Option: RawRepresentable<String> & Hashable>(
        _ given: inout Set<Option>
    ) throws(Failure) -> (name: Option, location: SourceLocation)? {
        let token = peek()
        guard let option = next(as: Option.self) else {
            switch token.kind {
            case .newline, .keyword(.ttl): return nil
            case .string, .keyword, .number, .punctuation, .arrow, .endOfFile, .failure:
                throw unexpected("an option or end of line")
            }
        }
        guard given.insert(option).inserted else {
            throw Failure(
                message: "\(option.rawValue) already specified for this dispatcher", location: token.location)
        }
        return (option, take().location)
    }

    /// A text with `%{...}` in it, which must be right at the start and not only when mail comes.
    func checkTemplate(_ text: Word, for use: FormatTemplate.Use) throws(Failure) {
        guard try !template(text, for: use).tokens.contains(.command) else {
            throw Failure(message: "the format specifier mda stands for nothing here", location: text.location)
        }
    }

    func template(_ text: Word, for use: FormatTemplate.Use) throws(Failure) -> FormatTemplate {
        do throws(FormatTemplate.SyntaxError) {
            return try FormatTemplate(text.text, for: use)
        } catch {
            throw Failure(message: "\(error)", location: text.location)
        }
    }
}
