// SPDX-License-Identifier: ISC

import IPC
import Mail

/// What the shows of outgoing mail print, as the reference prints it where it has the same.
nonisolated enum DeliveryRows {
    static func line(_ fields: [ControlField], _ view: DeliveryView) -> String {
        let text = { (name: String) in Rows.shown(value(name, in: fields)) }
        let time = { (name: String) in duration(value(name, in: fields)) }
        let count = { (name: String) in "\(name)=\(text(name))" }
        switch view {
        case .hosts:
            return "\(text("address")) \(text("name")) \(count("refcount")) \(count("nconn")) "
                + "lastconn=\(time("lastconn"))\n"
        case .routes:
            return "\(text("id")). \(text("source")) <-> \(text("address")) (\(text("name"))) \(text("flags")) "
                + "\(count("nconn")) \(count("nerror")) \(count("penalty")) timeout=\(time("timeout"))\n"
        case .relays where fields.first?.name == "connector":
            return "  connector \(text("connector")) \(count("refcount")) \(count("nconn")) \(count("flags"))\n"
        case .relays:
            return "\(text("relay")) \(count("refcount")) \(count("ntask")) \(count("nconn")) "
                + "lastconn=\(time("lastconn")) timeout=\(time("timeout")) wait=\(text("wait"))\n"
        case .hostStatistics:
            return "\(text("domain"))|\(text("time"))|\(text("status"))\n"
        case .destinations:
            let name = text("domain") == "" ? text("action") : "\(text("domain")) (\(text("action")))"
            return "\(name) \(count("recipients")) \(count("inflight")) \(count("window")) "
                + "\(count("connections")) \(count("concurrency")) next=\(text("next") == "" ? "-" : text("next"))\n"
                + (text("state") == "" ? "" : "  state: \(text("state"))\n")
                + (text("last") == "" ? "" : "  last: \(text("last"))\n")
        }
    }

    /// What Queue and the relay know of each destination, together. Where an action names the hosts, the domains that go
    /// by it share what the relay knows.
    static func joined(queued: [[ControlField]], relayed: [[ControlField]]) -> [[ControlField]] {
        struct Key: Hashable {
            let action: ControlValue
            let domain: ControlValue
        }
        func key(_ fields: [ControlField]) -> Key {
            Key(action: value("action", in: fields), domain: value("domain", in: fields))
        }
        var known: [Key: [ControlField]] = [:]
        for fields in relayed { known[key(fields)] = fields }
        var used: Set<Key> = []
        var rows = queued.map { fields -> [ControlField] in
            let own = key(fields)
            let shared = Key(action: own.action, domain: .text(""))
            let place = known[own] != nil ? own : shared
            used.insert(place)
            return fields + (known[place] ?? []).filter { $0.name != "action" && $0.name != "domain" }
        }
        // Connections that are kept though nothing waits.
        rows += relayed.filter { !used.contains(key($0)) }.map { fields in
            fields + ["recipients", "inflight"].map { ControlField(name: $0, value: .number(0)) }
        }
        return rows
    }

    private static func value(_ name: String, in fields: [ControlField]) -> ControlValue {
        fields.first { $0.name == name }?.value ?? .absent
    }

    private static func duration(_ value: ControlValue) -> String {
        switch value {
        case .number(let seconds): "\(Interval(seconds: seconds))"
        case .text, .absent: "-"
        }
    }
}
