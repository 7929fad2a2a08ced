// SPDX-License-Identifier: ISC

/// The manual pages against the words that programs understand.
struct Manuals {
    let root: String

    /// Keywords of the grammar that martlet.conf(5) does not name. A word of a part that this server does not
    /// support yet may be missing.
    var undocumentedKeywords: [String] {
        let folder = "\(root)/Sources/Core/Configuration"
        let keywords = caseNames(SourceTree.lines("\(folder)/Keyword.swift") ?? [])
        let unsupported = Set(
            caseNames(SourceTree.lines("\(folder)/Feature.swift") ?? []).compactMap { words(of: $0).last })
        return missing(keywords.filter { !unsupported.contains($0) }, from: "martlet.conf.5")
    }

    /// Words of martletctl's commands that martletctl(8) does not name.
    var undocumentedVerbs: [String] {
        let lines = SourceTree.lines("\(root)/Sources/Tools/Control/ControlCommand.swift") ?? []
        let verbs = lines.flatMap { line -> [String] in
            let text = line.drop(while: { $0 == " " })
            guard text.hasPrefix("CommandForm(\"") || text.hasPrefix("envelopes(\"") else { return [] }
            let parts = text.split(separator: "\"")
            return parts.count > 1 ? words(of: String(parts[1])) : []
        }
        return missing(verbs, from: "martletctl.8")
    }

    private func missing(_ wanted: [String], from page: String) -> [String] {
        guard let text = SourceTree.text("\(root)/man/\(page)") else { return ["no page \(page)"] }
        guard !wanted.isEmpty else { return ["nothing to look for in \(page)"] }
        var known: Set<String> = []
        for line in text.split(separator: "\n") where line.hasPrefix(".") {
            for word in line.split(separator: " ") { known.insert(word.filter { $0 != "\"" }) }
        }
        return Set(wanted).subtracting(known).sorted().map { "\(page): \($0)" }
    }

    private func words(of text: String) -> [String] { text.split(separator: " ").map(String.init) }

    /// The raw values of the cases of an enum of strings, as its lines declare them.
    private func caseNames(_ lines: [String]) -> [String] {
        var names: [String] = []
        var goesOn = false
        for line in lines {
            var text = line.drop(while: { $0 == " " })
            if text.hasPrefix("case ") { text = text.dropFirst("case ".count) } else if !goesOn { continue }
            goesOn = text.hasSuffix(",")
            for part in text.split(separator: ",") {
                let sides = part.split(separator: "=").map { $0.filter { $0 != "`" && $0 != "\"" } }
                guard let last = sides.last else { continue }
                let name = words(of: last).joined(separator: " ")
                if !name.isEmpty { names.append(name) }
            }
        }
        return names
    }
}
