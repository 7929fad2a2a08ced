// SPDX-License-Identifier: ISC

import Bytes
public import Configuration

/// Whether the content of a table is what the configuration takes it for: the same for who serves and for who only checks.
extension TableNeeds {
    /// What becomes of capital letters in the keys of `table`.
    public func folding(of table: String) -> KeyFolding { hasExpressions(table) ? .expressions : .whole }

    /// Whether the keys of `table` are regular expressions.
    public func hasExpressions(_ table: String) -> Bool {
        needs(of: table).contains { $0.services.contains(.regularExpression) }
    }

    /// The text in the file of `table`.
    public func text(_ bytes: [UInt8], file: String, of table: String) -> TableText {
        TableText(bytes, file: file, dialect: dialect(of: table), folding: folding(of: table))
    }

    /// How the file of a table is to be read for all of its uses.
    public func dialect(of table: String) -> TableText.Dialect {
        let purposes = needs(of: table).map(\.purpose)
        if purposes.contains(.alias) { return .aliases }
        return !purposes.isEmpty && purposes.allSatisfy(\.isOfElements) ? .elements : .plain
    }
}

extension TableContent {
    /// Why `table` cannot have this content where it is used; nil when it can.
    public func misuse(of table: String, in uses: [TableUse]) -> String? {
        for use in uses where use.table.name == table {
            let fits =
                switch shape {
                case .list: use.purpose.acceptsList
                // A file without a single entry is no mistake of kind.
                case .mapping: use.purpose.acceptsMapping || count == 0
                }
            if !fits { return use.purpose.refusal(of: table) }
        }
        return nil
    }

    /// What is said of a key of `table` that is no regular expression.
    public static func refusal(of invalid: String, in table: String) -> String {
        "table \"\(table)\": invalid regular expression \(VisibleText(invalid)): \(RegularExpression.fault(in: invalid))"
    }
}
