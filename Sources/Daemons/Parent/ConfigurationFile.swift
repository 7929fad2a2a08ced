// SPDX-License-Identifier: ISC

import Configuration
import Host
import Posix

/// The configuration as it stands on the disk.
enum ConfigurationFile {
    static func read(_ invocation: Invocation) -> ParsedConfiguration {
        let options = ParseOptions(definitions: invocation.definitions)
        return ServerConfiguration.parse(file: invocation.file, options: options, sourceReader: SourceText.file)
    }

    /// `martletd -n`: says what is wrong, or that nothing is. The status to exit with.
    static func check(_ invocation: Invocation) -> Int32 {
        let result = read(invocation)
        guard let configuration = result.configuration else {
            for error in result.errors { ThisProcess.say(text(of: error, withSource: ThisProcess.isTerminal(2))) }
            return 1
        }
        let programs = Paths(instance: invocation.instance.map(ThisProcess.absolute)).tablePrograms
        let faults = KeyCheck.faults(of: configuration) + TableCheck.faults(of: configuration, programs: programs)
        guard faults.isEmpty else {
            for fault in faults { ThisProcess.say("\(fault)\n") }
            return 1
        }
        if invocation.isVerbose {
            for name in result.unusedMacros { ThisProcess.say("warning: macro '\(name)' not used\n") }
            ThisProcess.say(configuration.printed(for: .all), on: 1)
        }
        ThisProcess.say("configuration OK\n")
        return 0
    }

    /// One mistake in one line, or with the source line and a caret below the place.
    nonisolated static func text(of error: Diagnostic, withSource: Bool) -> String {
        let line = "\(error)\n"
        guard withSource, !error.sourceLine.isEmpty, error.location.column > 0 else { return line }
        // Tabs are kept, so that the caret stands below its place however wide they are; of a character of several bytes
        // one counts.
        let lead = error.sourceLine.utf8.prefix(error.location.column - 1).filter { $0 & 0xC0 != 0x80 }
            .map { $0 == 9 ? "\t" : " " }.joined()
        return "\(line)    \(error.sourceLine)\n    \(lead)^\n"
    }
}
