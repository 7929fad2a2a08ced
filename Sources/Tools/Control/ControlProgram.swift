// SPDX-License-Identifier: ISC

import Bytes
import Host
import IPC
import Mail
import Posix

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

    let places: Places
    let form: ControlInvocation.Form
    let write: ([UInt8]) -> Void
    let complain: (String) -> Void

    init(
        _ places: Places, _ form: ControlInvocation.Form, write: @escaping ([UInt8]) -> Void,
        complain: @escaping (String) -> Void
    ) {
        self.places = places
        self.form = form
        self.write = write
        self.complain = complain
    }

    /// The status to exit with.
    @discardableResult
    func run(_ command: ControlCommand) async throws(Failure) -> Int32 {
        switch command {
        case .explain(let recipient): return try await explain(recipient)
        case .encrypt(let password): return Encryption.run(password, write: write, complain: complain)
        case .walkSPF: return try await walkSPF()
        case .showStatus: try await showStatus()
        case .showQueue(let selector): try await showQueue(selector)
        case .showEnvelope(let id): try await showEnvelope(id)
        case .showMessage(let id): try await showMessage(id)
        case .showStatistics: try await showStatistics()
        case .showDelivery(let view): try await showDelivery(view)
        case .envelopes(let action, let selector):
            try await change(action, selector)
        case .pause(.smtp): try await tellListeners(.pause(.smtp))
        case .resume(.smtp): try await tellListeners(.resume(.smtp))
        case .pause(let service): try await tell("queue", .pause(service))
        case .resume(let service): try await tell("queue", .resume(service))
        case .log(let detail): try await tell("parent", .verbose(detail == .verbose))
        case .stop: try await tell("parent", .stop)
        case .reload: try await tell("parent", .reload)
        case .audit: try await audit()
        case .traceMessage(let text): try await traceMessage(text)
        case .monitor: try await monitor()
        case .trace(let subject, let detail): try await trace(subject, detail)
        case .discover(let directory): try await LegacyImport(self, directory).run()
        case .updateTable(let name): try await tell("parent", .updateTable(name))
        }
        return 0
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
    func listeners() throws(Failure) -> [String] {
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

    private func showQueue(_ selector: QueueSelector) async throws(Failure) {
        let link = try open("queue")
        var last: EnvelopeID?
        var isFirst = true
        if form == .json { say("[") }
        while true {
            var output: [UInt8] = []
            let ending = try await ask(link, .queue(.show(selector, after: last))) { [form] part in
                guard case .record(let fields) = part else { return }
                switch form {
                case .text: output += Rows.queueLine(fields).utf8
                case .json:
                    output += ((isFirst ? "" : ",") + "\n  " + JSONText.object(fields)).utf8
                }
                isFirst = false
            }
            write(output)
            guard case .goesOn(let after, _) = ending, last.map({ $0 < after }) ?? true else { break }
            last = after
        }
        if form == .json { say(isFirst ? "]\n" : "\n]\n") }
    }

    /// Does it slice by slice: a large queue is not kept waiting by it, and what comes in meanwhile may be among it.
    private func change(_ action: EnvelopeAction, _ selector: QueueSelector) async throws(Failure) {
        let link = try open("queue")
        var last: EnvelopeID?
        var total: UInt64 = 0
        while true {
            let ending = try await ask(link, .queue(.change(action.verb, selector, after: last))) { _ in }
            switch ending {
            case .goesOn(let after, let count) where last.map({ $0 < after }) ?? true:
                total += count
                last = after
                continue
            case .goesOn(_, let count), .done(let count): total += count
            case .more, .failed: break
            }
            break
        }
        switch form {
        case .text: say(Rows.sentence(total, action))
        case .json:
            let field = ControlField(name: action.participle, value: .number(Int64(clamping: total)))
            say(JSONText.object([field]) + "\n")
        }
    }

    private func showEnvelope(_ id: EnvelopeID) async throws(Failure) {
        var records: [[ControlField]] = []
        _ = try await ask("queue", .queue(.envelope(id))) { part in
            if case .record(let fields) = part { records.append(fields) }
        }
        switch form {
        case .text: say(records.map(Rows.envelopeLines).joined())
        case .json: array(records)
        }
    }

    private func showMessage(_ id: MessageID) async throws(Failure) {
        let link = try open("queue")
        var offset: UInt64 = 0
        // A line end may be cut in two by the end of a page.
        var held: [UInt8] = []
        if form == .json { say("{\"message\": \"") }
        while true {
            var page: [UInt8] = held
            held = []
            let before = offset
            let ending = try await ask(link, .queue(.content(id, offset: offset))) { part in
                guard case .bytes(let bytes) = part else { return }
                page += bytes
                offset += UInt64(bytes.count)
            }
            let isLast = ending != .more || offset == before
            if !isLast, page.last == .carriageReturn { held = [page.removeLast()] }
            let lines = Rows.localLines(page)
            switch form {
            case .text: write(lines)
            case .json: write(JSONText.escaped(bytes: lines))
            }
            if isLast { break }
        }
        if form == .json { say("\"}\n") }
    }

    private func showStatistics() async throws(Failure) {
        let merged = try await statistics()
        switch form {
        case .text: say(Rows.statisticsLines(merged))
        case .json: say(JSONText.object(merged) + "\n")
        }
    }

    /// The counters of all daemons.
    func statistics() async throws(Failure) -> [ControlField] {
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
        return Rows.merged(counters, uptime: uptime)
    }

    /// Reads domains from standard input, one a line, and prints the networks that they send from.
    private func walkSPF() async throws(Failure) -> Int32 {
        let largestInput = 1 << 20
        let link = try open("resolver")
        defer { link.close() }
        guard let input = try? FileDescriptor.duplicate(0).readAll(limit: largestInput) else {
            throw .refused("standard input cannot be read, or is too long")
        }
        let walk = SPFWalk(
            ResolverRecords(link), found: { self.say("\($0)\n") }, complain: { self.complain($0) })
        var isComplete = true
        for line in input.split(separator: 10) {
            let domain = String(decoding: line, as: UTF8.self).split(whereSeparator: \.isWhitespace).joined()
            if !domain.isEmpty, await !walk.walk(domain) { isComplete = false }
        }
        return isComplete ? 0 : 1
    }

    // MARK: Asking

    func open(_ daemon: String) throws(Failure) -> DaemonLink {
        do {
            return try DaemonLink(daemon, in: places)
        } catch {
            throw Self.failure(error, daemon)
        }
    }

    func ask(
        _ daemon: String, _ request: ControlRequest, part: @escaping (ControlAnswer) -> Void = { _ in }
    ) async throws(Failure) -> UInt64 {
        let link = try open(daemon)
        defer { link.close() }
        switch try await ask(link, request, part: part) {
        case .done(let count): return count
        case .more, .goesOn, .failed: return 0
        }
    }

    func ask(
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

    func say(_ text: String) { write(Array(text.utf8)) }

    func array(_ objects: [[ControlField]]) {
        say(objects.isEmpty ? "[]\n" : "[\n  " + objects.map(JSONText.object).joined(separator: ",\n  ") + "\n]\n")
    }
}

/// The records that Resolver has.
private final class ResolverRecords: RecordSource {
    private let link: DaemonLink

    init(_ link: DaemonLink) { self.link = link }

    func records(of name: String, _ kind: RecordKind) async -> [String]? {
        var texts: [String] = []
        let ending = try? await link.ask(.lookUp(name, kind)) { part in
            if case .record(let fields) = part, let text = fields.text(of: "text") { texts.append(text) }
        }
        guard case .done? = ending else { return nil }
        return texts
    }
}
