// SPDX-License-Identifier: ISC

import Foundation
import Glibc

/// A process that a story starts.
final class Program {
    let pid: pid_t
    let output: LineCollector
    let errors: LineCollector
    private let input: Int32
    private var isInputOpen = true
    private(set) var status: Int32?

    /// Looks the program up in PATH when its name has no slash. `user` is whom it becomes (nil: nobody else).
    init(
        _ arguments: [String], environment: [String: String] = [:], as user: Host.Account? = nil,
        in directory: String? = nil
    ) throws {
        var words = arguments
        if let user {
            words =
                ["setpriv", "--reuid", "\(user.uid)", "--regid", "\(user.gid)", "--clear-groups", "--"] + arguments
        }
        let standardInput = try Program.pipe()
        let standardOutput = try Program.pipe()
        let standardError = try Program.pipe()
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, standardInput.read, 0)
        posix_spawn_file_actions_adddup2(&actions, standardOutput.write, 1)
        posix_spawn_file_actions_adddup2(&actions, standardError.write, 2)
        posix_spawn_file_actions_addclosefrom_np(&actions, 3)
        if let directory { posix_spawn_file_actions_addchdir_np(&actions, directory) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigaddset(&signals, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

        var variables = ProcessInfo.processInfo.environment
        // The library of the test runner is none of theirs.
        variables["LD_LIBRARY_PATH"] = nil
        variables["PATH"] = (variables["PATH"] ?? "/usr/bin:/bin") + ":/usr/sbin:/sbin"
        variables.merge(environment) { $1 }
        var pid: pid_t = 0
        let failure = Program.withCStrings(words) { words in
            Program.withCStrings(variables.map { "\($0)=\($1)" }) { variables in
                posix_spawnp(&pid, words[0]!, &actions, &attributes, words, variables)
            }
        }
        for descriptor in [standardInput.read, standardOutput.write, standardError.write] { close(descriptor) }
        self.pid = pid
        input = standardInput.write
        output = LineCollector(standardOutput.read)
        errors = LineCollector(standardError.read)
        guard failure == 0 else { throw Failure("\(words[0]): \(String(cString: strerror(failure)))") }
    }

    deinit {
        endInput()
        if status == nil, pid > 0 {
            Glibc.kill(pid, SIGKILL)
            wait(seconds: 5)
        }
    }

    func write(_ text: String) throws {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(input, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw Failure("a pipe broke: \(String(cString: strerror(errno)))") }
            rest = rest.dropFirst(count)
        }
    }

    func endInput() {
        if isInputOpen { close(input) }
        isInputOpen = false
    }

    func kill(_ signal: Int32) { if status == nil { Glibc.kill(pid, signal) } }

    /// The exit status, 128 and the signal for one that was killed; nil when it has not ended in time.
    @discardableResult
    func wait(seconds: Double = 60) -> Int32? {
        if let status { return status }
        let deadline = Deadline(seconds: seconds)
        while true {
            var word: Int32 = 0
            let ended = waitpid(pid, &word, WNOHANG)
            if ended == pid {
                status = word & 0x7F == 0 ? word >> 8 & 0xFF : 128 + word & 0x7F
                return status
            }
            guard ended == 0, !deadline.isOver else { return nil }
            poll(nil, 0, 5)
        }
    }

    struct Result {
        let status: Int32
        let output: String
        let errors: String
        var lines: [String] { output.split(separator: "\n").map(String.init) }
    }

    /// Runs a program to its end.
    @discardableResult
    static func run(
        _ arguments: [String], input: String = "", environment: [String: String] = [:], as user: Host.Account? = nil,
        seconds: Double = 30
    ) throws -> Result {
        let program = try Program(arguments, environment: environment, as: user)
        if !input.isEmpty { try program.write(input) }
        program.endInput()
        guard let status = program.wait(seconds: seconds) else {
            throw Failure("\(arguments.joined(separator: " ")): not ended after \(seconds) s: \(program.errors.text)")
        }
        program.output.waitForEnd(seconds: 2)
        program.errors.waitForEnd(seconds: 2)
        return Result(status: status, output: program.output.text, errors: program.errors.text)
    }

    private static func pipe() throws -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        guard pipe2(&ends, O_CLOEXEC) == 0 else { throw Failure("pipe: \(String(cString: strerror(errno)))") }
        // A program that has left must not end the tests.
        _ = signal(SIGPIPE, SIG_IGN)
        return (ends[0], ends[1])
    }

    private static func withCStrings<Result>(
        _ texts: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        var pointers: [UnsafeMutablePointer<CChar>?] = texts.map { strdup($0) }
        pointers.append(nil)
        defer { for pointer in pointers { free(pointer) } }
        return pointers.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
    }
}
