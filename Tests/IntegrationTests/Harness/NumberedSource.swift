// SPDX-License-Identifier: ISC

import Testing

/// Brings in numbered messages until it is stopped, whatever becomes of the server (Tests/Support/Peers/source.py).
final class NumberedSource {
    private let program: Program
    private static let size = 3000

    init(_ instance: Instance, to recipients: [String], connections: Int = 4, pause: Double = 0.02) throws {
        program = try Program(
            [
                "python3", Host.support("source.py"), "127.0.0.1", "\(instance.port)", "\(connections)",
                "\(NumberedSource.size)", "\(pause)",
            ] + recipients)
    }

    /// Whether that many more were acknowledged.
    func waitForMore(_ count: Int, seconds: Double = 60) -> Bool {
        let before = acknowledged.count
        return program.output.wait(for: before + count, containing: "acknowledged ", seconds: seconds)
    }

    var acknowledged: Set<Int> {
        Set(program.output.lines(containing: "acknowledged ").compactMap { Int($0.split(separator: " ")[1]) })
    }

    /// Ends it and returns the numbers of all messages for which there was a 250.
    func finish() throws -> Set<Int> {
        program.endInput()
        try #require(program.wait(seconds: 60) == 0, "\(program.errors.text)")
        program.output.waitForEnd(seconds: 5)
        return acknowledged
    }

    /// How often each number arrived, and what is wrong with any of them.
    static func count(_ messages: [String]) -> (times: [Int: Int], halves: [String]) {
        var times: [Int: Int] = [:]
        var halves: [String] = []
        for message in messages {
            guard let number = message.headerField("X-Number").flatMap({ Int($0) }) else {
                halves.append("no number: \(message.prefix(300))")
                continue
            }
            times[number, default: 0] += 1
            let lines = (0..<size / 20).map { "line \($0) of \(number)\n" }.joined()
            if message.messageBody != lines + "end of \(number)\n" { halves.append("message \(number) is not whole") }
        }
        return (times, halves)
    }
}
