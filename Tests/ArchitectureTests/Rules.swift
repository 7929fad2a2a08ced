// SPDX-License-Identifier: ISC

/// What the plan of the house says of its sources; each rule names the places that break it.
struct Rules {
    let tree: SourceTree

    /// All that can be said from the text of the sources alone.
    var violations: [String] { dependencies + libraries + texts + languageC }

    // Bytes <- Mail <- the rest of Core <- Routing and Schedule.
    private static let levels = ["Bytes": 0, "Mail": 1, "Routing": 3, "Schedule": 3]
    private static let usualLevel = 2
    private static let groups: Set = ["Core", "System", "Daemons", "Tools"]

    // Lookup decides by tables, Table answers for one, Control makes them.
    private static let readsTables: Set = ["Lookup", "Table", "Control"]

    /// Core looks down only, System at Core and System, a daemon or tool never at another; what is one duty's own
    /// is imported by that duty alone.
    var dependencies: [String] {
        let groups = tree.groups
        return eachImport { file, group, target, module in
            guard let other = groups[module], module != target else { return nil }
            switch group {
            case "Core":
                if other != "Core" { return "Core knows only Core" }
                let isDownward =
                    Self.levels[module, default: Self.usualLevel] < Self.levels[target, default: Self.usualLevel]
                if !isDownward { return "not downward" }
            case "System":
                if other == "Daemons" || other == "Tools" { return "System knows no program" }
            default:
                if other == "Daemons" || other == "Tools" { return "no program knows another" }
            }
            // What is queued: Queue keeps it, Control shows it where no Queue runs. When something is tried, and how hard:
            // Queue decides the one, the relay the other.
            let keepers = ["Spool": ["Queue", "Control"], "Schedule": ["Queue", "Delivery"]]
            if let keepers = keepers[module], !["Core", "System"].contains(group), !keepers.contains(target) {
                return "\(keepers.joined(separator: "'s and "))'s own"
            }
            if module == "Routing", group == "Daemons" || group == "Tools",
                !Self.readsTables.contains(target), !file.path.hasSuffix(Self.checksTables)
            {
                return "for those who read tables"
            }
            return nil
        }
    }

    // `martletd -n` reads what a server gives away unread.
    private static let checksTables = "Daemons/Parent/TableCheck.swift"

    // Relay tells one failure of connect or send from another by its number.
    private static let readsErrorNumbers: Set = ["Delivery"]

    /// Who may import what is not ours.
    var libraries: [String] {
        eachImport { file, group, target, module in
            switch module {
            case "Foundation", "FoundationEssentials", "Dispatch": "not in this house"
            case "Glibc":
                ["System", "Tools"].contains(group) || Self.readsErrorNumbers.contains(target)
                    ? nil : "only System and Tools speak to the C library"
            case "CPosix": ["System", "Tools"].contains(group) ? nil : "only System and Tools make system calls"
            case "CEvent": target == "Reactor" ? nil : "only Reactor"
            case "CUnbound": target == "Resolver" ? nil : "only Resolver"
            case "COpenSSL":
                ["TLS", "Keys", "Spool", "Digest"].contains(target) ? nil : "only TLS, Keys, Spool and Digest"
            case "CSigner": target == "TLS" ? nil : "only TLS"
            case "CPAM": target == "Account" ? nil : "only Account"
            case "CCrypt": target == "Host" ? nil : "only Host"
            case "CSeccomp": target == "Launch" ? nil : "only Launch"
            case "CLMDB": target == "MapFile" ? nil : "only MapFile"
            case "CSQLite": target == "Table" ? nil : "only Table"
            default: nil
            }
        }
    }

    private static let license = "SPDX-License-Identifier: ISC"
    private static let longestFile = 600
    // Put together here, so that this file does not break the rule itself.
    private static let forbidden = ["try" + "!", "as" + "!", "fatal" + "Error", "TODO" + ": later"]

    /// Length, license and words of each file.
    var texts: [String] {
        var found: [String] = []
        for file in tree.files {
            if !(file.lines.first ?? "").contains(Self.license) { found.append("\(file.path): no license line") }
            if file.lines.count > Self.longestFile { found.append("\(file.path): \(file.lines.count) lines") }
            for (index, line) in file.lines.enumerated() {
                guard file.group != nil, !isComment(line) else { continue }
                for word in Self.forbidden where line.contains(word) {
                    found.append("\(file.path):\(index + 1): \(word)")
                }
            }
        }
        for file in tree.sources where !Self.groups.contains(file.group ?? "") {
            found.append("\(file.path): Sources has Core, System, Daemons and Tools")
        }
        return found
    }

    private func isComment(_ line: String) -> Bool {
        line.drop(while: { $0 == " " }).hasPrefix("//")
    }

    private func eachImport(
        _ complaint: (_ file: SourceTree.File, _ group: String, _ target: String, _ module: String) -> String?
    ) -> [String] {
        var found: [String] = []
        for file in tree.sources where file.isSwift {
            guard let group = file.group, let target = file.target else { continue }
            for module in file.imports {
                if let words = complaint(file, group, target, module) {
                    found.append("\(file.path) imports \(module): \(words)")
                }
            }
        }
        return found
    }
}
