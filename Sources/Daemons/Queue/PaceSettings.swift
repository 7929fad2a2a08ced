// SPDX-License-Identifier: ISC

import Configuration
import Mail
import Schedule

extension MessagePace {
    /// The rates that the configuration sets: `mta limit`, with `for domain` and `for sender`.
    nonisolated init(_ configuration: ServerConfiguration) {
        self.init()
        domains[""] = Self.rates(configuration.relayLimits)
        for (domain, limits) in configuration.relayLimitsByDomain { domains[domain] = Self.rates(limits) }
        // Where nothing is limited nothing has to be counted.
        if domains.values.allSatisfy(\.isEmpty) { domains = [:] }
        for (sender, rates) in configuration.senderRates {
            limit(sender: sender == "*" ? "" : sender, to: Self.rates(rates.mailsPerMinute, rates.mailsPerHour))
        }
    }

    private nonisolated static func rates(_ limits: RelayLimits) -> [MessageRate] {
        rates(limits.mailsPerMinute, limits.mailsPerHour)
    }

    private nonisolated static func rates(_ perMinute: Int, _ perHour: Int) -> [MessageRate] {
        (perMinute > 0 ? [MessageRate(perMinute, per: .minutes(1))] : [])
            + (perHour > 0 ? [MessageRate(perHour, per: .hours(1))] : [])
    }
}
