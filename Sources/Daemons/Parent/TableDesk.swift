// SPDX-License-Identifier: ISC

import Bytes
import Configuration
import Host
import IPC
import Launch
import Posix
import Reactor
import Channel

/// Starts the programs behind tables and hands their streams to Lookup, one program for each table of each Lookup. They are
/// foreign: they run as the user of foreign programs, whatever they are, and none of them as a daemon.
final class TableDesk {
    // A program that is told that it is not wanted may have something to put in order.
    private static let farewellMilliseconds: UInt64 = 5_000

    private final class Program {
        let table: String
        /// The Lookup that it serves.
        let owner: Int32
        let errors: ErrorLines
        var isDismissed = false
        let timer = Timer()

        init(table: String, owner: Int32, errors: ErrorLines) {
            self.table = table
            self.owner = owner
            self.errors = errors
        }
    }

    private struct Key: Hashable {
        let table: String
        let owner: Int32
    }

    private let spawner: Spawner
    private let directories: [String]
    private let user: SystemUser?
    private let log: Log
    private var programs: [Int32: Program] = [:]
    private var replacements: [Key: Replacement] = [:]
    private var starts: [Key: UInt64] = [:]
    // Of a Lookup's programs, to be told when it cannot start.
    private var lastWords: [Int32: String] = [:]

    /// `user` is whom the programs become; nobody else when not started by root.
    init(spawner: Spawner, directories: [String], user: SystemUser?, log: Log) {
        self.spawner = spawner
        self.directories = directories
        self.user = user
        self.log = log
    }

    /// Starts the program of `table` for the Lookup `owner`; the stream to it. One that ran for the same is dismissed.
    func start(
        _ table: TableDefinition, for owner: Int32, delimiters: String
    ) throws(StartFailure) -> FileDescriptor {
        guard case .backend(let backend, let path) = table.kind else {
            throw StartFailure("table \(table.name) has no program")
        }
        dismiss { $0.table == table.name && $0.owner == owner }
        if ThisProcess.isRoot, user == nil {
            let command =
                "useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin"
            throw StartFailure(
                "\(table.location): table \(table.name) needs the user \(ForeignUser.name): \(command) \(ForeignUser.name)"
            )
        }
        do {
            let found = try ForeignTable.find(backend, path, delimiters: delimiters, in: directories)
            let pipe = try FileDescriptor.pipe()
            try pipe.left.setNonblocking()
            let pair = try FileDescriptor.streamPair()
            // A foreign program reads and writes as one does.
            try pair.right.setNonblocking(false)
            var start = ProcessStart(
                name: found.name, arguments: found.arguments, input: pair.right.number, output: pair.right.number,
                errors: pipe.right.number, user: user)
            start.directory = "/"
            start.session = .own
            let pid =
                switch found.program {
                case .ours: try spawner.start(.table, start)
                case .foreign(let program): try spawner.start(start, program: program.descriptor)
                }
            let name = table.name
            var lines: ErrorLines?
            pipe.split { left, _ in
                lines = ErrorLines(left) { [weak self, log] line in
                    log.warning("table \"\(name)\": \(VisibleText(line))")
                    self?.lastWords[owner] = "\(VisibleText(line))"
                }
            }
            if let lines { programs[pid] = Program(table: name, owner: owner, errors: lines) }
            starts[Key(table: name, owner: owner)] = Loop.milliseconds
            var stream = -1 as Int32
            pair.split { left, _ in stream = left.release() }
            return FileDescriptor(owning: stream)
        } catch let error as StartFailure {
            throw StartFailure("\(table.location): table \(table.name): \(error)")
        } catch {
            throw StartFailure("\(table.location): table \(table.name): \(error)")
        }
    }

    /// The same once Lookup has left the program that ran before; waits while programs of this table keep dying young.
    func restart(
        _ table: TableDefinition, for owner: Int32, delimiters: String
    ) async throws(StartFailure) -> FileDescriptor {
        let key = Key(table: table.name, owner: owner)
        dismiss { $0.table == table.name && $0.owner == owner }
        let age = Loop.milliseconds - (starts[key] ?? Loop.milliseconds)
        let pause = replacements[key, default: Replacement()].died(atAge: age)
        if pause > 0 { await Loop.pause(milliseconds: pause) }
        return try start(table, for: owner, delimiters: delimiters)
    }

