// SPDX-License-Identifier: ISC

import Configuration
import IPC

/// What martletd was asked to do.
nonisolated struct Invocation: Hashable, Sendable {
    static let version = "0.1"
    static let defaultFile = "/etc/martlet/martlet.conf"
    static let usage = """
        martletd, version \(version)
        usage: martletd [-dFhnv] [-D macro=value] [-f file] [-P mda|mta|smtp] [-T subsystem] [--instance directory]

        """

    enum Task: Hashable, Sendable {
        /// Serve in the foreground and log to standard error.
        case serveForPerson
        /// Serve in the foreground and log to the system.
        case serve
        /// The same, started by a martletd that waits on descriptor 3 to hear that it serves.
        case serveInBackground
        /// Start another one in the background.
        case goToBackground
        case checkConfiguration
        case showUsage
    }

    var task = Task.goToBackground
    var isVerbose = false
    var file = defaultFile
    var definitions: [MacroDefinition] = []
    /// What waits to be resumed, in the order of the names that follow -P.
    var paused: [PausableService] = []
    /// The directory of a private instance.
    var instance: String?

    struct Mistake: Error, Hashable {
        let reason: String
    }

    /// Reads arguments without the program's name, letters alone or together: `-nv`, `-f file`, `-ffile`.
    init(parsing arguments: [String]) throws(Mistake) {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "--instance":
                guard let directory = rest.popFirst(), !directory.isEmpty else {
                    throw Mistake(reason: "--instance needs a directory")
                }
                instance = directory
            case "--background":
                task = .serveInBackground
            default:
                guard argument.hasPrefix("-"), argument.count > 1 else {
                    throw Mistake(reason: "unexpected argument \(argument)")
                }
                try readLetters(argument.dropFirst(), &rest)
            }
        }
    }

    private mutating func readLetters(
        _ letters: Substring, _ rest: inout ArraySlice<String>
    ) throws(Mistake) {
        var letters = letters
        while let letter = letters.popFirst() {
            switch letter {
            case "d": task = task == .checkConfiguration ? task : .serveForPerson
            case "F": task = task == .checkConfiguration || task == .serveForPerson ? task : .serve
            case "n": task = .checkConfiguration
            case "v": isVerbose = true
            case "h":
                task = .showUsage
                return
            case "f", "D", "P", "T":
                let attached = String(letters)
                letters = ""
                guard let value = attached.isEmpty ? rest.popFirst() : attached, !value.isEmpty else {
                    throw Mistake(reason: "-\(letter) needs a value")
                }
                try set(letter, value)
            case "B":
                throw Mistake(reason: "-B is not there: the queue, its schedule and statistics are of one kind")
            default:
                throw Mistake(reason: "unknown option -\(letter)")
            }
        }
    }

    private mutating func set(_ letter: Character, _ value: String) throws(Mistake) {
        switch letter {
        case "D":
            guard let definition = MacroDefinition(argument: value) else {
                throw Mistake(reason: "-D needs macro=value, not \(value)")
            }
            definitions.append(definition)
        case "P":
            guard let service = PausableService.allCases.first(where: { "\($0)" == value }) else {
                throw Mistake(reason: "-P pauses mda, mta or smtp, not \(value)")
            }
            if !paused.contains(service) { paused.append(service) }
        case "T":
            guard Self.subsystems.contains(value) else { throw Mistake(reason: "-T knows no subsystem \(value)") }
            isVerbose = true
        default:
            file = value
        }
    }

    // Those of the reference; all daemons of this house log more, or none.
    private static let subsystems: Set = [
        "imsg", "io", "smtp", "filters", "mta", "transfer", "bounce", "bounces", "scheduler", "lookup", "stat", "stats",
        "rules", "mproc", "expand", "table", "tables", "queue", "all", "profstat", "profile-imsg", "profile-queue",
    ]

    /// The arguments of the server in the background, whose working directory is another.
    func argumentsInBackground(absolute: (String) -> String) -> [String] {
        var arguments = ["--background", "-f", absolute(file)]
        if isVerbose { arguments.append("-v") }
        for definition in definitions { arguments += ["-D", "\(definition.name)=\(definition.value)"] }
        for service in paused { arguments += ["-P", "\(service)"] }
        if let instance { arguments += ["--instance", absolute(instance)] }
        return arguments
    }
}
