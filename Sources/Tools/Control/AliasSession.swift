// SPDX-License-Identifier: ISC

import Configuration
import Host
import Posix
import Routing

/// newaliases from its arguments to its exit status: what the configuration calls the table `aliases` is checked, made into
/// a database where it is one, and read again by the server.
enum AliasSession {
    private static let usage = "usage: newaliases [--instance directory] [-f file]\n"
    private static let configuration = "/etc/martlet/martlet.conf"
    private static let table = "aliases"
    private static let usualText = "/etc/aliases"

    private struct Place {
        let text: String
        let database: String?
        var isConfigured = true
    }

    static func run(_ arguments: [String]) async -> Int32 {
        var instance = ThisProcess.variable(Places.variable)
        var file = configuration
        var rest = arguments[...]
        while let word = rest.popFirst() {
            switch word {
            case "-f":
                guard let value = rest.popFirst() else { return complain(usage) }
                file = value
            case "--instance":
                guard let value = rest.popFirst() else { return complain(usage) }
                instance = value
            default:
                return complain(usage)
            }
        }
        guard ThisProcess.isRoot || instance != nil else { return complain("newaliases: need root privileges\n") }
        do {
            let place = try place(in: file)
            let map = try TextMap(.aliases, source: place.text)
            if let database = place.database { try map.write(to: database) }
            ThisProcess.say("\(place.text): \(map.content.count) aliases\n", on: 1)
            return place.isConfigured ? await update(instance) : 0
        } catch {
            return complain("newaliases: \(error)\n")
        }
    }

    private static func complain(_ text: String) -> Int32 {
        ThisProcess.say(text)
        return 1
    }

    private static func place(in file: String) throws -> Place {
        guard FileFacts(at: file) != nil else {
            guard file == configuration else { throw TextMap.Failure(description: "\(file): no such file") }
            return Place(text: usualText, database: usualText + ".db", isConfigured: false)
        }
        let parsed = ServerConfiguration.parse(file: file, sourceReader: SourceText.file)
        guard let configuration = parsed.configuration else {
            throw TextMap.Failure(description: parsed.errors.first.map { "\($0)" } ?? "\(file): unreadable")
        }
        switch configuration.table(named: table)?.kind {
        case .file(let path)?:
            return Place(text: path, database: nil)
        case .backend("db", let path?)?:
            guard path.hasSuffix(".db") else {
                throw TextMap.Failure(description: "\(path) is not named after its text: use makemap -t aliases -o")
            }
            return Place(text: String(path.dropLast(3)), database: path)
        case nil:
            return Place(text: usualText, database: usualText + ".db", isConfigured: false)
        case .list?, .mapping?, .backend?:
            throw TextMap.Failure(description: "table \"\(table)\" is neither a file nor a database made from one")
        }
    }

    /// Without a server there is nobody to be told.
    private static func update(_ instance: String?) async -> Int32 {
        let program = ControlProgram(Places(instance: instance), .text, write: { _ in }, complain: { _ in })
        do throws(ControlProgram.Failure) {
            try await program.run(.updateTable(table))
            return 0
        } catch {
            return error == .notRunning ? 0 : complain("newaliases: \(error.text)\n")
        }
    }
}
