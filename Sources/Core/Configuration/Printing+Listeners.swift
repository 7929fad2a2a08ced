// SPDX-License-Identifier: ISC

import Mail

extension Printer {
    mutating func printListener(_ listener: ListenStatement) {
        switch listener.endpoint {
        case .socket: begin("listen", "on", "socket")
        case .interface(let name), .path(let name): begin("listen", "on", quoted(name))
        }
        addFamily(listener.family)
        if let port = listener.explicitPort {
            add("port")
            add("\(port)")
        }
        switch listener.encryption {
        case .none: break
        case .immediate(let certificate):
            add("smtps")
            addCertificate(certificate)
        case .offered: add("tls")
        case .required(let certificate):
            add("tls-require")
            addCertificate(certificate)
        }
        for name in listener.pki { add("pki", name) }
        add("ca", listener.ca)
        add("ciphers", listener.ciphers)
        add("protocols", listener.protocols)
        switch listener.authentication {
        case .none: break
        case .optional(let table):
            add("auth-optional")
            if let table { add(secretReference(table)) }
        case .required(let table):
            add("auth")
            if let table { add(secretReference(table)) }
        }
        add("hostname", listener.hostname)
        add("hostnames", listener.hostnames)
        if let senders = listener.senders {
            add("senders", senders.table)
            if senders.treatment == .masquerade { add("masquerade") }
        }
        add("tag", listener.tag)
        add("filter", listener.filter)
        if listener.masksSource { add("mask-src") }
        if listener.showsAuthentication { add("received-auth") }
        if listener.speaksLMTP { add("lmtp") }
        if listener.expectsProxyHeader { add("proxy-v2") }
        add("proxy-from", networks: listener.proxiesFrom)
        add("xclient-from", networks: listener.clientClaimsFrom)
        add("xforward-from", networks: listener.forwardClaimsFrom)
        if !listener.offersDeliveryNotices { add("no-dsn") }
        if listener.takesPriority { add("priority") }
        endLine()
    }

    private mutating func add(_ word: String, networks: [NetworkPattern]) {
        guard !networks.isEmpty else { return }
        add(word)
        add("{ \(networks.map { quoted($0.text) }.joined(separator: ", ")) }")
    }

    private mutating func addCertificate(_ certificate: ListenStatement.ClientCertificate) {
        if certificate == .required { add("verify") }
    }

    mutating func printProcess(_ process: ProcessDefinition) {
        begin("proc", quoted(process.name), quoted(process.command))
        addOptions(process)
        endLine()
    }

    private mutating func addOptions(_ process: ProcessDefinition) {
        add("user", process.user)
        add("group", process.group)
        add("chroot", process.chroot)
    }

    mutating func printFilter(_ filter: FilterDefinition) {
        begin("filter", quoted(filter.name))
        switch filter.kind {
        case .process(let name): add("proc", name)
        case .command(let process):
            add("proc-exec", process.command)
            addOptions(process)
        case .chain(let names): add("chain { \(names.map(quoted).joined(separator: ", ")) }")
        case .rule(let rule):
            add("phase")
            add(rule.phase.rawValue)
            add("match")
            addSense(rule.condition.sense)
            addCondition(rule.condition.test)
            addDecision(rule.decision)
        }
        endLine()
    }

    private mutating func addCondition(_ condition: FilterDefinition.Condition) {
        switch condition {
        case .confirmedReverseName: add("fcrdns")
        case .reverseName(nil): add("rdns")
        case .reverseName(let pattern?): addPattern("rdns", pattern)
        case .source(let pattern): addPattern("src", pattern)
        case .helo(let pattern): addPattern("helo", pattern)
        case .authentication(nil): add("auth")
        case .authentication(let pattern?): addPattern("auth", pattern)
        case .sender(let pattern): addPattern("mail-from", pattern)
        case .recipient(let pattern): addPattern("rcpt-to", pattern)
        }
    }

    private mutating func addDecision(_ decision: FilterDefinition.Decision) {
        switch decision {
        case .reject(let text): add("reject", text)
        case .disconnect(let text): add("disconnect", text)
        case .rewrite(let text): add("rewrite", text)
        case .report(let text): add("report", text)
        case .junk: add("junk")
        case .bypass: add("bypass")
        }
    }
}
