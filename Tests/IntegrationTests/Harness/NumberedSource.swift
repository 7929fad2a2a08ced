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

    /// What arrived at the next hop more than once though no death explains it.
    ///
    /// Only a relay that dies can have something brought there again: what was under way, that is the last message of a
    /// connection that its death has cut. What it brought before has an outcome, which Queue had, or asks it for.
    static func unexplained(_ sink: Sink) -> (repeated: Int, unexplained: [String]) {
        let arrivals = sink.arrivals()
        let cut = sink.cutConnections
        var last: [String: Int] = [:]
        for (index, arrival) in arrivals.enumerated() { last[arrival.connection] = index }
        var copies: [String: [Int]] = [:]
        for (index, arrival) in arrivals.enumerated() {
            copies[arrival.content.headerField("X-Number") ?? "none", default: []].append(index)
        }
        let repeated = copies.filter { $0.value.count > 1 }
        let unexplained = repeated.filter { _, indices in
            !indices.dropLast().allSatisfy { index in
                let connection = arrivals[index].connection
                return cut.contains(connection) && last[connection] == index
            }
        }
        return (repeated.count, unexplained.map { "\($0.key) by \($0.value.map { arrivals[$0].connection })" })
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
