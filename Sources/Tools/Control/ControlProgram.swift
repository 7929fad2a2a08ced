// SPDX-License-Identifier: ISC

import Host
import IPC
import Mail

/// Carries out one command of martletctl. What was asked for goes to standard output, sentences about failures to
/// standard error.
final class ControlProgram {
    /// Why a command came to nothing.
    enum Failure: Error, Hashable {
        case notRunning
        case needsRoot
        case refused(String)

        var text: String {
            switch self {
            case .notRunning: "smtpd doesn't seem to be running"
            case .needsRoot: "need root privileges"
            case .refused(let reason): "command failed: \(reason)"
            }
        }
    }

    // As many as Parent ever starts, and more.
    private static let mostListeners = 64
    // Of a daemon that is being replaced no counters are waited for.
    private static let statisticsPatience: UInt64 = 2_000
    private static let mostShownBytes = 128 << 20

    private let places: Places
    private let form: ControlInvocation.Form
    private let write: ([UInt8]) -> Void
    private let complain: (String) -> Void

    init(
        _ places: Places, _ form: ControlInvocation.Form, write: @escaping ([UInt8]) -> Void,
        complain: @escaping (String) -> Void
    ) {
        self.places = places
        self.form = form
        self.write = write
        self.complain = complain
    }

    func run(_ command: ControlCommand) async throws(Failure) {
        switch command {
        case .showStatus: try await showStatus()
        case .showQueue(let message): try await showQueue(message)
        case .showEnvelope(let id): try await showEnvelope(id)
        case .showMessage(let id): try await showMessage(id)
        case .showStatistics: try await showStatistics()
        case .envelopes(let action, let selector):
            let count = try await ask("queue", action.request(selector))
            say(Rows.sentence(count, action))
        case .pause(.smtp): try await tellListeners(.pause(.smtp))
        case .resume(.smtp): try await tellListeners(.resume(.smtp))
        case .pause(let service): try await tell("queue", .pause(service))
        case .resume(let service): try await tell("queue", .resume(service))
        case .log(let detail): try await tell("parent", .verbose(detail == .verbose))
        case .stop: try await tell("parent", .stop)
        case .reload: try await tell("parent", .reload)
        }
    }

    // MARK: Orders

    private func tell(_ daemon: String, _ request: ControlRequest) async throws(Failure) {
        _ = try await ask(daemon, request)
        say("command succeeded\n")
    }

    /// One answer for all: it succeeded when some listener did it, and failed when none did.
    private func tellListeners(_ request: ControlRequest) async throws(Failure) {
        var refusal: String?
        var successes = 0
        for name in try listeners() {
            do {
                _ = try await ask(name, request)
                successes += 1
            } catch {
                guard case .refused(let reason) = error else { throw error }
                refusal = reason
            }
        }
        if successes == 0 { throw .refused(refusal ?? "no listener") }
        say("command succeeded\n")
    }

    /// The names of the sockets of all listeners.
    private func listeners() throws(Failure) -> [String] {
        var names: [String] = []
        for number in 0..<Self.mostListeners {
            let name = number == 0 ? Role.listener.name : "\(Role.listener.name).\(number)"
            do {
                try DaemonLink(name, in: places).close()
                names.append(name)
            } catch {
                switch error {
                case .absent:
                    if names.isEmpty { throw .notRunning }
                    return names
                case .forbidden: throw .needsRoot
                case .timedOut, .broken: names.append(name)
                }
            }
        }
        return names
    }

    // MARK: Shows

    private func showStatus() async throws(Failure) {
        var services: [ControlField] = []
        _ = try await ask("queue", .showStatus) { part in
            if case .record(let fields) = part { services += fields }
        }
        var listening: [ControlField] = []
        for name in try listeners() {
            _ = try await ask(name, .showStatus) { part in
                guard case .record(let fields) = part else { return }
                // All listeners are told together; one that was replaced meanwhile may differ.
                for field in fields {
                    if let place = listening.firstIndex(where: { $0.name == field.name }) {
                        if field.value == .text("running") { listening[place].value = field.value }
                    } else {
                        listening.append(field)
                    }
                }
            }
        }
        services += listening
        switch form {
        case .text: say(Rows.statusLines(services))
        case .json:
            array(
                services.map {
                    [
                        ControlField(name: "service", value: .text($0.name)),
                        ControlField(name: "state", value: $0.value),
                    ]
                })
        }
    }

