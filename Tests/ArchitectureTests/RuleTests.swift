// SPDX-License-Identifier: ISC

import Glibc
import Testing

/// A small tree that breaks one rule, in a directory that goes away with this value.
final class FakeHouse {
    let root: String
    private var made: [String] = []

    init(_ files: [String: String]) throws {
        var template = Array("/tmp/martlet-house-XXXXXX".utf8CString)
        root = mkdtemp(&template).map { String(cString: $0) } ?? ""
        try #require(!root.isEmpty)
        for (path, text) in files {
            var folder = root
            for part in path.split(separator: "/").dropLast() {
                folder += "/" + part
                if mkdir(folder, 0o700) == 0 { made.append(folder) }
            }
            let file = try #require(fopen("\(root)/\(path)", "w"))
            fputs(text, file)
            fclose(file)
            made.append("\(root)/\(path)")
        }
    }

    deinit {
        for path in made.reversed() { remove(path) }
        rmdir(root)
    }

    var tree: SourceTree { SourceTree(root: root) }
}

@Suite struct RuleTests {
    private static let license = "// SPDX-License-Identifier: ISC\n"

    /// A house in order, to which each test adds what is wrong.
    private static let good: [String: String] = [
        "Sources/Core/Bytes/ASCII.swift": license,
        "Sources/Core/Mail/Domain.swift": license + "public import Bytes\n",
        "Sources/Core/SMTP/Command.swift": license + "import Mail\n",
        "Sources/Core/DNS/Name.swift": license + "import Bytes\n",
        "Sources/Core/IPC/Wire.swift": license + "import Mail\n",
        "Sources/Core/Routing/Rule.swift": license + "import DNS\n",
        "Sources/Core/Schedule/Heap.swift": license + "import Mail\n",
        "Sources/System/Posix/Files.swift": license + "import CPosix\n@preconcurrency public import Glibc\n",
        "Sources/System/Reactor/Loop.swift": license + "internal import CEvent\nimport Posix\n",
        "Sources/System/Spool/Spool.swift": license + "import Posix\n",
        "Sources/Daemons/Queue/Queue.swift": license + "import Spool\nimport Schedule\n",
        "Sources/Daemons/Keys/Keys.swift": license + "import COpenSSL\n",
        "Sources/Daemons/Resolver/Resolver.swift": license + "import CUnbound\n",
        "Sources/Tools/Mailbox/Agent.swift": license + "import Glibc\n// fatal" + "Error is a word of comments\n",
        "Tests/MailTests/DomainTests.swift": license + "import Mail\n",
    ]

    private func violations(adding path: String, _ text: String) throws -> [String] {
        var files = Self.good
        files[path] = text
        return Rules(tree: try FakeHouse(files).tree).violations
    }

    @Test func `a house in order has nothing against it`() throws {
        #expect(Rules(tree: try FakeHouse(Self.good).tree).violations == [])
    }

    @Test(arguments: [
        ("Sources/Core/Bytes/X.swift", "import Mail"), ("Sources/Core/Mail/X.swift", "import SMTP"),
        ("Sources/Core/SMTP/X.swift", "import DNS"), ("Sources/Core/IPC/X.swift", "import Routing"),
        ("Sources/Core/Routing/X.swift", "import Schedule"), ("Sources/Core/Schedule/X.swift", "import Routing"),
        ("Sources/Core/SMTP/X.swift", "import Posix"), ("Sources/Core/SMTP/X.swift", "import Queue"),
        ("Sources/Core/SMTP/X.swift", "import Glibc"), ("Sources/Core/SMTP/X.swift", "public import CPosix"),
        ("Sources/Core/SMTP/X.swift", "import Foundation"), ("Sources/System/Posix/X.swift", "import Dispatch"),
        ("Sources/Tools/Mailbox/X.swift", "import FoundationEssentials"),
        ("Sources/System/Posix/X.swift", "import Queue"), ("Sources/System/Posix/X.swift", "import Mailbox"),
        ("Sources/Daemons/Queue/X.swift", "import Keys"), ("Sources/Daemons/Queue/X.swift", "import struct Keys.Ring"),
        ("Sources/Tools/Mailbox/X.swift", "@testable import Queue"), ("Sources/Daemons/Keys/X.swift", "import Spool"),
        ("Sources/Daemons/Keys/X.swift", "import Schedule"), ("Sources/Daemons/Queue/X.swift", "import Routing"),
        ("Sources/Daemons/Queue/X.swift", "import Glibc"), ("Sources/Daemons/Queue/X.swift", "import CEvent"),
        ("Sources/System/Posix/X.swift", "import CEvent"), ("Sources/System/Posix/X.swift", "import CUnbound"),
        ("Sources/Daemons/Queue/X.swift", "import COpenSSL"), ("Sources/Daemons/Keys/X.swift", "import CSeccomp"),
        ("Sources/Daemons/Keys/X.swift", "@_spi(Some) internal import CEvent"),
    ])
    func `an import that may not be is found`(path: String, line: String) throws {
        let found = try violations(adding: path, Self.license + line + "\n")
        #expect(found.count == 1)
        #expect(found.first?.hasPrefix("\(path) imports ") == true)
    }

