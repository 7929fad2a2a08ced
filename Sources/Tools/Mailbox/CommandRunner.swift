// SPDX-License-Identifier: ISC

import Glibc
import IPC
import Launch
import Posix
import Reactor

/// A command for the shell, and in what surroundings.
nonisolated struct CommandOrder: Hashable, Sendable {
    let command: String
    /// `NAME=value`, and no others.
    let environment: [String]
    let directory: String
}

/// Runs the commands of one user, a few at a time, each with a message on its standard input.
final class CommandRunner {
    private let mostRunning: Int
    private let shell: FileDescriptor
    private let limitMilliseconds: UInt64
    private var waiting: [CommandRun] = []
    private var running: [Int32: CommandRun] = [:]
    private var signal: SignalWatch?

    /// A command that takes longer than the limit is ended.
    init(mostRunning: Int, limitMilliseconds: UInt64) throws(LaunchError) {
        self.mostRunning = mostRunning
        shell = try ProgramSet.open(CommandEnvironment.shell)
        self.limitMilliseconds = limitMilliseconds
        signal = SignalWatch(SIGCHLD) { [unowned self] in reap() }
    }

    /// `decided` is called once.
    func run(_ order: CommandOrder, _ message: KeptMessage, decided: @escaping (MailboxOutcome) -> Void) {
        waiting.append(CommandRun(order, message, decided: decided))
        startNext()
    }

    private func startNext() {
        while running.count < mostRunning, !waiting.isEmpty {
            let run = waiting.removeFirst()
            guard let pid = run.start(shell, limitMilliseconds, timedOut: { [unowned self] in end($0) }) else {
                continue
            }
            running[pid] = run
        }
    }

    private func reap() {
        while let child = (try? ChildProcess.reap()) ?? nil {
            // One that was ended for its time is not waited for any more.
            guard let run = running.removeValue(forKey: child.pid) else { continue }
            switch child.status {
            case .exited(let code): run.conclude(.exited(code))
            case .signalled(let number): run.conclude(number == SIGALRM ? .timedOut : .signalled(number))
            }
        }
        startNext()
    }

    private func end(_ pid: Int32) {
        try? ChildProcess.send(SIGKILL, toGroupOf: pid)
        running.removeValue(forKey: pid)?.conclude(.timedOut)
        startNext()
    }

    /// Ends all: nobody wants to know their outcome any more.
    func abandon() {
        for pid in running.keys { try? ChildProcess.send(SIGKILL, toGroupOf: pid) }
    }
}

/// One command: its process and both of its streams.
final class CommandRun {
    private static let chunk = 32 * 1024
    // What a process that has left may have written before: what a pipe holds, and some more.
    private static let lastReads = 64

    private let order: CommandOrder
    private let message: KeptMessage
    private let decided: (MailboxOutcome) -> Void
    private var sent = 0
    // What was read of the message and not yet taken.
    private var slice: ArraySlice<UInt8> = []
    private var report = CommandReport()
    private var input: FileDescriptor?
    private var output: FileDescriptor?
    private var inputWatch: Watch?
    private var outputWatch: Watch?
    private let timer = Timer()

    init(_ order: CommandOrder, _ message: KeptMessage, decided: @escaping (MailboxOutcome) -> Void) {
        self.order = order
        self.message = message
        self.decided = decided
    }

    isolated deinit { close() }

    /// The number of the process; nil when it could not be started, which has been said then.
    func start(
        _ shell: borrowing FileDescriptor, _ limitMilliseconds: UInt64, timedOut: @escaping (Int32) -> Void
    ) -> Int32? {
        do {
            let pid = try launch(shell)
            timer.start(afterMilliseconds: limitMilliseconds) { timedOut(pid) }
            if sent == message.count { closeInput() } else { inputWatch?.enable() }
            outputWatch?.enable()
            return pid
        } catch {
            close()
            decided(.deferred("The command cannot be started: \(error)"))
            return nil
        }
    }

