// SPDX-License-Identifier: ISC

import Foundation
import Testing

/// Runs Postfix's smtp-source again and again: it ends at the first connection that breaks, and with status 0 only when
/// every message of the run was acknowledged.
final class SourceRuns {
    static let messages = 40
    private static let mostRuns = 2000

    private let program: Program
    private let stop: String

    init(_ instance: Instance, to recipient: String) throws {
        stop = "\(instance.directory)/stop-source"
        let script = """
            cd "$1" && run=0
            while [ "$run" -lt \(Self.mostRuns) ] && [ ! -e "$4" ]; do
                run=$((run + 1))
                printf 'Subject: run\\nX-Run: %s\\n\\nbody of %s\\n' "$run" "$run" >"source.$$"
                if "$5" -s 4 -m \(Self.messages) -f alice@example.org -t "$2" -F "source.$$" "$3" 2>/dev/null; then
                    echo "whole $run"
                else
                    echo "broken $run"
                fi
            done
            rm -f "source.$$"
            """
        program = try Program(
            [
                "sh", "-c", script, "sh", instance.directory, recipient, "127.0.0.1:\(instance.port)", stop,
                Host.postfix("smtp-source"),
            ], environment: Host.postfixEnvironment)
    }

    /// Whether one more run was acknowledged as a whole.
    func waitForWhole() -> Bool {
        let before = program.output.lines(containing: "whole ").count
        return program.output.wait(for: before + 1, containing: "whole ")
    }

    /// Ends it: the runs of which every message was acknowledged, and how many were not.
    func finish() throws -> (whole: [Int], broken: Int) {
        _ = FileManager.default.createFile(atPath: stop, contents: nil)
        try #require(program.wait() == 0, "\(program.errors.text)")
        program.output.waitForEnd()
        let whole = program.output.lines(containing: "whole ").compactMap { Int($0.split(separator: " ")[1]) }
        return (whole, program.output.lines(containing: "broken ").count)
    }
}
