// SPDX-License-Identifier: ISC

import Bytes

/// A macro given from outside (`-D name=value`); no file can redefine it.
public struct MacroDefinition: Hashable, Sendable {
    public var name: String
    public var value: String

    public init(name: String, value: String) {
        self.name = name
        self.value = value
    }

    /// `name=value`, split at the last `=`; nil when there is none, or no name.
    public init?(argument: String) {
        guard let split = argument.utf8.lastIndex(of: UInt8(ascii: "=")), split > argument.startIndex else {
            return nil
        }
        name = String(argument[..<split])
        value = String(argument[argument.index(after: split)...])
    }
}

/// The macros known so far, across all files.
struct Macros {
    private struct Macro {
        var value: String
        var location: SourceLocation
        var isPersistent: Bool
        var isUsed: Bool
    }

    private var macros: [String: Macro] = [:]

    init(_ definitions: [MacroDefinition]) {
        for definition in definitions {
            macros[definition.name] = Macro(
                value: definition.value, location: .builtIn, isPersistent: true, isUsed: false)
        }
    }

    mutating func define(_ name: String, _ value: String, at location: SourceLocation) {
        if macros[name]?.isPersistent == true { return }
        macros[name] = Macro(value: value, location: location, isPersistent: false, isUsed: false)
    }

    /// The value of `name`, which from now on counts as used.
    mutating func use(_ name: String) -> String? {
        macros[name]?.isUsed = true
        return macros[name]?.value
    }

    /// The names that a file defined and none used, sorted.
    var unused: [String] {
        macros.filter { !$0.value.isUsed && !$0.value.isPersistent }.keys.sorted()
    }
}
