// SPDX-License-Identifier: ISC

import Foundation
import Glibc

/// Tables of a story: files and the programs behind them, all in the directory of the instance.
struct TableFiles {
    let instance: Instance

    init(_ instance: Instance) throws {
        self.instance = instance
        let libexec = "\(instance.directory)/libexec"
        try FileManager.default.createDirectory(atPath: libexec, withIntermediateDirectories: true)
        let script = "\(libexec)/table-python"
        if !FileManager.default.fileExists(atPath: script) {
            try FileManager.default.copyItem(atPath: Host.support("table.py"), toPath: script)
        }
        chmod(libexec, 0o755)
        chmod(script, 0o755)
    }

    func path(_ name: String) -> String { "\(instance.directory)/\(name)" }

    @discardableResult
    func write(_ name: String, _ text: String) throws -> String {
        try text.write(toFile: path(name), atomically: true, encoding: .utf8)
        chmod(path(name), 0o644)
        return path(name)
    }

    /// The file of a table behind the program of the tests, which may write down what it hears.
    @discardableResult
    func writeProgram(_ name: String, _ text: String) throws -> String {
        try "".write(toFile: path(name) + ".log", atomically: true, encoding: .utf8)
        chmod(path(name) + ".log", 0o666)
        return try write(name, text)
    }

    /// What the program has heard: the questions, without time and table.
    func heard(_ name: String) -> [String] {
        let text = (try? String(contentsOfFile: path(name) + ".log", encoding: .utf8)) ?? ""
        return text.split(separator: "\n").filter { $0.hasPrefix("table|") }.map { line in
            let fields = line.split(separator: "|", omittingEmptySubsequences: false)
            let rest = fields.dropFirst(4)
            return rest.first == "fetch" || rest.first == "update"
                ? rest.dropLast().joined(separator: "|")
                : (rest.prefix(2) + rest.dropFirst(3)).joined(separator: "|")
        }
    }

    /// Runs martletctl under the name of another of its programs.
    func tool(_ name: String, _ arguments: [String], input: String = "") throws -> Program.Result {
        try Program.run([Host.program("martletctl"), name] + arguments, input: input, as: instance.owner)
    }
}
