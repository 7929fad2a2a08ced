// SPDX-License-Identifier: ISC

import Bytes

extension Parser {
    // proc = "proc" STR STR { procopt }
    mutating func parseProcess(_ location: SourceLocation) throws(Failure) {
        let name = try string("a processor's name")
        let command = try string("a command")
        let process = try processOptions(
            ProcessDefinition(name: name.text, command: command.text, location: location))
        guard !configuration.processes.contains(where: { $0.name == name.text }) else {
            throw Failure(message: "processor already exists with that name: \(name.text)", location: name.location)
        }
        use(.proc, at: location)
        configuration.processes.append(process)
    }

    // procopt = "user" STR | "group" STR | "chroot" STR
    private mutating func processOptions(_ definition: ProcessDefinition) throws(Failure) -> ProcessDefinition {
        var process = definition
        while true {
            let location = peek().location
            if take(.user) {
                try checkUnset(process.user, "user", location)
                process.user = try string("a user").text
            } else if take(.group) {
                try checkUnset(process.group, "group", location)
                process.group = try string("a group").text
            } else if take(.chroot) {
                try checkUnset(process.chroot, "chroot", location)
                process.chroot = try string("a directory").text
            } else {
                return process
            }
        }
    }

    private func checkUnset(_ value: String?, _ name: String, _ location: SourceLocation) throws(Failure) {
        guard value == nil else {
            throw Failure(message: "\(name) already specified for this processor", location: location)
        }
    }

    // filter = "filter" STR ( "proc" STR | "proc-exec" STR { procopt } | "phase" PHASE "match" [ "!" ] cond decision
    //        | "chain" "{" opt-NL filterlist "}" )
    mutating func parseFilter(_ location: SourceLocation) throws(Failure) {
        let name = try string("a filter's name")
        let kind: FilterDefinition.Kind
        if take(.proc) {
            let process = try string("a processor's name")
            guard
                options.completeness == .partial || configuration.processes.contains(where: { $0.name == process.text })
            else {
                throw Failure(message: "no processor exist with that name: \(process.text)", location: process.location)
            }
            kind = .process(process.text)
        } else if take(.procExec) {
            let command = try string("a command")
            kind = .command(
                try processOptions(ProcessDefinition(name: name.text, command: command.text, location: location)))
        } else if take(.phase) {
            kind = .rule(try filterRule())
        } else if take(.chain) {
            try expect("{")
            kind = .chain(try filterList())
        } else {
            throw unexpected("proc, proc-exec, phase or chain")
        }
        guard !configuration.filters.contains(where: { $0.name == name.text }) else {
            throw Failure(message: "filter already exists with that name: \(name.text)", location: name.location)
        }
        use(.filter, at: location)
        configuration.filters.append(FilterDefinition(name: name.text, kind: kind, location: location))
    }

    // "filter" ( STR | "{" opt-NL filterlist "}" ), the keyword taken
    mutating func filterReference() throws(Failure) -> String {
        let location = peek().location
        guard take("{") else {
            let name = try string("a filter's name or \"{\"")
            guard options.completeness == .partial || filter(named: name.text) != nil else {
                throw Failure(message: "no filter exist with that name: \(name.text)", location: name.location)
            }
            return name.text
        }
        let names = try filterList()
        var name: String
        repeat {
            name = "<dynchain:\(Hexadecimal.text(UInt64(chainsWrittenInPlace), width: 8))>"
            chainsWrittenInPlace += 1
        } while filter(named: name) != nil
        configuration.filters.append(FilterDefinition(name: name, kind: .chain(names), location: location))
        return name
    }

    // filterlist = STR opt-NL | STR sep filterlist
    private mutating func filterList() throws(Failure) -> [String] {
        takeNewlines()
        var names: [String] = []
        var processes: Set<String> = []
        var next: Word? = try string("a filter's name")
        while let name = next {
            if let filter = filter(named: name.text) {
                if case .chain = filter.kind {
                    throw Failure(
                        message: "no filter chain allowed within a filter chain: \(name.text)", location: name.location)
                }
                guard !names.contains(name.text) else {
                    throw Failure(
                        message: "no filter allowed twice within a filter chain: \(name.text)", location: name.location)
                }
                if case .process(let process) = filter.kind, !processes.insert(process).inserted {
                    throw Failure(
                        message: "no proc allowed twice within a filter chain: \(process)", location: name.location)
                }
            } else if options.completeness == .whole {
                throw Failure(message: "no filter exist with that name: \(name.text)", location: name.location)
            }
            names.append(name.text)
            next = try nextElement()
        }
        return names
    }

    private func filter(named name: String) -> FilterDefinition? { configuration.filters.first { $0.name == name } }

    // PHASE "match" [ "!" ] cond decision
    private mutating func filterRule() throws(Failure) -> FilterDefinition.Rule {
        guard case .keyword(let keyword) = peek().kind, let phase = FilterDefinition.Phase(rawValue: keyword.rawValue)
        else { throw unexpected("a phase") }
        _ = take()
        try expect(.match)
        let sense: MatchRule.Sense = take("!") ? .fails : .holds
        let condition = try condition(at: phase)
        return FilterDefinition.Rule(
            phase: phase, condition: MatchRule.Criterion(condition, sense), decision: try decision(at: phase))
    }

    private mutating func condition(at phase: FilterDefinition.Phase) throws(Failure) -> FilterDefinition.Condition {
        if take(.fcrdns) { return .confirmedReverseName }
        if take(.rdns) { return .reverseName(try optionalPattern(for: .from)) }
        if take(.src) { return .source(try pattern(for: .from)) }
        if phase.knowsHelo, take(.helo) { return .helo(try pattern(for: .helo)) }
        if phase.knowsUser, take(.auth) { return .authentication(try optionalPattern(for: .user)) }
        if phase.knowsSender, take(.mailFrom) { return .sender(try pattern(for: .sender)) }
        if phase == .recipient, take(.rcptTo) { return .recipient(try pattern(for: .recipient)) }
        throw unexpected("a condition of the phase \(phase.rawValue)")
    }

    // decision = "reject" STR | "disconnect" STR | "rewrite" STR | "report" STR | "junk" | "bypass"
    private mutating func decision(at phase: FilterDefinition.Phase) throws(Failure) -> FilterDefinition.Decision {
        if take(.reject) { return .reject(try string("a reply").text) }
        if take(.disconnect) { return .disconnect(try string("a reply").text) }
        if take(.rewrite) { return .rewrite(try string("a parameter").text) }
        if take(.report) { return .report(try string("a text").text) }
        if phase != .commit, take(.junk) { return .junk }
        if phase != .commit, take(.bypass) { return .bypass }
        throw unexpected("a decision of the phase \(phase.rawValue)")
    }
}

extension FilterDefinition.Phase {
    fileprivate var knowsHelo: Bool { self != .connect }

    fileprivate var knowsUser: Bool {
        switch self {
        case .connect, .helo, .ehlo: false
        case .auth, .mailFrom, .recipient, .data, .commit: true
        }
    }

    fileprivate var knowsSender: Bool {
        switch self {
        case .connect, .helo, .ehlo, .auth: false
        case .mailFrom, .recipient, .data, .commit: true
        }
    }
}
