// SPDX-License-Identifier: ISC

import Foundation
import Testing

/// Next hops that do what they must not do (Tests/Support/Peers/hostile.py), each on a port of its own.
final class HostileServers {
    private let program: Program
    private(set) var ports: [String: Int] = [:]

    init(_ modes: [String]) throws {
        program = try Program(["python3", Host.support("hostile.py"), "127.0.0.1"] + modes)
        for mode in modes {
            let line = try #require(program.output.wait(for: "ready \(mode) "), "\(program.errors.text)")
            ports[mode] = line.split(separator: " ").last.flatMap { Int($0) }
        }
    }

    func connections(_ mode: String) -> Int { program.output.lines(containing: "connect \(mode) ").count }
    func messages(_ mode: String) -> Int { program.output.lines(containing: "message \(mode) ").count }

    func waitForClosed(_ mode: String, _ number: Int, seconds: Double = 60) -> Bool {
        program.output.wait(for: "closed \(mode) \(number)", seconds: seconds) != nil
    }

    func waitForConnection(_ mode: String, seconds: Double = 60) -> Bool {
        program.output.wait(for: "connect \(mode) ", seconds: seconds) != nil
    }

    func waitForMessage(_ mode: String, seconds: Double = 60) -> Bool {
        program.output.wait(for: "message \(mode) ", seconds: seconds) != nil
    }
}
