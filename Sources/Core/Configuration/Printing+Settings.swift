// SPDX-License-Identifier: ISC

import Bytes
import Mail

extension Printer {
    /// Only what differs from the defaults.
    mutating func printSettings(_ configuration: ServerConfiguration, _ kinds: StatementKinds) {
        let defaults = ServerConfiguration()
        if kinds.contains(.administrator), let administrator = configuration.administrator {
            line("admd", quoted(administrator))
        }
        if kinds.contains(.srs) { printSRS(configuration.srs) }
        if kinds.contains(.smtp) { printSMTP(configuration.smtp) }
        if kinds.contains(.queue) { printQueue(configuration, defaults) }
        if kinds.contains(.bounce), configuration.bounceWarnings != defaults.bounceWarnings {
            line("bounce", "warn-interval", configuration.bounceWarnings.map(delay).joined(separator: ", "))
        }
        if kinds.contains(.scheduler) { printLimits(configuration.schedulerLimits, "scheduler", "limit") }
        if kinds.contains(.localLimits) { printLimits(configuration.localLimits, "mda", "limit") }
        if kinds.contains(.relayLimits) {
            if configuration.deferredPerDomain != defaults.deferredPerDomain {
                line("mta", "max-deferred", "\(configuration.deferredPerDomain)")
            }
            // Those of a domain start from the defaults of their line: they stand before these change.
            for (domain, limits) in configuration.relayLimitsByDomain.sorted(by: { $0.key < $1.key }) {
                begin("mta", "limit", "for", "domain", quoted(domain))
                addFamily(limits.family)
                addLimits(limits)
                endLine()
            }
            if configuration.relayLimits != defaults.relayLimits {
                begin("mta", "limit")
                addFamily(configuration.relayLimits.family)
                addLimits(configuration.relayLimits)
                endLine()
            }
            for (sender, rates) in configuration.senderRates.sorted(by: { $0.key < $1.key }) {
                begin("mta", "limit", "for", "sender", quoted(sender))
                addLimits(rates)
                endLine()
            }
        }
    }

    private mutating func printQueue(_ configuration: ServerConfiguration, _ defaults: ServerConfiguration) {
        if configuration.queueLifetime != defaults.queueLifetime {
            line("queue", "ttl", delay(configuration.queueLifetime))
        }
        switch configuration.queueCompression {
        case .none: break
        case .gzip: line("queue", "compression")
        }
        switch configuration.queueEncryption {
        case .none: break
        case .askedKey: line("queue", "encryption")
        case .standardInput: line("queue", "encryption", "stdin")
        case .key(let key): line("queue", "encryption", quoted(key))
        }
        for key in configuration.queueOldKeys { line("queue", "encryption", "backup", quoted(key)) }
        if configuration.queueReserve != defaults.queueReserve {
            line("queue", "reserve", "\(configuration.queueReserve.value)")
        }
    }

    private mutating func printSMTP(_ smtp: SMTPSettings) {
        let defaults = SMTPSettings()
        printLimits(smtp, "smtp", "limit")
        if let ciphers = smtp.ciphers { line("smtp", "ciphers", quoted(ciphers)) }
        if smtp.largestMessage != defaults.largestMessage {
            line("smtp", "max-message-size", "\(smtp.largestMessage.value)")
        }
        if smtp.delimiters != defaults.delimiters {
            line("smtp", "sub-addr-delim", quoted(smtp.delimiters.text))
        }
    }

    private mutating func printSRS(_ srs: SRSSettings) {
        if let key = srs.key { line("srs", "key", quoted(key)) }
        if let key = srs.backupKey { line("srs", "key", "backup", quoted(key)) }
        if srs.days != SRSSettings.defaultDays { line("srs", "ttl", "\(srs.days)d") }
    }

    private mutating func printLimits<Limits: NamedLimits>(_ limits: Limits, _ kind: String, _ word: String) {
        guard Limits.Name.allCases.contains(where: limits.isSaid) else { return }
        begin(kind, word)
        addLimits(limits)
        endLine()
    }

    private mutating func addLimits<Limits: NamedLimits>(_ limits: Limits) {
        for name in Limits.Name.allCases where limits.isSaid(name) {
            add(name.rawValue)
            add("\(limits[name])")
        }
    }

    mutating func addFamily(_ family: IPAddress.Family?) {
        switch family {
        case .v4: add("inet4")
        case .v6: add("inet6")
        case nil: break
        }
    }
}
