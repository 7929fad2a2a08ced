// SPDX-License-Identifier: ISC

import Bytes

/// Reads the syntax of POSIX.1-2017 section 9.4 (extended regular expressions) into steps.
struct RegularExpressionParser {
    typealias Step = RegularExpression.Step

    // POSIX: RE_DUP_MAX
    private static let mostRepetitions = 255

    private let pattern: [UInt8]
    private let ignoresCase: Bool
    private var position = 0
    private var depth = 0

    init(_ pattern: [UInt8], ignoresCase: Bool) {
        self.pattern = pattern
        self.ignoresCase = ignoresCase
    }

    mutating func program() -> [Step]? {
        guard let program = alternation(), position == pattern.count else { return nil }
        return program
    }

    private var next: UInt8? { position < pattern.count ? pattern[position] : nil }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        position += 1
        return true
    }

    // alternation = branch *( "|" branch )
    private mutating func alternation() -> [Step]? {
        guard var steps = branch() else { return nil }
        while take(UInt8(ascii: "|")) {
            guard let other = branch() else { return nil }
            // The unconditional jump is a fork to one place.
            let jump = Step.fork(other.count + 1, other.count + 1)
            steps = [.fork(1, steps.count + 2)] + steps + [jump] + other
            guard steps.count <= RegularExpression.largestProgram else { return nil }
        }
        return steps
    }

    // branch = *( atom *repetition )
    private mutating func branch() -> [Step]? {
        var steps: [Step] = []
        while let byte = next, byte != UInt8(ascii: "|"), !(byte == UInt8(ascii: ")") && depth > 0) {
            guard var atom = atom() else { return nil }
            repeating: while let byte = next {
                switch byte {
                case UInt8(ascii: "*"):
                    position += 1
                    atom = Self.anyNumber(of: atom)
                case UInt8(ascii: "+"):
                    position += 1
                    atom += [.fork(-atom.count, 1)]
                case UInt8(ascii: "?"):
                    position += 1
                    atom = Self.optional(atom)
                case UInt8(ascii: "{"):
                    position += 1
                    guard let repeated = repetition(of: atom) else { return nil }
                    atom = repeated
                default:
                    break repeating
                }
                guard atom.count <= RegularExpression.largestProgram else { return nil }
            }
            steps += atom
            guard steps.count <= RegularExpression.largestProgram else { return nil }
        }
        return steps
    }

    private static func anyNumber(of atom: [Step]) -> [Step] {
        [.fork(1, atom.count + 2)] + atom + [.fork(-atom.count - 1, -atom.count - 1)]
    }

    private static func optional(_ atom: [Step]) -> [Step] { [.fork(1, atom.count + 1)] + atom }

    // repetition = "{" low [ "," [ high ] ] "}"
    private mutating func repetition(of atom: [Step]) -> [Step]? {
        guard let low = number() else { return nil }
        var high: Int? = low
        if take(UInt8(ascii: ",")) { high = next == UInt8(ascii: "}") ? nil : number() ?? -1 }
        guard take(UInt8(ascii: "}")), high.map({ $0 >= low }) ?? true else { return nil }
        guard atom.count * max(low, high ?? 0, 1) <= RegularExpression.largestProgram else { return nil }
        var steps: [Step] = []
        for _ in 0..<low { steps += atom }
        if let high {
            for _ in low..<high { steps += Self.optional(atom) }
        } else {
            steps += Self.anyNumber(of: atom)
        }
        return steps
    }

    private mutating func number() -> Int? {
        var value = 0
        let start = position
        while let byte = next, byte.isDigit {
            value = value * 10 + Int(byte - 0x30)
            guard value <= Self.mostRepetitions else { return nil }
            position += 1
        }
        return position > start ? value : nil
    }

    private mutating func atom() -> [Step]? {
        guard let byte = next else { return nil }
        position += 1
        switch byte {
        case UInt8(ascii: "("):
            depth += 1
            guard depth <= RegularExpression.deepestGroup, let inner = alternation(), take(UInt8(ascii: ")")) else {
                return nil
            }
            depth -= 1
            return inner
        case UInt8(ascii: "["): return bracket().map { [.byte($0)] }
        case UInt8(ascii: "."): return [.byte(ByteSet { $0 != 0 })]
        case UInt8(ascii: "^"): return [.textStart]
        case UInt8(ascii: "$"): return [.textEnd]
        case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"), UInt8(ascii: "{"): return nil
        case UInt8(ascii: "\\"): return escape().map { [.byte($0)] }
        default: return [.byte(single(byte))]
        }
    }

    private func single(_ byte: UInt8) -> ByteSet {
        var set = ByteSet()
        set.insert(byte)
        return ignoresCase ? set.inBothCases : set
    }

    // The escapes that C libraries add are in wide use: \w \W \s \S.
    private mutating func escape() -> ByteSet? {
        guard let byte = next else { return nil }
        position += 1
        switch byte {
        case UInt8(ascii: "w"): return ByteSet { $0.isAlphanumeric || $0 == UInt8(ascii: "_") }
        case UInt8(ascii: "W"): return ByteSet { !($0.isAlphanumeric || $0 == UInt8(ascii: "_")) }
        case UInt8(ascii: "s"): return Self.spaces
        case UInt8(ascii: "S"): return Self.spaces.inverted
        default:
            guard !byte.isAlphanumeric else { return nil }
            return single(byte)
        }
    }

    private static let spaces = ByteSet { $0 == .space || (0x09...0x0D).contains($0) }

    // bracket = "[" [ "^" ] 1*( class / range / byte ) "]"; a "]" in the first place is itself
    private mutating func bracket() -> ByteSet? {
        var set = ByteSet()
        let isInverted = take(UInt8(ascii: "^"))
        var isFirst = true
        while let byte = next {
            position += 1
            if byte == UInt8(ascii: "]"), !isFirst {
                let complete = ignoresCase ? set.inBothCases : set
                return isInverted ? complete.inverted : complete
            }
            isFirst = false
            if byte == UInt8(ascii: "["), next == .colon {
                guard let named = namedClass() else { return nil }
                set.formUnion(named)
                continue
            }
            guard byte != UInt8(ascii: "[") || (next != .dot && next != UInt8(ascii: "=")) else { return nil }
            if next == UInt8(ascii: "-"), position + 1 < pattern.count, pattern[position + 1] != UInt8(ascii: "]") {
                let last = pattern[position + 1]
                guard byte <= last, last != UInt8(ascii: "[") else { return nil }
                position += 2
                for member in byte...last { set.insert(member) }
            } else {
                set.insert(byte)
            }
        }
        return nil
    }

    // class = "[:" name ":]"
    private mutating func namedClass() -> ByteSet? {
        position += 1
        var name: [UInt8] = []
        while let byte = next, byte.isLetter {
            name.append(byte)
            position += 1
        }
        guard take(.colon), take(UInt8(ascii: "]")) else { return nil }
        switch String(decoding: name, as: UTF8.self) {
        case "alpha": return ByteSet { $0.isLetter }
        case "digit": return ByteSet { $0.isDigit }
        case "alnum": return ByteSet { $0.isAlphanumeric }
        case "upper": return ByteSet { $0.isLetter && $0 & 0x20 == 0 }
        case "lower": return ByteSet { $0.isLetter && $0 & 0x20 != 0 }
        case "space": return Self.spaces
        case "blank": return ByteSet { $0.isBlank }
        case "punct": return ByteSet { $0.isVisible && !$0.isAlphanumeric }
        case "print": return ByteSet { $0.isPrintable }
        case "graph": return ByteSet { $0.isVisible }
        case "cntrl": return ByteSet { $0 < 0x20 || $0 == 0x7F }
        case "xdigit": return ByteSet { $0.hexadecimalValue != nil }
        default: return nil
        }
    }
}
