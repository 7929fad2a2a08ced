// SPDX-License-Identifier: ISC

import Bytes

/// One token and the place of its first byte; a token out of a macro stands where the macro was used.
struct Token: Hashable {
    enum Kind: Hashable {
        case string(String)
        case keyword(Keyword)
        case number(Int64)
        /// One byte that means itself, or that nothing expects.
        case punctuation(UInt8)
        /// `=>`
        case arrow
        case newline
        case endOfFile
        /// What could not be read, and why.
        case failure(String)
    }

    var kind: Kind
    var location: SourceLocation

    /// As an error message names it.
    var name: String {
        switch kind {
        case .string(let text): "\"\(VisibleText(text, limit: 64))\""
        case .keyword(let keyword): "the keyword \(keyword.rawValue)"
        case .number(let number): "the number \(number)"
        case .punctuation(let byte): "\"\(VisibleText([byte]))\""
        case .arrow: "\"=>\""
        case .newline: "end of line"
        case .endOfFile: "end of file"
        case .failure(let message): message
        }
    }
}

/// The tokens of one file, read when they are asked for, since a line may define a macro that the next one uses.
///
/// What a macro stands for is pushed back in front of the input and read again, so it may be several tokens, or a part
/// of one.
struct Lexer {
    static let longestString = 8094

    private struct Input {
        static let end: UInt16 = 0x100
        static let expansionStart: UInt16 = 0x101
        static let expansionEnd: UInt16 = 0x102

        var code: UInt16
        var line: Int
        var column: Int
        // A backslash that was itself escaped escapes nothing when it is read again.
        var isEscaped = false

        /// The byte; nil at the end of the input.
        var byte: UInt8? { UInt8(exactly: code) }
    }

    let file: String
    private let bytes: [UInt8]
    private var position = 0
    private var line = 1
    private var column = 1
    /// The last one is read next.
    private var pushedBack: [Input] = []
    private var isExpanding = false
    private var hasEndedLastLine = false

    init(file: String, bytes: [UInt8]) {
        self.file = file
        self.bytes = bytes
    }

    mutating func next(_ macros: inout Macros) -> Token {
        // Each turn either ends or replaces the use of a macro by its value, which cannot hold another.
        while true {
            var input = readBare()
            while input.byte?.isBlank == true { input = readBare() }
            if input.byte == UInt8(ascii: "#") {
                while let byte = input.byte, byte != .lineFeed { input = readBare() }
            }
            let location = SourceLocation(file: file, line: input.line, column: input.column)
            guard input.byte == UInt8(ascii: "$"), !isExpanding else {
                return Token(kind: kind(startingWith: input), location: location)
            }
            if let failure = expand(at: input, &macros) {
                return Token(kind: .failure(failure), location: location)
            }
        }
    }

    /// Drops the rest of the line.
    mutating func skipLine() {
        while let byte = readBare().byte, byte != .lineFeed {}
    }

    private mutating func kind(startingWith first: Input) -> Token.Kind {
        guard let byte = first.byte else { return .endOfFile }
        if byte == .lineFeed { return .newline }
        if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") { return quotedString(byte) }
        if byte.isDigit || byte == UInt8(ascii: "-") {
            if let number = number(startingWith: first) { return number }
        }
        if byte == UInt8(ascii: "=") {
            let following = readBare()
            if following.byte == UInt8(ascii: ">") { return .arrow }
            pushBack(following)
            return .punctuation(byte)
        }
        if byte.isAlphanumeric || byte == .colon || byte == UInt8(ascii: "_") { return word(startingWith: first) }
        return .punctuation(byte)
    }

    /// Puts the value of the macro whose name follows in front of the input; what is wrong, when there is none.
    private mutating func expand(at dollar: Input, _ macros: inout Macros) -> String? {
        var name: [UInt8] = []
        var input = readBare()
        while let byte = input.byte, byte.isAlphanumeric || byte == UInt8(ascii: "_") {
            guard name.count < Self.longestString else { return "string too long" }
            name.append(byte)
            input = readBare()
        }
        pushBack(input)
        let text = String(decoding: name, as: UTF8.self)
        guard let value = macros.use(text) else { return "macro '\(text)' not defined" }
        pushBack(Input(code: Input.expansionEnd, line: dollar.line, column: dollar.column))
        for byte in value.utf8.reversed() {
            pushBack(Input(code: UInt16(byte), line: dollar.line, column: dollar.column))
        }
        pushBack(Input(code: Input.expansionStart, line: dollar.line, column: dollar.column))
        return nil
    }