    @Test func `a file without its license is found, in tests too`() throws {
        #expect(try violations(adding: "Sources/Core/Mail/X.swift", "import Bytes\n").count == 1)
        #expect(try violations(adding: "Tests/MailTests/X.swift", "\n" + Self.license).count == 1)
        #expect(try violations(adding: "Sources/System/CPosix/x.c", "int x;\n").count == 1)
        #expect(try violations(adding: "Sources/System/CPosix/x.c", "/* SPDX-License-Identifier: ISC */\n") == [])
    }

    private static let licenseOfC = "/* SPDX-License-Identifier: ISC */\n"

    @Test(arguments: [
        ("Sources/Daemons/Queue/x.c", "int x;"), ("Sources/Core/Bytes/x.h", "int x;"),
        ("Sources/System/Spool/x.c", "int x;"), ("Sources/System/CEvent/x.h", "#include <event2/event.h>"),
        ("Sources/System/CEvent/shim.h", String(repeating: "int x;\n", count: 10)),
        ("Sources/System/CPosix/x.c", "#include <openssl/evp.h>"), ("Sources/System/CPosix/x.c", "  strcpy(a, b);"),
        ("Sources/System/CPosix/x.c", "if (system(\"true\"))"),
        ("Sources/System/CSigner/x.c", "#include <unistd.h>"),
        ("Sources/System/CSigner/x.c", "#include <sys/socket.h>"),
        ("Sources/System/CSigner/include/x.h", "#include <event2/event.h>"),
    ])
    func `C where it may not be, or that calls what it may not, is found`(path: String, text: String) throws {
        let found = try violations(adding: path, Self.licenseOfC + text + "\n")
        #expect(found.count == 1)
        #expect(found.first?.hasPrefix(path) == true)
    }

    @Test(arguments: [
        ("Sources/System/CPosix/x.c", "#include <sys/socket.h>\n/* no strcpy here */"),
        ("Sources/System/CSigner/x.c", "#include \"CSigner.h\"\n#include <openssl/evp.h>\n#include <string.h>"),
        ("Sources/System/CEvent/shim.h", "#include <event2/event.h>"), ("Tests/Fuzz/CFuzzer/x.c", "int x;"),
    ])
    func `C in its place is left alone`(path: String, text: String) throws {
        #expect(try violations(adding: path, Self.licenseOfC + text + "\n") == [])
    }

    @Test func `more C than the house allows itself is found`() throws {
        let rest = String(repeating: "int x;\n", count: 599)
        var files = Self.good
        files["Sources/System/CPosix/x.c"] = Self.licenseOfC + rest
        #expect(Rules(tree: try FakeHouse(files).tree).violations == [])
        files["Sources/System/CPosix/y.c"] = Self.licenseOfC + rest
        #expect(Rules(tree: try FakeHouse(files).tree).violations == ["CPosix: 1200 lines of C, 700 are allowed"])
    }

    @Test func `a file of 600 lines may be and one of 601 may not`() throws {
        let rest = String(repeating: "\n", count: 599)
        #expect(try violations(adding: "Sources/Core/Mail/X.swift", Self.license + rest) == [])
        #expect(try violations(adding: "Sources/Core/Mail/X.swift", Self.license + rest + "\n").count == 1)
    }

    @Test(arguments: ["try" + "! f()", "x as" + "! Int", "fatal" + "Error()", "f() // TODO" + ": later"])
    func `a word that may not be is found`(line: String) throws {
        #expect(try violations(adding: "Sources/Core/Mail/X.swift", Self.license + line + "\n").count == 1)
        #expect(try violations(adding: "Sources/Core/Mail/X.swift", Self.license + "    // " + line + "\n") == [])
    }