    private func showQueue(_ message: MessageID?) async throws(Failure) {
        let link = try open("queue")
        let selector = message.map(QueueSelector.message) ?? .all
        var last: EnvelopeID?
        var isFirst = true
        if form == .json { say("[") }
        while true {
            var page: [[ControlField]] = []
            let ending = try await ask(link, .showQueue(selector, after: last)) { part in
                if case .record(let fields) = part { page.append(fields) }
            }
            var output: [UInt8] = []
            for fields in page {
                switch form {
                case .text: output += Rows.queueLine(fields).utf8
                case .json:
                    output += ((isFirst ? "" : ",") + "\n  " + JSONText.object(fields)).utf8
                }
                isFirst = false
            }
            write(output)
            guard ending == .more, let next = page.last.flatMap(Self.envelope), last.map({ $0 < next }) ?? true else {
                break
            }
            last = next
        }
        if form == .json { say(isFirst ? "]\n" : "\n]\n") }
    }

    private static func envelope(_ fields: [ControlField]) -> EnvelopeID? {
        guard case .text(let text) = fields.first(where: { $0.name == "evpid" })?.value else { return nil }
        return EnvelopeID(text)
    }

    private func showEnvelope(_ id: EnvelopeID) async throws(Failure) {
        var records: [[ControlField]] = []
        _ = try await ask("queue", .showEnvelope(id)) { part in
            if case .record(let fields) = part { records.append(fields) }
        }
        switch form {
        case .text: say(records.map(Rows.envelopeLines).joined())
        case .json: array(records)
        }
    }

    private func showMessage(_ id: MessageID) async throws(Failure) {
        var content: [UInt8] = []
        _ = try await ask("queue", .showMessage(id)) { part in
            guard case .bytes(let bytes) = part, content.count < Self.mostShownBytes else { return }
            content += bytes
        }
        let lines = Rows.localLines(content)
        switch form {
        case .text: write(lines)
        case .json: write(Array("{\"message\": ".utf8) + JSONText.string(bytes: lines) + Array("}\n".utf8))
        }
    }

    private func showStatistics() async throws(Failure) {
        var uptime: Int64?
        let parent = try open(Role.parent.name)
        _ = try await ask(parent, .showStatus) { part in
            guard case .record(let fields) = part, uptime == nil else { return }
            // Parent's own row is the first.
            if case .number(let seconds) = fields.first(where: { $0.name == "uptime" })?.value { uptime = seconds }
        }
        var counters: [[ControlField]] = []
        let names = Topology.daemons.filter { $0 != .listener }.map(\.name)
        for name in try names + listeners() {
            var found: [ControlField] = []
            do {
                let link = try DaemonLink(name, in: places)
                let ending = try await link.ask(
                    .showStatistics, timeoutMilliseconds: Self.statisticsPatience
                ) { part in
                    if case .record(let fields) = part { found += fields }
                }
                link.close()
                // A daemon that counts nothing says so by failing.
                if case .failed = ending { continue }
                counters.append(found)
            } catch {
                complain("no statistics from \(name)")
            }
        }
        let merged = Rows.merged(counters, uptime: uptime)
        switch form {
        case .text: say(Rows.statisticsLines(merged))
        case .json: say(JSONText.object(merged) + "\n")
        }
    }

    // MARK: Asking

    private func open(_ daemon: String) throws(Failure) -> DaemonLink {
        do {
            return try DaemonLink(daemon, in: places)
        } catch {
            throw Self.failure(error, daemon)
        }
    }

    private func ask(
        _ daemon: String, _ request: ControlRequest, part: @escaping (ControlAnswer) -> Void = { _ in }
    ) async throws(Failure) -> UInt64 {
        let link = try open(daemon)
        defer { link.close() }
        switch try await ask(link, request, part: part) {
        case .done(let count): return count
        case .more, .failed: return 0
        }
    }

    private func ask(
        _ link: DaemonLink, _ request: ControlRequest, part: @escaping (ControlAnswer) -> Void
    ) async throws(Failure) -> DaemonLink.Ending {
        let ending: DaemonLink.Ending
        do {
            ending = try await link.ask(request, part: part)
        } catch {
            throw Self.failure(error, "the daemon")
        }
        if case .failed(let reason) = ending { throw .refused(reason) }
        return ending
    }

    private static func failure(_ failure: LinkFailure, _ daemon: String) -> Failure {
        switch failure {
        case .absent: .notRunning
        case .forbidden: .needsRoot
        case .timedOut: .refused("\(daemon) does not answer")
        case .broken(let what): .refused("\(daemon): \(what)")
        }
    }

    // MARK: Writing

    private func say(_ text: String) { write(Array(text.utf8)) }

    private func array(_ objects: [[ControlField]]) {
        say(objects.isEmpty ? "[]\n" : "[\n  " + objects.map(JSONText.object).joined(separator: ",\n  ") + "\n]\n")
    }
}