    /// Ends the programs of a Lookup that has gone.
    func ended(owner: Int32) {
        dismiss { $0.owner == owner }
        replacements = replacements.filter { $0.key.owner != owner }
        starts = starts.filter { $0.key.owner != owner }
        lastWords[owner] = nil
    }

    private func dismiss(_ isMeant: (Program) -> Bool) {
        for (pid, program) in programs where isMeant(program) && !program.isDismissed {
            program.isDismissed = true
            try? ChildProcess.send(Signal.terminate, to: pid)
            program.timer.start(afterMilliseconds: Self.farewellMilliseconds) {
                try? ChildProcess.send(Signal.kill, toGroupOf: pid)
            }
        }
    }

    /// The last line that a program of that Lookup has written to its standard error.
    func lastWords(ofProgramsFor owner: Int32) -> String? {
        for program in programs.values where program.owner == owner { program.errors.drain() }
        return lastWords[owner]
    }

    /// Whether the child that ended was such a program.
    func ended(_ child: ReapedChild) -> Bool {
        guard let program = programs.removeValue(forKey: child.pid) else { return false }
        program.timer.stop()
        program.errors.drain()
        program.errors.finish()
        if !program.isDismissed { log.warning("table \"\(program.table)\": its program ended: \(child.status)") }
        return true
    }

    func close() { dismiss { _ in true } }
}

/// The program behind a table, found but not started.
struct ForeignTable {
    enum Program {
        case ours
        case foreign(OpenProgram)
    }

    final class OpenProgram {
        let descriptor: FileDescriptor
        init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }
    }

    let name: String
    let arguments: [String]
    let program: Program

    // More than any interpreter's path and its argument.
    private static let longestFirstLine = 255

    /// `delimiters` are those of sub-addresses, of which only our own program is told.
    static func find(
        _ backend: String, _ path: String?, delimiters: String, in directories: [String]
    ) throws -> ForeignTable {
        let arguments = path.map { [$0] } ?? []
        if ours.contains(backend) {
            guard path != nil else { throw StartFailure("\(backend): needs a path, as in \(backend):/path") }
            return ForeignTable(
                name: Role.table.executable, arguments: [backend] + arguments + [delimiters], program: .ours)
        }
        guard backend.utf8.allSatisfy(belongsToName) else {
            throw StartFailure("no backend \"\(VisibleText(backend))\"")
        }
        guard let file = directories.lazy.map({ "\($0)/table-\(backend)" }).first(where: { FileFacts(at: $0) != nil })
        else {
            throw StartFailure(
                "no backend \"\(backend)\": there is no program table-\(backend) in "
                    + directories.joined(separator: ", "))
        }
        let firstLine = try FileDescriptor.readable(file).read(at: 0, count: longestFirstLine)
        guard let (interpreter, argument) = interpreter(firstLine) else {
            return ForeignTable(
                name: file, arguments: arguments, program: .foreign(OpenProgram(try ProgramSet.open(file))))
        }
        // What is run by descriptor has no name that its interpreter could read. The script must be such a program, too.
        _ = try ProgramSet.open(file)
        return ForeignTable(
            name: interpreter, arguments: (argument.map { [$0] } ?? []) + [file] + arguments,
            program: .foreign(OpenProgram(try ProgramSet.open(interpreter))))
    }

    /// Backends that martlet-table serves.
    private static let ours: Set = ["db", "sqlite"]

    private static func belongsToName(_ byte: UInt8) -> Bool {
        byte.isAlphanumeric || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
    }

    // first line = "#!" *WSP path [ 1*WSP argument ] LF
    static func interpreter(_ start: [UInt8]) -> (path: String, argument: String?)? {
        guard start.starts(with: "#!".utf8), let end = start.firstIndex(of: .lineFeed) else { return nil }
        let line = String(decoding: start[2..<end], as: UTF8.self)
        let words = line.split(maxSplits: 1, whereSeparator: { $0 == " " || $0 == "\t" })
        guard let path = words.first, path.hasPrefix("/") else { return nil }
        let argument = words.dropFirst().first.map { $0.drop { $0 == " " || $0 == "\t" } }
        return (String(path), argument.flatMap { $0.isEmpty ? nil : String($0) })
    }
}
