// SPDX-License-Identifier: ISC

import IPC
import Mail

/// What an administrator can ask for.
nonisolated enum ControlCommand: Hashable, Sendable {
    case showStatus
    case showQueue(MessageID?)
    case showEnvelope(EnvelopeID)
    case showMessage(MessageID)
    case showStatistics
    /// One that is answered with a number of envelopes.
    case envelopes(EnvelopeAction, QueueSelector)
    case pause(PausableService)
    case resume(PausableService)
    case log(LogDetail)
    case stop
    case reload
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

    /// What has been done, for the sentence about the number.
    var participle: String {
        switch self {
        case .schedule: "scheduled"
        case .remove: "removed"
        case .pause: "paused"
        case .resume: "resumed"
        case .hold: "held"
        case .release: "released"
        }
    }

    func request(_ selector: QueueSelector) -> ControlRequest {
        switch self {
        case .schedule: .schedule(selector)
        case .remove: .remove(selector)
        case .pause: .suspend(selector)
        case .resume: .unsuspend(selector)
        case .hold: .hold(selector)
        case .release: .release(selector)
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
    }

    let words: [String]
    let argument: Argument
    private let make: @Sendable (QueueSelector) -> ControlCommand?

    var length: Int { words.count + (argument == .none ? 0 : 1) }
    var usage: String { (words + (argument == .none ? [] : [argument.rawValue])).joined(separator: " ") }

    private init(
        _ words: String, _ argument: Argument = .none, make: @escaping @Sendable (QueueSelector) -> ControlCommand?
    ) {
        self.words = words.split(separator: " ").map(String.init)
        self.argument = argument
        self.make = make
    }

    /// The command with `argument`; nil when that is none of the kind wanted.
    func command(_ word: String?) -> ControlCommand? {
        let message = word.flatMap { MessageID($0) }.map(QueueSelector.message)
        let envelope = word.flatMap { EnvelopeID($0) }.map(QueueSelector.envelope)
        switch argument {
        case .none: return word == nil ? make(.all) : nil
        case .message: return message.flatMap(make)
        case .envelope: return envelope.flatMap(make)
        case .messageOrEnvelope: return (message ?? envelope).flatMap(make)
        case .selector: return word == "all" ? make(.all) : (message ?? envelope).flatMap(make)
        }
    }

    private static func envelopes(_ words: String, _ action: EnvelopeAction) -> CommandForm {
        CommandForm(words, .selector) { .envelopes(action, $0) }
    }

    static let all: [CommandForm] = [
        CommandForm("show status") { _ in .showStatus },
        CommandForm("show queue") { _ in .showQueue(nil) },
        CommandForm("show queue", .message) { selector in
            guard case .message(let id) = selector else { return nil }
            return .showQueue(id)
        },
        CommandForm("show envelope", .envelope) { selector in
            guard case .envelope(let id) = selector else { return nil }
            return .showEnvelope(id)
        },
        CommandForm("show message", .messageOrEnvelope) { selector in
            switch selector {
            case .all: nil
            case .message(let id): .showMessage(id)
            case .envelope(let id): .showMessage(id.message)
            }
        },
        CommandForm("show stats") { _ in .showStatistics },
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
        envelopes("hold", .hold),
        envelopes("release", .release),
        CommandForm("log brief") { _ in .log(.brief) },
        CommandForm("log verbose") { _ in .log(.verbose) },
        CommandForm("stop") { _ in .stop },
        CommandForm("reload") { _ in .reload },
    ]
}
