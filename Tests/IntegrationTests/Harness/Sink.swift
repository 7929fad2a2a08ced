// SPDX-License-Identifier: ISC

import Foundation
import Glibc
import Testing

/// The next hop: an SMTP server that does as it is told and keeps what it gets (Tests/Support/Peers/sink.py).
final class Sink {
    let directory: String
    let port: Int
    private let program: Program

    init(
        _ instance: Instance, address: String = "127.0.0.1", port: Int? = nil, options: [String] = []
    ) throws {
        let port = try port ?? Host.freePort(address)
        directory = "\(instance.directory)/sink.\(address).\(port)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        self.port = port
        program = try Program(["python3", Host.support("sink.py"), address, "\(port)", directory] + options)
        guard program.output.wait(for: "ready") != nil else { throw Failure("no sink: \(program.errors.text)") }
    }

    /// One that listens on a Unix socket.
    init(_ instance: Instance, path: String) throws {
        directory = "\(instance.directory)/sink"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        port = 0
        program = try Program(["python3", Host.support("sink.py"), path, "0", directory])
        guard program.output.wait(for: "ready") != nil else { throw Failure("no sink: \(program.errors.text)") }
    }

    /// Whether a client waits for the reply of a phase that was told to hang.
    func waitForHang(_ phase: String) -> Bool {
        eventually { lines(containing: "hangs ").contains { $0.hasSuffix(" \(phase)") } }
    }

    /// A port on which nothing listens until `open` is called.
    static func closed(_ instance: Instance) throws -> Int { try Host.freePort() }

    /// Gives `reply` in a phase from now on; as usual without one.
    func answer(_ phase: String, _ reply: String = "") throws {
        let order = reply.isEmpty ? phase : "\(phase) \(reply)"
        let before = program.output.lines.count
        try program.write(order + "\n")
        _ = try #require(program.output.wait(for: "order \(order)", from: before))
    }

    /// What it has said that holds `text`.
    func lines(containing text: String) -> [String] { program.output.lines(containing: text) }

    var connections: Int { program.output.lines(containing: "connect ").count }

    /// What arrived: one line each, `message NUMBER connection=N from=<...> to=...`.
    var messages: [String] { program.output.lines(containing: "message ") }

    /// A message as it arrived, and over which connection.
    struct Arrival {
        let connection: String
        let content: String
    }

    /// What arrived, in order.
    func arrivals() -> [Arrival] {
        messages.compactMap { line in
            let words = line.split(separator: " ")
            guard words.count > 2, let content = FileManager.default.contents(atPath: "\(directory)/\(words[1])") else {
                return nil
            }
            return Arrival(
                connection: String(words[2].dropFirst("connection=".count)),
                content: String(decoding: content, as: UTF8.self))
        }
    }

    /// The connections that have ended without QUIT.
    var cutConnections: Set<String> { Set(lines(containing: "cut ").map { String($0.dropFirst("cut ".count)) }) }

    /// What it has said with that word first: `connect N from=ADDRESS`, `hello N NAME`.
    func lines(_ word: String) -> [String] { program.output.lines(containing: word) }

    func waitForMessages(_ count: Int, seconds: Double = 30) -> Bool {
        program.output.wait(for: count, containing: "message ", seconds: seconds)
    }

    func waitForConnection(after count: Int, seconds: Double = 30) -> Bool {
        program.output.wait(for: count + 1, containing: "connect ", seconds: seconds)
    }

    /// The contents of the messages in the order of their arrival.
    func contents() -> [String] {
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []).filter {
            !$0.hasPrefix(".")
        }
        return names.sorted().compactMap {
            FileManager.default.contents(atPath: "\(directory)/\($0)").map { String(decoding: $0, as: UTF8.self) }
        }
    }

    func stop() {
        program.kill(SIGKILL)
        program.wait()
    }
}
