// SPDX-License-Identifier: ISC

import Bytes

/// A POSIX extended regular expression that answers one question: does it match anywhere in a text?
///
/// Runs as a set of states, one step per byte, so no expression and no text can make it slow (size of expression times
/// length of text at most). Back-references are not part of extended expressions and are refused.
public struct RegularExpression: Hashable, Sendable {
    // Repetition multiplies; these keep `((a{255}){255}){255}` from filling the memory.
    static let largestProgram = 5000
    static let longestPattern = 2047
    static let deepestGroup = 50

    enum Step: Hashable, Sendable {
        case byte(ByteSet)
        /// Goes on at both places, given relative to this step.
        case fork(Int, Int)
        case textStart
        case textEnd
    }

    private let program: [Step]

    /// nil for what is not a valid expression. The prefix `(?i)` makes letters match in either case.
    public init?(_ pattern: String) {
        var bytes = Array(pattern.utf8)
        guard bytes.count <= Self.longestPattern else { return nil }
        let ignoresCase = pattern.hasPrefix("(?i)")
        if ignoresCase { bytes.removeFirst(4) }
        var parser = RegularExpressionParser(bytes, ignoresCase: ignoresCase)
        guard let program = parser.program() else { return nil }
        self.program = program
    }

    /// What is wrong with a pattern that is no expression: one clause.
    public static func fault(in pattern: String) -> String {
        if pattern.utf8.count > longestPattern { return "longer than \(longestPattern) bytes" }
        if escapes(in: pattern).contains(where: \.isDigit) { return "back-references are not supported" }
        return "not a POSIX extended regular expression"
    }

    /// The bytes behind a backslash.
    static func escapes(in pattern: String) -> [UInt8] {
        var escapes: [UInt8] = []
        var isEscaped = false
        for byte in pattern.utf8 {
            if isEscaped { escapes.append(byte) }
            isEscaped = byte == UInt8(ascii: "\\") && !isEscaped
        }
        return escapes
    }

    public func matches(_ text: String) -> Bool { matches(Array(text.utf8)) }

    func matches(_ text: [UInt8]) -> Bool {
        var current = StateList(count: program.count + 1)
        var next = StateList(count: program.count + 1)
        for position in 0...text.count {
            // A match may begin at every byte.
            if follow(0, at: position, of: text.count, into: &current) { return true }
            guard position < text.count else { break }
            next.removeAll()
            for state in current.members {
                if case .byte(let set) = program[state], set.contains(text[position]),
                    follow(state + 1, at: position + 1, of: text.count, into: &next)
                {
                    return true
                }
            }
            swap(&current, &next)
        }
        return false
    }

    // Adds every state that is reached from `start` without reading; true when the end of the program is.
    private func follow(_ start: Int, at position: Int, of length: Int, into list: inout StateList) -> Bool {
        var waiting = [start]
        while let state = waiting.popLast() {
            guard list.insert(state) else { continue }
            guard state < program.count else { return true }
            switch program[state] {
            case .byte: break
            case .fork(let first, let second): waiting += [state + second, state + first]
            case .textStart: if position == 0 { waiting.append(state + 1) }
            case .textEnd: if position == length { waiting.append(state + 1) }
            }
        }
        return false
    }

    private struct StateList {
        var members: [Int] = []
        private var isMember: [Bool]

        init(count: Int) { isMember = [Bool](repeating: false, count: count) }

        mutating func insert(_ state: Int) -> Bool {
            guard !isMember[state] else { return false }
            isMember[state] = true
            members.append(state)
            return true
        }

        mutating func removeAll() {
            for state in members { isMember[state] = false }
            members.removeAll(keepingCapacity: true)
        }
    }
}

/// A set of byte values.
struct ByteSet: Hashable, Sendable {
    private var words: [4 of UInt64] = [0, 0, 0, 0]

    init() {}
    init(where belongs: (UInt8) -> Bool) {
        for byte in UInt8.min...UInt8.max where belongs(byte) { insert(byte) }
    }

    func contains(_ byte: UInt8) -> Bool { words[Int(byte >> 6)] >> UInt64(byte & 63) & 1 == 1 }
    mutating func insert(_ byte: UInt8) { words[Int(byte >> 6)] |= 1 << UInt64(byte & 63) }
    mutating func formUnion(_ other: ByteSet) { for index in 0..<4 { words[index] |= other.words[index] } }
    var inverted: ByteSet { ByteSet { !contains($0) } }
    /// With the other case of every letter in it.
    var inBothCases: ByteSet {
        ByteSet { contains($0) || ($0.isLetter && contains($0 ^ 0x20)) }
    }

    static func == (left: ByteSet, right: ByteSet) -> Bool {
        (0..<4).allSatisfy { left.words[$0] == right.words[$0] }
    }

    func hash(into hasher: inout Hasher) { for index in 0..<4 { hasher.combine(words[index]) } }
}
