// SPDX-License-Identifier: ISC

import Bytes
import Configuration
import IPC
import Mail
import Routing

/// The steps of an explanation as records: `step`, where the statement stands that it is about, and what was found.
nonisolated struct ExplanationSteps {
    // More of them in a row that were not tried are only counted.
    private static let mostLeftOut = 16

    private let configuration: ServerConfiguration
    private let expansion: Expansion

    init(_ configuration: ServerConfiguration, _ expansion: Expansion) {
        self.configuration = configuration
        self.expansion = expansion
    }

    func row(of listener: ListenStatement) -> [ControlField] {
        row("listen", listener.location, configuration.text(of: listener), nil)
    }

    func row(of origin: Origin, isSecure: Bool) -> [ControlField] {
        let client = origin.address.map { "\($0.hostText) (\(origin.hostName))" } ?? "a program of this host"
        let parts = [
            "client \(client)", "helo \(origin.greeting)", origin.tag.map { "tag \($0)" },
            origin.user.map { "user \($0)" }, isSecure ? "under TLS" : nil,
        ]
        return row("session", nil, parts.compactMap(\.self).joined(separator: ", "), nil)
    }

    /// Whether a user may use a sender, as the table of `senders` says.
    func row(
        of table: TableReference, _ user: String, _ sender: ReversePath, _ answer: LookupToListener
    ) -> [ControlField] {
        let finding =
            if case .permitted = answer { "may" } else if case .refused(let reply) = answer, reply.code >= 500 {
                "may not"
            } else { "could not be asked" }
        return row(
            "senders", location(of: table), "\(table) \(TableService.senders.rawValue) \(user)",
            "<\(sender)> \(finding)")
    }

    // MARK: Events

    func rows(of events: [ExpansionEvent], omitted: Int) -> [[ControlField]] {
        var rows: [[ControlField]] = []
        for event in events {
            switch event {
            case .address(let mailbox, let isInternal):
                rows.append(row("address", nil, "<\(mailbox)>", isInternal ? "arose on this host" : nil))
            case .rule(let number, let unmet):
                rows.append(rule(number, unmet.map(Self.text(ofUnmet:)) ?? "holds"))
            case .leftOut(let numbers):
                rows += leftOut(numbers)
            case .decision(let decision):
                rows += self.rows(of: decision)
            case .table(let table, let key, let service, let finding):
                rows.append(self.table(table, key, service, finding))
            case .user(let name, let lookup):
                rows.append(user(name, lookup))
            case .forward(let user, let finding):
                rows.append(row("forward", nil, "\(user.home)/.forward of \(user.name)", Self.text(of: finding)))
            case .include(let path, let finding):
                rows.append(row("include", nil, path, Self.text(of: finding)))
            case .rewritten(let mailbox, let original):
                rows.append(
                    row("srs", nil, "<\(mailbox)>", original.map { "stands for <\($0)>" } ?? "none of ours, or too old")
                )
            }
        }
        if omitted > 0 { rows.append(row("and", nil, "\(omitted) more steps", nil)) }
        return rows
    }

    private func rule(_ number: Int, _ finding: String) -> [ControlField] {
        let rule = configuration.rules[number]
        return row("match", rule.location, configuration.text(of: rule), finding)
    }

    private func leftOut(_ numbers: Range<Int>) -> [[ControlField]] {
        guard numbers.count > Self.mostLeftOut else {
            return numbers.map {
                rule($0, expansion.criterion(ofLeftOut: $0).map(Self.text(ofUnmet:)) ?? "cannot hold")
            }
        }
        let first = configuration.rules[numbers.lowerBound]
        return [row("match", first.location, "\(numbers.count) statements from here", "cannot hold")]
    }

    private static func text(ofUnmet criterion: RuleCriterion) -> String { "not met: \(criterion.rawValue)" }

    private func rows(of decision: Ruleset.Decision) -> [[ControlField]] {
        switch decision {
        case .action(let name, rule: _):
            guard let action = configuration.action(named: name) else { return [] }
            return [row("action", action.location, configuration.text(of: action), nil)]
        case .reject(let rule):
            return [row("reject", configuration.rules[rule].location, "by this statement", nil)]
        case .noMatch:
            return [row("reject", nil, "no match statement holds", nil)]
        case .temporaryFailure:
            return [row("tempfail", nil, "a table could not be asked", nil)]
        }
    }

    private func table(
        _ table: TableReference, _ key: String, _ service: TableService, _ finding: ExpansionEvent.TableFinding
    ) -> [ControlField] {
        let result =
            switch finding {
            case .present: "found"
            case .value(let value): "found \(value)"
            case .absent: "not found"
            case .failed: "could not be asked"
            }
        return row("table", location(of: table), "\(table) \(service.rawValue) \(key)", result)
    }

    private func location(of table: TableReference) -> SourceLocation? {
        switch table {
        case .builtIn: nil
        case .named(let name): configuration.table(named: name)?.location
        }
    }

    private func user(_ name: String, _ lookup: UserLookup) -> [ControlField] {
        let result =
            switch lookup {
            case .found(let user): "uid \(user.uid), home \(user.home)"
            case .absent: "not found"
            case .failed: "could not be asked"
            }
        return row("user", nil, name, result)
    }

    private static func text(of finding: ExpansionEvent.FileFinding) -> String {
        switch finding {
        case .absent: "not there"
        case .read(let count): "\(count) bytes"
        case .insecure: "cannot be trusted"
        case .failed: "could not be read"
        }
    }

    // MARK: Outcome

    func rows(of outcome: Expansion.Outcome) -> [[ControlField]] {
        switch outcome {
        case .accepted(let envelopes):
            return envelopes.map(row) + [result("accepted", "\(envelopes.count)")]
        case .refused(let reply):
            return [result(reply.code < 500 ? "temporary" : "rejected", "\(reply)")]
        }
    }

    private func result(_ result: String, _ detail: String) -> [ControlField] {
        [
            ControlField(name: "step", value: .text("result")), ControlField(name: "at", value: .absent),
            ControlField(name: "text", value: .text(result)), ControlField(name: "finding", value: .text(detail)),
        ]
    }

    private func row(_ envelope: Envelope) -> [ControlField] {
        let location = configuration.action(named: envelope.dispatch.action)?.location
        switch envelope.dispatch {
        case .relay(let action):
            return row("relay", location, "<\(envelope.destination)>", nil, action: action)
        case .local(let action, let user, let subaddress, let form):
            let how =
                switch form {
                case .action: subaddress.map { "with the tag \($0)" }
                case .forward(let line): "as item \(line + 1) of ~/.forward says"
                case .alias(let item): item
                }
            return row("deliver", location, "<\(envelope.destination)> to \(user)", how, action: action)
        }
    }

    private func row(
        _ step: String, _ location: SourceLocation?, _ text: String, _ finding: String?, action: String? = nil
    ) -> [ControlField] {
        var fields = [
            ControlField(name: "step", value: .text(step)),
            ControlField(name: "at", value: location.map { .text("\($0)") } ?? .absent),
            ControlField(name: "text", value: .text(text)),
            ControlField(name: "finding", value: finding.map { .text($0) } ?? .absent),
        ]
        if let action { fields.append(ControlField(name: "action", value: .text(action))) }
        return fields
    }
}
