// SPDX-License-Identifier: ISC

import Configuration
import IPC
import Testing

@testable import Parent

@Suite struct InvocationTests {
    @Test(
        arguments: [
            ([], Invocation.Task.goToBackground, false),
            (["-d"], .serveForPerson, false),
            (["-F"], .serve, false),
            (["-dv"], .serveForPerson, true),
            (["-vd"], .serveForPerson, true),
            (["-n"], .checkConfiguration, false),
            (["-nv"], .checkConfiguration, true),
            (["-dn"], .checkConfiguration, false),
            (["-nd"], .checkConfiguration, false),
            (["-nF"], .checkConfiguration, false),
            (["-dF"], .serveForPerson, false),
            (["-h"], .showUsage, false),
            (["-dTall"], .serveForPerson, true),
            (["-T", "transfer", "-F"], .serve, true),
            (["--background", "-v"], .serveInBackground, true),
        ] as [([String], Invocation.Task, Bool)])
    func `letters stand alone or together`(arguments: [String], task: Invocation.Task, isVerbose: Bool) throws {
        let invocation = try Invocation(parsing: arguments)
        #expect(invocation.task == task)
        #expect(invocation.isVerbose == isVerbose)
        #expect(invocation.file == "/etc/martlet/martlet.conf")
    }

    @Test(arguments: [["-f", "/a b"], ["-f/a b"], ["-vf", "/a b"], ["-nf/a b"]])
    func `a file follows its letter`(arguments: [String]) throws {
        #expect(try Invocation(parsing: arguments).file == "/a b")
    }

    @Test func `macros are kept in order`() throws {
        let invocation = try Invocation(parsing: ["-D", "a=1", "-Db=2 3", "--instance", "/tmp/x"])
        #expect(
            invocation.definitions == [
                MacroDefinition(name: "a", value: "1"), MacroDefinition(name: "b", value: "2 3"),
            ])
        #expect(invocation.instance == "/tmp/x")
    }

    @Test(arguments: [
        ["-x"], ["-"], ["file"], ["-f"], ["-D"], ["-D", "a"], ["-D", "=a"], ["--instance"], ["--instance", ""],
        ["--what"], ["-T"], ["-T", "weather"], ["-P"], ["-P", "queue"], ["-Pmta,mda"], ["-B", "queue=ram"],
    ])
    func `a mistake is refused`(arguments: [String]) {
        #expect(throws: Invocation.Mistake.self) { try Invocation(parsing: arguments) }
    }

    @Test func `what the reference has and this one has not is named`() {
        let mistake = #expect(throws: Invocation.Mistake.self) { try Invocation(parsing: ["-B", "queue=ram"]) }
        #expect(mistake?.reason.contains("of one kind") == true)
    }

    @Test func `the server in the background is told the same, with absolute paths`() throws {
        let first = try Invocation(
            parsing: ["-v", "-f", "my.conf", "-D", "a=b=c", "--instance", "here", "-Psmtp", "-P", "mta", "-P", "mta"])
        let arguments = first.argumentsInBackground { "/root/\($0)" }
        let second = try Invocation(parsing: arguments)
        #expect(second.task == .serveInBackground)
        #expect(second.isVerbose)
        #expect(second.file == "/root/my.conf")
        #expect(second.instance == "/root/here")
        #expect(second.definitions == first.definitions)
        #expect(second.paused == [.smtp, .mta])
    }
}

@Suite struct DiagnosticTextTests {
    private let error = Diagnostic(
        location: SourceLocation(file: "a.conf", line: 3, column: 4), message: "syntax error", sourceLine: "\tab cd")

    @Test func `for a file it is one line`() {
        #expect(ConfigurationFile.text(of: error, withSource: false) == "a.conf:3:4: syntax error\n")
    }

    @Test func `for a person the caret stands below the place, tabs kept`() {
        #expect(
            ConfigurationFile.text(of: error, withSource: true)
                == "a.conf:3:4: syntax error\n    \tab cd\n    \t  ^\n")
        let wide = Diagnostic(
            location: SourceLocation(file: "a.conf", line: 1, column: 6), message: "no", sourceLine: "\u{fc}\u{e4}\" x")
        #expect(
            ConfigurationFile.text(of: wide, withSource: true) == "a.conf:1:6: no\n    \u{fc}\u{e4}\" x\n       ^\n")
    }
}
