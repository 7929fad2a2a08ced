// SPDX-License-Identifier: ISC

import IPC
import Mail

/// What an administrator can ask for.
nonisolated enum ControlCommand: Hashable, Sendable {
    case showStatus
    case showQueue(QueueSelector)
    case showEnvelope(EnvelopeID)
    case showMessage(MessageID)
    case showStatistics
    case showDelivery(DeliveryView)
    /// One that is answered with a number of envelopes.
    case envelopes(EnvelopeAction, QueueSelector)
    case pause(PausableService)
    case resume(PausableService)
    case log(LogDetail)
    case stop
    case reload
    case explain(HypotheticalRecipient)
    /// The hash of a password, or of each line of standard input.
    case encrypt(String?)
    case walkSPF
    /// The account of every recipient that was ever accepted.
    case audit
    /// The life of the messages of this id, Message-ID or ENVID.
    case traceMessage(String)
    case monitor
    /// How much those who do this log.
    case trace(TraceSubject, LogDetail)
    /// Brings in the queue directory of another server.
    case discover(String)
    /// Have a table read again.
    case updateTable(String)

    /// The same for those envelopes alone that `filter` means; nil when it is no command about envelopes.
    func narrowed(by filter: QueueSelector) -> ControlCommand? {
        switch self {
        case .showQueue(let selector):
            selector.narrowed(by: filter).map { .showQueue($0) }
        case .envelopes(let action, let selector):
            selector.narrowed(by: filter).map { .envelopes(action, $0) }
        case .showStatus, .showEnvelope, .showMessage, .showStatistics, .showDelivery, .pause, .resume, .log, .stop,
            .reload, .audit, .traceMessage, .monitor, .trace, .discover, .updateTable,
            .explain, .encrypt, .walkSPF:
            filter == .all ? self : nil
        }
    }
}

nonisolated extension QueueSelector {
    /// nil when both name an id.
    fileprivate func narrowed(by filter: QueueSelector) -> QueueSelector? {
        guard scope == .all || filter.scope == .all else { return nil }
        var narrowed = filter
        if scope != .all { narrowed.scope = scope }
        return narrowed
    }
}

/// What can be traced; the words are those of the reference.
nonisolated enum TraceSubject: String, Hashable, Sendable, CaseIterable {
    case imsg, io, smtp, filters, mta, mda, bounce, scheduler, expand, lookup, stat, rules, mproc, all

    /// Who does that; nil for all daemons.
    var daemons: [Role]? {
        switch self {
        case .smtp, .filters: [.listener]
        case .mta: [.relay]
        case .mda: [.local]
        case .bounce, .scheduler: [.queue]
        case .expand, .lookup, .rules: [.lookup]
        case .imsg, .io, .stat, .mproc, .all: nil
        }
    }
}

nonisolated enum LogDetail: Hashable, Sendable {
    case brief
    case verbose
}

nonisolated enum EnvelopeAction: Hashable, Sendable {
    case schedule
    case remove
    case pause
    case resume
    case hold
    case release
    case rematch

    /// What has been done, for the sentence about the number.
    var participle: String {
        switch self {
        case .schedule: "scheduled"
        case .remove: "removed"
        case .pause: "paused"
        case .resume: "resumed"
        case .hold: "held"
        case .release: "released"
        case .rematch: "changed"
        }
    }

    var verb: EnvelopeVerb {
        switch self {
        case .schedule: .schedule
        case .remove: .remove
        case .pause: .suspend
        case .resume: .unsuspend
        case .hold: .hold
        case .release: .release
        case .rematch: .rematch
        }
    }
}

