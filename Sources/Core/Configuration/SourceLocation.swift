// SPDX-License-Identifier: ISC

/// Where a statement or a mistake stands; lines and columns count from 1, columns in bytes.
public struct SourceLocation: Hashable, Sendable, CustomStringConvertible {
    public var file: String
    public var line: Int
    public var column: Int

    public init(file: String, line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }

    /// The place of what no file says: a default.
    public static let builtIn = SourceLocation(file: "", line: 0, column: 0)

    /// `file:line:column`; of a file as a whole, line 0, only its name.
    public var description: String {
        self == .builtIn ? "built in" : line == 0 ? file : "\(file):\(line):\(column)"
    }
}

/// One mistake in a configuration file, with the line that it stands in.
public struct Diagnostic: Hashable, Sendable, CustomStringConvertible {
    public var location: SourceLocation
    public var message: String
    /// The whole source line without its end; a caret belongs under column `location.column`.
    public var sourceLine: String

    public init(location: SourceLocation, message: String, sourceLine: String) {
        self.location = location
        self.message = message
        self.sourceLine = sourceLine
    }

    /// `file:line:column: message`
    public var description: String { "\(location): \(message)" }
}