    @Test func `a fifth word under Sources is found`() throws {
        #expect(try violations(adding: "Sources/Common/Mail2/X.swift", Self.license).count == 1)
    }
}

@Suite struct EdgesTests {
    private static let good: [String: String] = [
        "Sources/Core/IPC/Topology.swift": "    Edge(.listener, .queue),\n    Edge(.relay, .keys),\n",
        "Sources/Core/IPC/One.swift":
            "extension ListenerToQueue: EdgeMessage {\nextension QueueToListener: EdgeMessage {\n",
        "Sources/Core/IPC/Two.swift": "extension ToKeys: EdgeMessage {\nextension FromKeys: EdgeMessage {\n",
        "Sources/Daemons/Listener/A.swift": "let queue: Peer<QueueToListener, ListenerToQueue>\n",
        "Sources/Daemons/Queue/A.swift": "let listener: Peer<ListenerToQueue, QueueToListener>\n",
        "Sources/Daemons/Delivery/A.swift": "let keys: Peer<FromKeys, ToKeys>\n",
        "Sources/Daemons/Keys/A.swift": "let peers: [Peer<ToKeys, FromKeys>]\n",
    ]

    private func violations(_ change: (inout [String: String]) -> Void, unused: Set<Edges.Pair> = []) throws -> [String]
    {
        var files = Self.good
        change(&files)
        return Edges(tree: try FakeHouse(files).tree).violations(unused: unused)
    }

    @Test func `a table that is what programs speak has nothing against it`() throws {
        #expect(try violations { _ in } == [])
    }

    @Test func `an edge that one end does not speak is found`() throws {
        let found = try violations { $0["Sources/Daemons/Delivery/A.swift"] = "\n" }
        #expect(found == ["relay - keys: relay never speaks of it"])
        let unused = Edges.Pair(left: "relay", right: "keys")
        #expect(try violations({ $0["Sources/Daemons/Delivery/A.swift"] = "\n" }, unused: [unused]) == [])
    }

    @Test func `an edge without messages and messages without an edge are found`() throws {
        #expect(try violations { $0["Sources/Core/IPC/Two.swift"] = "\n" }.count == 2)
        let found = try violations { $0["Sources/Core/IPC/New.swift"] = "extension QueueToKeys: EdgeMessage {\n" }
        #expect(found == ["QueueToKeys: no edge in the table"])
        #expect(try violations { $0["Sources/Core/IPC/Topology.swift"] = "\n" }.contains("no table of edges"))
    }
}

@Suite struct ManualsTests {
    private static let good: [String: String] = [
        "Sources/Core/Configuration/Keyword.swift": """
        enum Keyword: String {
            case action, match,
                relay
            case `for`
            case noDsn = "no-dsn"
            case srs
        }

        """,
        "Sources/Core/Configuration/Feature.swift": "    case relaySRS = \"relay option srs\"\n",
        "man/martlet.conf.5": ".It Ic action Ar name Cm relay\n.Ic match Cm for any\n.It Cm no-dsn\n",
        "Sources/Tools/Control/ControlCommand.swift":
            "        CommandForm(\"show queue\") { _ in\n        envelopes(\"hold\", .hold),\n",
        "man/martletctl.8": ".It Cm show queue\n.It Cm hold\n",
    ]

    @Test func `pages that name every word have nothing against them`() throws {
        let house = try FakeHouse(Self.good)
        #expect(Manuals(root: house.root).undocumentedKeywords == [])
        #expect(Manuals(root: house.root).undocumentedVerbs == [])
    }

    @Test func `a word that only stands in running text is found`() throws {
        var files = Self.good
        files["man/martlet.conf.5"] = ".It Ic action Ar name Cm relay\nmatch for no-dsn\n"
        files["man/martletctl.8"] = ".It Cm show\nhold queue\n"
        let house = try FakeHouse(files)
        #expect(
            Manuals(root: house.root).undocumentedKeywords
                == ["martlet.conf.5: for", "martlet.conf.5: match", "martlet.conf.5: no-dsn"])
        #expect(Manuals(root: house.root).undocumentedVerbs == ["martletctl.8: hold", "martletctl.8: queue"])
    }

    @Test func `a page that is not there is found`() throws {
        let house = try FakeHouse(Self.good.filter { !$0.key.hasPrefix("man") })
        #expect(Manuals(root: house.root).undocumentedKeywords == ["no page martlet.conf.5"])
        #expect(Manuals(root: house.root).undocumentedVerbs == ["no page martletctl.8"])
    }
}