    private func launch(_ shell: borrowing FileDescriptor) throws -> Int32 {
        let standardInput = try FileDescriptor.pipe()
        let standardOutput = try FileDescriptor.pipe()
        try standardInput.right.setNonblocking()
        try standardOutput.left.setNonblocking()
        // Before the start: a command that ends at once has then had as much as a pipe holds.
        send(to: standardInput.right.number)
        var start = ProcessStart(
            name: "sh", arguments: ["-c", order.command], input: standardInput.left.number,
            output: standardOutput.right.number, errors: standardOutput.right.number)
        start.directory = order.directory
        start.session = .own
        let spawner = Spawner(programs: ProgramSet(), environment: ProcessEnvironment(lines: order.environment))
        let pid = try spawner.start(start, program: shell)
        inputWatch = Watch(standardInput.right.number, for: .writing) { [unowned self] _ in writable() }
        outputWatch = Watch(standardOutput.left.number, for: .reading) { [unowned self] _ in readable() }
        standardInput.split { _, ours in input = consume ours }
        standardOutput.split { ours, _ in output = consume ours }
        return pid
    }

    // MARK: Streams

    private func writable() {
        guard let number = input?.number else { return }
        if !send(to: number) || sent == message.count { closeInput() }
    }

    /// False when the command takes no more.
    @discardableResult
    private func send(to number: Int32) -> Bool {
        while sent < message.count {
            if slice.isEmpty {
                guard let next = try? message.slice(at: sent, atMost: Self.chunk), !next.isEmpty else { return false }
                slice = next[...]
            }
            let count = slice.withUnsafeBytes { buffer in
                FileDescriptor.retrying { write(number, buffer.baseAddress, buffer.count) }
            }
            guard count > 0 else { return errno == EAGAIN }
            slice = slice.dropFirst(count)
            sent += count
        }
        return true
    }

    private func readable() {
        if readOnce() == 0 { closeOutput() }
    }

    /// How much has come; 0 at the end, negative when nothing waits.
    private func readOnce() -> Int {
        guard let number = output?.number else { return 0 }
        var result = 0
        let chunk = [UInt8](unsafeUninitializedCapacity: Self.chunk) { buffer, count in
            result = FileDescriptor.retrying { read(number, buffer.baseAddress, Self.chunk) }
            count = max(0, result)
        }
        report.append(chunk)
        return result
    }

    // MARK: The end

    func conclude(_ end: CommandReport.End) {
        // What it started and left behind may hold the stream open for ever.
        for _ in 0..<Self.lastReads where readOnce() <= 0 { break }
        close()
        decided(report.outcome(end, hasTakenAll: sent == message.count))
    }

    private func close() {
        timer.stop()
        closeInput()
        closeOutput()
    }

    private func closeInput() {
        // An event must be gone before its descriptor is.
        inputWatch = nil
        input = nil
    }

    private func closeOutput() {
        outputWatch = nil
        output = nil
    }
}

/// A message for a command, which starts when all of it has come.
final class CommandSink: MessageSink {
    private let order: CommandOrder
    private let runner: CommandRunner
    private let decided: (MailboxOutcome) -> Void
    private let message: KeptMessage
    private var lineEnds = LineEnds()

    init(
        _ order: CommandOrder, _ fields: [UInt8], _ runner: CommandRunner,
        decided: @escaping (MailboxOutcome) -> Void
    ) {
        self.order = order
        self.runner = runner
        self.decided = decided
        message = KeptMessage(fields)
    }

    func append(_ content: [UInt8]) {
        var converted: [UInt8] = []
        converted.reserveCapacity(content.count)
        lineEnds.convert(content, into: &converted)
        message.append(converted)
    }

    func end() {
        var rest: [UInt8] = []
        lineEnds.finish(into: &rest)
        message.append(rest)
        if let failure = message.failure {
            return decided(.deferred("The message cannot be kept for the command: \(failure)"))
        }
        runner.run(order, message, decided: decided)
    }

    func abandon() {}
}
