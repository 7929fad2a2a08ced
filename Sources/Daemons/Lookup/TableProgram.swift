// SPDX-License-Identifier: ISC

import Bytes
import Channel
import Configuration
import IPC
import Posix
import Reactor
import Routing

/// A table behind a program that Parent has started: many questions at a time, each with its deadline.
///
/// One that is slow, has gone or says what it may not say is left: whoever waits is told to come back, Parent ends the
/// program and starts another, later and later while that does not help.
final class TableProgram {
    // As long as a client waits for an answer to RCPT without giving up.
    private static let patienceMilliseconds: UInt64 = 30_000
    // More than all sessions ask at one time; who asks too much is told so.
    private static let mostQuestions = 4096
    // The account of the server that a program is given; some look at it.
    private static let version = "7.8.0-martlet"

    let name: String
    private let origin: Origin
    private let needs: Set<TableNeeds.Need>
    private let log: Log
    private let parent: PeerSlot<ParentToLookup, LookupToParent>
    private var connection: Connection?
    private var dialogue: TableDialogue
    /// What the program serves.
    private(set) var services: Set<TableService> = []
    private var waiting: [UInt32: Waiting] = [:]
    private var lastHeard: UInt64 = 0
    private let sweepTimer = Timer()

    private struct Waiting {
        let continuation: UnsafeContinuation<TableDialogue.Answer?, Never>
        let deadline: UInt64
    }

    /// Who made the program, and may have made it for another protocol.
    enum Origin {
        case ours
        case foreign
    }

    init(
        _ name: String, _ origin: Origin, needs: Set<TableNeeds.Need>, log: Log,
        parent: PeerSlot<ParentToLookup, LookupToParent>
    ) {
        self.name = name
        self.origin = origin
        self.needs = needs
        self.log = log
        self.parent = parent
        dialogue = TableDialogue(tableName: name)
    }

    // MARK: The life of a program

    /// Speaks with the first program; whatever is wrong with it is wrong with the configuration.
    func begin(_ stream: consuming FileDescriptor) async throws(TableFault) {
        let connection = Connection(stream)
        do {
            try await register(on: connection)
        } catch {
            connection.close()
            throw TableFault(description: "table \"\(name)\": the program \(error)")
        }
        serve(on: connection)
    }

    private func register(on connection: Connection) async throws(ProgramFailure) {
        var dialogue = TableDialogue(tableName: name)
        connection.write { $0.append(dialogue.greeting(version: Self.version)) }
        let deadline = Loop.milliseconds + Self.patienceMilliseconds
        while true {
            while let line = try Self.takeLine(from: connection) {
                let event: TableDialogue.Event
                do {
                    event = try dialogue.receive(line.span)
                } catch {
                    switch error {
                    case .unknownService, .noService: throw .violated(error)
                    case .unexpectedLine, .unknownQuestion, .emptyValue, .notText, .longLine, .tooManyUnanswered:
                        throw .useless("\(error)", origin)
                    }
                }
                guard case .registered(let services) = event else { continue }
                for need in needs where need.services.isDisjoint(with: services) {
                    throw .lacks(need)
                }
                self.dialogue = dialogue
                self.services = services
                return
            }
            let now = Loop.milliseconds
            guard now < deadline else { throw .useless("did not register within 30 s", origin) }
            do {
                try await connection.read(timeoutMilliseconds: deadline - now)
            } catch {
                if error == .timedOut { throw .useless("did not register within 30 s", origin) }
                throw .useless("ended before it registered its services", origin)
            }
        }
    }

    private func serve(on connection: Connection) {
        self.connection = connection
        lastHeard = Loop.milliseconds
        Task {
            let failure = await listen(to: connection)
            leave(because: "\(failure)")
        }
    }

    /// Hears answers until there is a reason to hear no more.
    private func listen(to connection: Connection) async -> ProgramFailure {
        do throws(ProgramFailure) {
            while true {
                while let line = try Self.takeLine(from: connection) { try heard(line) }
                do {
                    try await connection.read(timeoutMilliseconds: 24 * 3_600_000)
                } catch {
                    if error != .timedOut { throw .ended }
                }
            }
        } catch {
            return error
        }
    }

    private func heard(_ line: [UInt8]) throws(ProgramFailure) {
        lastHeard = Loop.milliseconds
        let event: TableDialogue.Event
        do {
            event = try dialogue.receive(line.span)
        } catch {
            throw .violated(error)
        }
        guard case .answered(let id, let answer) = event else { return }
        // Whoever asked may have gone.
        waiting.removeValue(forKey: id)?.continuation.resume(returning: answer)
    }