    private mutating func quotedString(_ quote: UInt8) -> Token.Kind {
        var text: [UInt8] = []
        while true {
            var input = readRaw()
            if input.byte == UInt8(ascii: "\\") {
                let escaped = readRaw()
                switch escaped.byte {
                case quote, .space, .horizontalTab: input = escaped
                case UInt8.lineFeed: continue
                default: pushBack(escaped)
                }
            } else if input.byte == quote {
                guard let string = String(validating: text, as: UTF8.self) else {
                    return .failure("syntax error: the string is not UTF-8")
                }
                return .string(string)
            } else if input.byte == .lineFeed {
                continue
            } else if input.byte == 0 {
                return .failure("syntax error: a string may not contain NUL")
            }
            guard let byte = input.byte else {
                return .failure("reached end of file while parsing quoted string")
            }
            guard text.count < Self.longestString else { return .failure("string too long") }
            text.append(byte)
        }
    }

    // number = ["-"] 1*DIGIT, before whitespace, ")", ",", "/", "}", "=" or the end
    /// The number; nil, with everything behind its first byte given back, when it is the start of a word or of nothing.
    private mutating func number(startingWith first: Input) -> Token.Kind? {
        var taken = [first]
        var following = readBare()
        while let byte = following.byte, byte.isDigit {
            guard taken.count < Self.longestString else { return .failure("string too long") }
            taken.append(following)
            following = readBare()
        }
        pushBack(following)
        let isSign = taken.count == 1 && first.byte == UInt8(ascii: "-")
        if !isSign, Self.mayEndNumber(following.byte) {
            let text = String(decoding: taken.compactMap(\.byte), as: UTF8.self)
            if let number = Int64(text) { return .number(number) }
            let size = text.hasPrefix("-") ? "too small" : "too large"
            return .failure("\"\(VisibleText(text, limit: 64))\" invalid number: \(size)")
        }
        while taken.count > 1, let last = taken.popLast() { pushBack(last) }
        return nil
    }

    private mutating func word(startingWith first: Input) -> Token.Kind {
        var text: [UInt8] = []
        var input = first
        while let byte = input.byte, Self.mayStandInWord(byte) {
            guard text.count < Self.longestString else { return .failure("string too long") }
            text.append(byte)
            input = readBare()
        }
        pushBack(input)
        let word = String(decoding: text, as: UTF8.self)
        return Keyword(rawValue: word).map { .keyword($0) } ?? .string(word)
    }

    static func mayStandInWord(_ byte: UInt8) -> Bool {
        guard byte.isVisible else { return false }
        switch byte {
        case UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "{"), UInt8(ascii: "}"), UInt8(ascii: "<"),
            UInt8(ascii: ">"), UInt8(ascii: "!"), UInt8(ascii: "="), UInt8(ascii: "#"), UInt8(ascii: ","):
            return false
        default:
            return true
        }
    }

    private static func mayEndNumber(_ byte: UInt8?) -> Bool {
        guard let byte else { return true }
        switch byte {
        case 0x09...0x0D, .space, UInt8(ascii: ")"), UInt8(ascii: ","), UInt8(ascii: "/"), UInt8(ascii: "}"),
            UInt8(ascii: "="):
            return true
        default:
            return false
        }
    }

    private mutating func pushBack(_ input: Input) { pushedBack.append(input) }

    /// The next byte outside quotes: lines joined, escapes taken, the last line ended when the file does not.
    private mutating func readBare() -> Input {
        while true {
            let input = readRaw()
            if input.byte == UInt8(ascii: "\\"), !input.isEscaped {
                var escaped = readRaw()
                if escaped.byte == .lineFeed { continue }
                if escaped.byte == nil { return endOfInput(escaped) }
                escaped.isEscaped = true
                return escaped
            }
            return input.byte == nil ? endOfInput(input) : input
        }
    }

    private mutating func endOfInput(_ input: Input) -> Input {
        guard !hasEndedLastLine else { return input }
        hasEndedLastLine = true
        return Input(code: UInt16(UInt8.lineFeed), line: input.line, column: input.column)
    }

    private mutating func readRaw() -> Input {
        while let input = pushedBack.popLast() {
            switch input.code {
            case Input.expansionStart: isExpanding = true
            case Input.expansionEnd: isExpanding = false
            default: return input
            }
        }
        guard position < bytes.count else { return Input(code: Input.end, line: line, column: column) }
        let byte = bytes[position]
        let input = Input(code: UInt16(byte), line: line, column: column)
        position += 1
        column += 1
        if byte == .lineFeed {
            line += 1
            column = 1
        }
        return input
    }
}
