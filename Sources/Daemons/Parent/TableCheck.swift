// SPDX-License-Identifier: ISC

import Configuration
import Host
import Posix
import Routing

/// What `martletd -n` says of the files of tables, of the programs behind them and of interfaces: all that would keep a
/// server from starting. Here alone does martletd read what is in a table.
enum TableCheck {
    // As Lookup has it.
    private static let largest = 256 << 20

    static func faults(of configuration: ServerConfiguration, programs: [String]) -> [String] {
        let needs = TableNeeds(of: configuration)
        var faults = configuration.tables.compactMap { table -> String? in
            switch table.kind {
            case .list, .mapping, .backend(BuiltInTable.users.rawValue, _): nil
            case .file(let path): fault(in: path, of: table.name, needs, configuration.tableUses)
            case .backend(let backend, let path):
                programFault(backend, path, programs).map { "\(table.location): table \(table.name): \($0)" }
            }
        }
        do throws(StartFailure) {
            _ = try HostDirectory().endpoints(of: configuration.listeners)
        } catch {
            faults.append("\(error)")
        }
        return faults
    }

    private static func fault(
        in path: String, of table: String, _ needs: TableNeeds, _ uses: [TableUse]
    ) -> String? {
        do {
            guard let bytes = try FileDescriptor.content(of: path, limit: largest) else {
                return "table \"\(table)\": \(path): larger than \(largest >> 20) MB"
            }
            var text = needs.text(bytes, file: path, of: table)
            while try text.readLines(atMost: .max) == .unfinished {}
            var content = text.finished()
            if let misuse = content.misuse(of: table, in: uses) { return "\(path): \(misuse)" }
            guard needs.hasExpressions(table), let invalid = content.compileRegularExpressions().first else {
                return nil
            }
            return "\(path): \(TableContent.refusal(of: invalid, in: table))"
        } catch let error as SystemError {
            return "table \"\(table)\": \(path): \(error)"
        } catch {
            return "\(error)"
        }
    }

    private static func programFault(_ backend: String, _ path: String?, _ directories: [String]) -> String? {
        do {
            _ = try ForeignTable.find(backend, path, delimiters: "", in: directories)
            return nil
        } catch {
            return "\(error)"
        }
    }
}
