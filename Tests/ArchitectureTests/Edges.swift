// SPDX-License-Identifier: ISC

/// The table of edges against what the programs speak: textually, by the message types of each `Peer<...>`.
struct Edges {
    let tree: SourceTree

    struct Pair: Hashable {
        let left: String
        let right: String
    }

    /// The edges that Topology.swift lists.
    var table: [Pair] {
        let path = "Sources/Core/IPC/Topology.swift"
        guard let file = tree.files.first(where: { $0.path == path }) else { return [] }
        return file.lines.compactMap { line in
            let text = line.drop(while: { $0 == " " })
            guard text.hasPrefix("Edge(."), let end = text.firstIndex(of: ")") else { return nil }
            let names = text[..<end].dropFirst("Edge(".count).split(separator: ",")
                .map { $0.drop(while: { $0 == " " || $0 == "." }) }
            guard names.count == 2 else { return nil }
            return Pair(left: String(names[0]), right: String(names[1]))
        }
    }

    /// Types that carry an edge whose two enums are not named after both its ends, because several share them.
    private static let shared: [Pair: (rightwards: String, leftwards: String)] = [
        Pair(left: "listener", right: "resolver"): ("ToResolver", "FromResolver"),
        Pair(left: "lookup", right: "resolver"): ("ToResolver", "FromResolver"),
        Pair(left: "relay", right: "resolver"): ("ToResolver", "FromResolver"),
        Pair(left: "listener", right: "keys"): ("ToKeys", "FromKeys"),
        Pair(left: "relay", right: "keys"): ("ToKeys", "FromKeys"),
        Pair(left: "queue", right: "relay"): ("QueueToDelivery", "DeliveryToQueue"),
        Pair(left: "queue", right: "local"): ("QueueToDelivery", "DeliveryToQueue"),
    ]

    /// Not edges of the table: Parent with each child, helpers and agents, and martletctl.
    private static let others: Set = [
        "ParentToChild", "ChildToParent", "ToAccount", "FromAccount", "LocalToMailbox", "MailboxToLocal",
        "ControlRequest", "ControlAnswer", "EdgeGreeting",
    ]

    private static func types(of pair: Pair) -> (rightwards: String, leftwards: String) {
        if let types = shared[pair] { return types }
        let left = pair.left.prefix(1).uppercased() + pair.left.dropFirst()
        let right = pair.right.prefix(1).uppercased() + pair.right.dropFirst()
        return ("\(left)To\(right)", "\(right)To\(left)")
    }

    private static func folder(of role: String) -> String {
        switch role {
        case "relay", "local": "Delivery"
        default: role.prefix(1).uppercased() + role.dropFirst()
        }
    }

    /// Edges without enums, ends that never speak of theirs, and enums that belong to no edge.
    /// `unused` are pairs whose ends need not speak yet.
    func violations(unused: Set<Pair> = []) -> [String] {
        let declared = declaredTypes
        var found: [String] = []
        var known = Self.others
        if table.isEmpty { found.append("no table of edges") }
        for pair in table {
            let types = Self.types(of: pair)
            known.formUnion([types.rightwards, types.leftwards])
            for type in [types.rightwards, types.leftwards] where !declared.contains(type) {
                found.append("\(pair.left) - \(pair.right): no enum \(type) in Core/IPC")
            }
            for role in [pair.left, pair.right] where !unused.contains(pair) {
                let speaks = tree.sources.contains { file in
                    file.group == "Daemons" && file.target == Self.folder(of: role)
                        && file.lines.contains { $0.contains(types.rightwards) || $0.contains(types.leftwards) }
                }
                if !speaks { found.append("\(pair.left) - \(pair.right): \(role) never speaks of it") }
            }
        }
        for type in declared.subtracting(known).sorted() { found.append("\(type): no edge in the table") }
        return found
    }

    /// The types that are messages of an edge.
    private var declaredTypes: Set<String> {
        var types: Set<String> = []
        for file in tree.sources where file.target == "IPC" {
            for line in file.lines where line.hasPrefix("extension ") && line.contains(": EdgeMessage") {
                let name = line.dropFirst("extension ".count).prefix { $0 != ":" && $0 != " " }
                types.insert(String(name))
            }
        }
        return types
    }
}