    private static func takeLine(from connection: Connection) throws(ProgramFailure) -> [UInt8]? {
        let (line, isTooLong) = connection.withInput { input -> ([UInt8]?, Bool) in
            guard let end = input.firstIndex(of: .lineFeed) else {
                return (nil, input.count > TableDialogue.longestLine)
            }
            return (input.extracting(0..<end).array, false)
        }
        guard !isTooLong else { throw .violated(.longLine) }
        if let line { connection.consume(line.count + 1) }
        return line
    }

    private func leave(because reason: String) {
        guard let connection else { return }
        log.warning("table \"\(name)\": the program \(reason) and is started again")
        self.connection = nil
        connection.close()
        sweepTimer.stop()
        let abandoned = waiting
        waiting = [:]
        for question in abandoned.values { question.continuation.resume(returning: nil) }
        Task { await restart() }
    }

    private func restart() async {
        while true {
            do {
                // Parent waits before it starts one that dies young.
                let answer = try await parent.current().requestDescriptor(.program(table: name))
                switch answer.message {
                case .program:
                    guard let stream = answer.takeDescriptor() else { break }
                    let connection = Connection(stream)
                    do {
                        try await register(on: connection)
                        log.info("info: Table \"\(name)\" is there again")
                        return serve(on: connection)
                    } catch {
                        log.warning("table \"\(name)\": the program \(error)")
                        connection.close()
                    }
                case .noProgram(let reason):
                    log.warning("table \"\(name)\": \(VisibleText(reason))")
                case .account, .userOfTable, .updateFile, .updateProgram:
                    break
                }
            } catch {
                // A Lookup that lost its Parent ends by itself.
            }
            await Loop.pause(milliseconds: 1000)
        }
    }

    // MARK: Questions

    func ask(_ question: TableDialogue.Question) async throws(TableFailure) -> TableDialogue.Answer {
        guard let connection, waiting.count < Self.mostQuestions else { throw TableFailure() }
        var id: UInt32 = 0
        var line: [UInt8] = []
        do throws(TableDialogue.KeyError) {
            id = try dialogue.ask(question, at: SystemClock.microseconds(), writingTo: &line)
        } catch {
            // What a remote party sent is no line of ours; the answer to such a question is that there is none.
            log.debug("table \"\(name)\": a key that no line can carry")
            throw TableFailure()
        }
        connection.write(line)
        let deadline = Loop.milliseconds + Self.patienceMilliseconds
        let answer = await withUnsafeContinuation { continuation in
            waiting[id] = Waiting(continuation: continuation, deadline: deadline)
            if !sweepTimer.isRunning { planSweep() }
        }
        guard let answer else { throw TableFailure() }
        if case .failed(let words) = answer {
            log.warning("table \"\(name)\": \(words.isEmpty ? "error" : "\(VisibleText(words))")")
            throw TableFailure()
        }
        return answer
    }

    private func planSweep() {
        sweepTimer.start(afterMilliseconds: 1000) { [weak self] in self?.sweep() }
    }

    private func sweep() {
        let now = Loop.milliseconds
        let late = waiting.filter { $0.value.deadline <= now }
        for (id, question) in late {
            waiting[id] = nil
            question.continuation.resume(returning: nil)
        }
        if !late.isEmpty {
            // One that still answers others is only busy.
            if now - lastHeard >= Self.patienceMilliseconds { return leave(because: "did not answer for 30 s") }
            log.warning("table \"\(name)\": \(late.count) questions were not answered within 30 s")
            if dialogue.hasTooManyUnanswered { return leave(because: "\(TableDialogue.Violation.tooManyUnanswered)") }
        }
        if !waiting.isEmpty { planSweep() }
    }
}

/// Why a program is left.
private enum ProgramFailure: Error, CustomStringConvertible {
    case ended
    case violated(TableDialogue.Violation)
    case lacks(TableNeeds.Need)
    /// It did not come to register its services.
    case useless(String, TableProgram.Origin)

    var description: String {
        switch self {
        case .ended: "has ended"
        case .violated(let violation): "\(violation)"
        case .lacks(let need):
            "does not serve \(need.services.map(\.rawValue).sorted().joined(separator: " or ")), "
                + "which \(need.purpose == .user ? "auth" : need.purpose.rawValue) asks for"
        case .useless(let what, .ours): what
        case .useless(let what, .foreign):
            "\(what): programs of OpenSMTPD before 7.6 speak an older protocol and must be replaced"
        }
    }
}