/// One form of a command: its words, and what stands for its argument.
nonisolated struct CommandForm: Sendable {
    enum Argument: String, Hashable, Sendable {
        case none = ""
        case message = "MSGID"
        case envelope = "EVPID"
        case messageOrEnvelope = "MSGID|EVPID"
        case selector = "EVPID|MSGID|all"
        case identifier = "EVPID|MSGID|MESSAGE-ID|ENVID"
        case directory = "DIRECTORY"
        case subject = "SUBSYSTEM"
        case table = "NAME"
    }

    let words: [String]
    let argument: Argument
    /// The first word that smtpctl of the reference does not have; nil where it has them all.
    private(set) var ownWord: Int?
    private let make: @Sendable (QueueSelector, String) -> ControlCommand?

    // The longest name of a table in the configuration.
    private static let longestTableName = 64

    var length: Int { words.count + (argument == .none ? 0 : 1) }
    var usage: String { (words + (argument == .none ? [] : [argument.rawValue])).joined(separator: " ") }

    private init(
        _ words: String, _ argument: Argument = .none, make: @escaping @Sendable (QueueSelector) -> ControlCommand?
    ) {
        self.words = words.split(separator: " ").map(String.init)
        self.argument = argument
        self.make = { selector, _ in make(selector) }
    }

    private init(
        _ words: String, text argument: Argument, make: @escaping @Sendable (String) -> ControlCommand?
    ) {
        self.words = words.split(separator: " ").map(String.init)
        self.argument = argument
        self.make = { _, text in make(text) }
    }

    /// The command with `argument`; nil when that is none of the kind wanted.
    func command(_ word: String?) -> ControlCommand? {
        let message = word.flatMap { MessageID($0) }.map(QueueSelector.message)
        let envelope = word.flatMap { EnvelopeID($0) }.map(QueueSelector.envelope)
        let made: (QueueSelector) -> ControlCommand? = { make($0, word ?? "") }
        switch argument {
        case .none: return word == nil ? made(.all) : nil
        case .message: return message.flatMap(made)
        case .envelope: return envelope.flatMap(made)
        case .messageOrEnvelope: return (message ?? envelope).flatMap(made)
        case .selector: return word == "all" ? made(.all) : (message ?? envelope).flatMap(made)
        case .identifier, .directory, .subject: return word?.isEmpty == false ? made(.all) : nil
        case .table: return word.flatMap { (1...Self.longestTableName).contains($0.utf8.count) ? made(.all) : nil }
        }
    }

    private static func envelopes(_ words: String, _ action: EnvelopeAction) -> CommandForm {
        CommandForm(words, .selector) { .envelopes(action, $0) }
    }

    private func ours(from word: Int = 0) -> CommandForm {
        var form = self
        form.ownWord = word
        return form
    }

    static let all: [CommandForm] = [
        CommandForm("show status") { _ in .showStatus },
        CommandForm("show queue") { _ in .showQueue(.all) },
        CommandForm("show queue", .message) { .showQueue($0) },
        CommandForm("show envelope", .envelope) { selector in
            guard case .envelope(let id) = selector.scope else { return nil }
            return .showEnvelope(id)
        },
        CommandForm("show message", .messageOrEnvelope) { selector in
            switch selector.scope {
            case .all: nil
            case .message(let id): .showMessage(id)
            case .envelope(let id): .showMessage(id.message)
            }
        },
        CommandForm("show stats") { _ in .showStatistics },
        CommandForm("show hosts") { _ in .showDelivery(.hosts) },
        CommandForm("show routes") { _ in .showDelivery(.routes) },
        CommandForm("show relays") { _ in .showDelivery(.relays) },
        CommandForm("show hoststats") { _ in .showDelivery(.hostStatistics) },
        CommandForm("show destinations") { _ in .showDelivery(.destinations) }.ours(from: 1),
        envelopes("schedule", .schedule),
        envelopes("remove", .remove),
        envelopes("pause envelope", .pause),
        envelopes("resume envelope", .resume),
        CommandForm("pause mda") { _ in .pause(.mda) },
        CommandForm("pause mta") { _ in .pause(.mta) },
        CommandForm("pause smtp") { _ in .pause(.smtp) },
        CommandForm("resume mda") { _ in .resume(.mda) },
        CommandForm("resume mta") { _ in .resume(.mta) },
        CommandForm("resume smtp") { _ in .resume(.smtp) },
        envelopes("hold", .hold).ours(),
        envelopes("release", .release).ours(),
        envelopes("rematch", .rematch).ours(),
        CommandForm("audit") { _ in .audit }.ours(),
        CommandForm("trace-message", text: .identifier) { .traceMessage($0) }.ours(),
        CommandForm("monitor") { _ in .monitor },
        CommandForm("trace", text: .subject) { TraceSubject(rawValue: $0).map { .trace($0, .verbose) } },
        CommandForm("untrace", text: .subject) { TraceSubject(rawValue: $0).map { .trace($0, .brief) } },
        CommandForm("discover", text: .directory) { .discover($0) },
        CommandForm("update table", text: .table) { .updateTable($0) },
        CommandForm("log brief") { _ in .log(.brief) },
        CommandForm("log verbose") { _ in .log(.verbose) },
        CommandForm("stop") { _ in .stop }.ours(),
        CommandForm("reload") { _ in .reload }.ours(),
        CommandForm("spf walk") { _ in .walkSPF },
    ]
}
