// SPDX-License-Identifier: ISC

import Host
import IPC
import Mail
import Message
import Posix
import Reactor

/// What became of mail, and what goes on now.
extension ControlProgram {
    func audit() async throws(Failure) {
        var records: [[ControlField]] = []
        _ = try await ask("queue", .queue(.audit)) { part in
            if case .record(let fields) = part { records.append(fields) }
        }
        guard let fields = records.first else { throw .refused("no account") }
        switch form {
        case .text: say(Rows.statisticsLines(fields))
        case .json: say(JSONText.object(fields) + "\n")
        }
        guard case .number(let missing)? = fields.first(where: { $0.name == "missing" })?.value, missing == 0 else {
            throw .refused("the account does not balance")
        }
    }

    func traceMessage(_ text: String) async throws(Failure) {
        var records: [[ControlField]] = []
        let count = try await ask("queue", .queue(.trace(text))) { part in
            if case .record(let fields) = part { records.append(fields) }
        }
        switch form {
        case .text: say(records.map(Self.line).joined())
        case .json: array(records)
        }
        if count == 0 || records.isEmpty { throw .refused("nothing is known of \(text)") }
    }

    private static func line(_ fields: [ControlField]) -> String {
        fields.map { field in
            switch field.value {
            case .number(let seconds) where field.name == "time":
                let time = Timestamp(seconds: seconds)
                let zone = SystemClock.zone(at: time)
                return "\(MailDate(time, offset: zone.offset, zone: zone.name))"
            case .number(let number): return "\(number)"
            case .text(let text): return text
            case .absent: return ""
            }
        }.joined(separator: "  ") + "\n"
    }

    /// Tells those who do it, and those who would follow them.
    func trace(_ subject: TraceSubject, _ detail: LogDetail) async throws(Failure) {
        guard let roles = subject.daemons else {
            _ = try await ask(Role.parent.name, .verbose(detail == .verbose))
            return say("command succeeded\n")
        }
        for role in roles {
            let names = role == .listener ? try listeners() : [role.name]
            for name in names { _ = try await ask(name, .verbose(detail == .verbose)) }
        }
        say("command succeeded\n")
    }

    // MARK: Each second

    private struct Column {
        let title: String
        let key: String
        var isAbsolute = false
    }

    // The columns of the reference.
    private static let columns = [
        Column(title: "curr", key: "smtp.session", isAbsolute: true), Column(title: "conn", key: "connected"),
        Column(title: "disc", key: "disconnected"),
        Column(title: "curr", key: "scheduler.envelope", isAbsolute: true),
        Column(title: "enq", key: "scheduler.envelope.incoming"), Column(title: "deq", key: "dequeued"),
        Column(title: "ok", key: "scheduler.delivery.ok"), Column(title: "tmpfail", key: "scheduler.delivery.tempfail"),
        Column(title: "prmfail", key: "scheduler.delivery.permfail"),
        Column(title: "loop", key: "scheduler.delivery.loop"),
        Column(title: "expire", key: "scheduler.envelope.expired"),
        Column(title: "remove", key: "scheduler.envelope.removed"), Column(title: "bounce", key: "bounce.message"),
    ]
    private static let linesPerHeader = 25

    /// Prints what happened, second by second, until it is interrupted or the server stops.
    func monitor() async throws(Failure) {
        var last = Self.numbers(try await statistics())
        var lines = 0
        while true {
            await Loop.pause(milliseconds: 1000)
            let now = Self.numbers(try await statistics())
            if lines % Self.linesPerHeader == 0 { say(Self.header) }
            lines += 1
            say(Self.row(now, last))
            last = now
        }
    }

    nonisolated static func numbers(_ fields: [ControlField]) -> [String: Int64] {
        var numbers: [String: Int64] = [:]
        for field in fields {
            if case .number(let number) = field.value { numbers[field.name] = number }
        }
        numbers["connected"] = ["inet4", "inet6", "local"].reduce(0) { $0 + (numbers["smtp.session.\($1)"] ?? 0) }
        numbers["disconnected"] = (numbers["connected"] ?? 0) - (numbers["smtp.session"] ?? 0)
        let gone = ["scheduler.delivery.ok", "scheduler.envelope.expired", "scheduler.envelope.removed"]
        numbers["dequeued"] = gone.reduce(0) { $0 + (numbers[$1] ?? 0) }
        return numbers
    }

    private static var header: String {
        "--- client ---  -- envelope --   ---- relay/delivery --- ------- misc -------\n"
            + columns.map { padded($0.title) }.joined() + "\n"
    }

    private static func row(_ now: [String: Int64], _ last: [String: Int64]) -> String {
        columns.map { column in
            let value = now[column.key] ?? 0
            return padded("\(column.isAbsolute ? value : value - (last[column.key] ?? 0))")
        }.joined() + "\n"
    }

    private static func padded(_ text: String) -> String {
        String(repeating: " ", count: max(0, 7 - text.utf8.count)) + text + " "
    }
}
