// SPDX-License-Identifier: ISC

import IPC
import Mail

/// The arguments of martletctl.
nonisolated struct ControlInvocation: Hashable, Sendable {
    static let usage = """
        usage: martletctl [--instance directory] [--offline [-f file]] [--json] command [argument ...]
                          [--sender address] [--recipient address] [--domain name] [--older age] [--state state]
                          [--id EVPID|MSGID]

        """

    enum Form: Hashable, Sendable {
        case text
        case json
    }

    enum Mistake: Error, Hashable, Sendable {
        case usage
        /// More than one command may be meant, or the words end too early.
        case possibilities([String])
        case argument(String)

        /// What the user is told.
        var text: String {
            switch self {
            case .usage: ControlInvocation.usage
            case .possibilities(let forms):
                "possibilities are:\n" + forms.map { "\($0)\n" }.joined()
            case .argument(let word): "invalid argument: \(word)\n"
            }
        }
    }

    var instance: String?
    var form = Form.text
    /// Reads the spool of a server that is down.
    var isOffline = false
    /// With the keys of that spool.
    var configuration: String?
    var command: ControlCommand

    /// Reads arguments without the program's name. Options may stand anywhere.
    init(parsing arguments: [String]) throws(Mistake) {
        var words: [String] = []
        var filter = QueueSelector.all
        var rest = arguments[...]
        while let word = rest.popFirst() {
            switch word {
            case "--json":
                form = .json
            case "--instance":
                guard let directory = rest.popFirst(), !directory.isEmpty else { throw .usage }
                instance = directory
            case "--offline":
                isOffline = true
            case "-f":
                guard let file = rest.popFirst(), !file.isEmpty else { throw .usage }
                configuration = file
            default:
                if words.isEmpty, filter == .all, let verb = OwnVerb(word) {
                    command = try verb.command(with: Self.others(&rest, &form, &instance))
                    return
                }
                if word.hasPrefix("--"), let option = FilterOption(rawValue: String(word.dropFirst(2))) {
                    guard let value = rest.popFirst() else { throw .usage }
                    guard option.set(value, in: &filter) else { throw .argument(value) }
                    continue
                }
                guard !word.hasPrefix("-") else { throw .usage }
                words.append(word)
            }
        }
        guard isOffline || configuration == nil else { throw .usage }
        guard let narrowed = try Self.command(words, filter).narrowed(by: filter) else { throw .usage }
        command = narrowed
    }

    // With a filter, no other word has to say which envelopes are meant.
    private static func command(_ words: [String], _ filter: QueueSelector) throws(Mistake) -> ControlCommand {
        do {
            return try command(words)
        } catch {
            guard filter != .all, case .possibilities = error else { throw error }
            return try command(words + ["all"])
        }
    }

    /// What is left of `rest` without our own options.
    private static func others(
        _ rest: inout ArraySlice<String>, _ form: inout Form, _ instance: inout String?
    ) throws(Mistake) -> [String] {
        var others: [String] = []
        while let word = rest.popFirst() {
            switch word {
            case "--json": form = .json
            case "--instance":
                guard let directory = rest.popFirst(), !directory.isEmpty else { throw .usage }
                instance = directory
            default: others.append(word)
            }
        }
        return others
    }

    /// The command that `words` mean, each of which may be cut short as long as no other begins the same.
    static func command(_ words: [String]) throws(Mistake) -> ControlCommand {
        guard !words.isEmpty else { throw .usage }
        var forms = CommandForm.all
        for (place, word) in words.enumerated() {
            // A word in full is never taken for the beginning of another.
            let isWhole = forms.contains { $0.words.count > place && $0.words[place] == word }
            forms = forms.filter { form in
                guard form.words.count > place else { return form.length > place }
                return isWhole ? form.words[place] == word : form.words[place].hasPrefix(word)
            }
            // `rem` means what it meant to smtpctl, whatever words have come since.
            if !isWhole, forms.contains(where: { $0.words.count > place && $0.ownWord != place }) {
                forms.removeAll { $0.ownWord == place }
            }
        }
        guard !forms.isEmpty else { throw .usage }
        // What can be no argument makes no possibility either, unless there is no other.
        let valid = forms.filter { form in
            form.words.count >= words.count || form.command(words.last) != nil
        }
        let meant = valid.isEmpty ? forms : valid
        let fitting = meant.filter { $0.length == words.count }
        guard Set(meant.map { Array($0.words.prefix(words.count)) }).count == 1, let form = fitting.first else {
            throw .possibilities((fitting.count > 1 ? fitting : meant).map(\.usage))
        }
        guard let command = form.command(form.argument == .none ? nil : words.last) else {
            throw .argument(words.last ?? "")
        }
        return command
    }
}

/// Options that say which envelopes are meant.
nonisolated enum FilterOption: String, CaseIterable {
    case sender, recipient, domain, older, state, id

    /// False when `value` is none that the option takes.
    func set(_ value: String, in selector: inout QueueSelector) -> Bool {
        switch self {
        case .sender:
            selector.sender = AddressPattern(value)
            return selector.sender != nil
        case .recipient:
            selector.recipient = AddressPattern(value)
            return selector.recipient != nil
        case .domain:
            selector.domain = Domain(value)
            return selector.domain != nil
        case .older:
            selector.olderThan = Self.age(value)
            return selector.olderThan != nil
        case .state:
            selector.state = QueueSelector.State.allCases.first { $0.name == value }
            return selector.state != nil
        case .id:
            if let id = EnvelopeID(value) {
                selector.scope = .envelope(id)
            } else if let id = MessageID(value) {
                selector.scope = .message(id)
            } else {
                return false
            }
            return true
        }
    }

    // As the configuration writes it: digits and one of s m h d.
    private static func age(_ text: String) -> Interval? {
        let factors: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86400]
        guard let unit = text.last, let factor = factors[unit], let count = Int32(text.dropLast()), count >= 0 else {
            return nil
        }
        return .seconds(Int64(count) * factor)
    }
}

/// The commands whose arguments have a form of their own.
nonisolated enum OwnVerb: String, CaseIterable, Hashable, Sendable {
    case explain
    case encrypt

    /// The verb that `word` is, or is the beginning of; one that smtpctl has comes first.
    init?(_ word: String) {
        guard !word.isEmpty, let verb = [OwnVerb.encrypt, .explain].first(where: { $0.rawValue.hasPrefix(word) }) else {
            return nil
        }
        self = verb
    }

    func command(with arguments: [String]) throws(ControlInvocation.Mistake) -> ControlCommand {
        switch self {
        case .explain: return try ExplainArguments.command(arguments)
        case .encrypt:
            guard arguments.count <= 1 else { throw .possibilities(["encrypt [string]"]) }
            return .encrypt(arguments.first)
        }
    }
}
