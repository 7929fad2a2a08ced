// SPDX-License-Identifier: ISC

import IPC

/// What `explain` came to, as the program's exit status says it.
nonisolated enum ExplainStatus {
    static let accepted: Int32 = 0
    // sysexits(3): EX_UNAVAILABLE and EX_TEMPFAIL.
    static let rejected: Int32 = 69
    static let temporary: Int32 = 75

    static func status(of result: String) -> Int32 {
        switch result {
        case "accepted": accepted
        case "rejected": rejected
        default: temporary
        }
    }
}

extension ControlProgram {
    /// Lookup says how the recipient would fare, and Queue what it would do with what was accepted.
    func explain(_ recipient: HypotheticalRecipient) async throws(Failure) -> Int32 {
        var steps: [[ControlField]] = []
        _ = try await ask("lookup", .explain(recipient)) { part in
            if case .record(let fields) = part { steps.append(fields) }
        }
        let result = steps.popLast() ?? []
        var seen: Set<String> = []
        for step in steps {
            guard let action = step.text(of: "action"), seen.insert(action).inserted else { continue }
            var plan: [ControlField] = []
            _ = try await ask("queue", .showPlan(action: action, isRelay: step.text(of: "step") == "relay")) { part in
                if case .record(let fields) = part { plan = fields }
            }
            steps.append(Self.step(plan))
        }
        steps.append(result)
        switch form {
        case .text: say(steps.map(Rows.explanationLine).joined())
        case .json: array(steps)
        }
        return ExplainStatus.status(of: result.text(of: "text") ?? "")
    }

    private static func step(_ plan: [ControlField]) -> [ControlField] {
        let retries = plan.text(of: "retries") ?? ""
        let warnings = plan.text(of: "warnings") ?? ""
        return [
            ControlField(name: "step", value: .text("plan")), ControlField(name: "at", value: .absent),
            ControlField(
                name: "text",
                value: .text("action \(plan.text(of: "action") ?? ""): tried for \(plan.text(of: "lifetime") ?? "")")),
            ControlField(
                name: "finding",
                value: .text(
                    (retries.isEmpty ? "no second attempt" : "again after \(retries)")
                        + (warnings.isEmpty ? "" : "; the sender is told after \(warnings)"))),
        ]
    }
}

nonisolated extension [ControlField] {
    /// The text of the field `name`.
    func text(of name: String) -> String? {
        guard case .text(let text) = first(where: { $0.name == name })?.value else { return nil }
        return text
    }
}
