// SPDX-License-Identifier: ISC

/// Texts that many messages share, each kept once for as long as somebody uses it.
struct TextPool {
    private struct Entry {
        var bytes: [UInt8]
        var users: UInt32
    }

    private var numbers: [[UInt8]: UInt32] = [:]
    /// The first is nobody's: its number stands for no text.
    private var entries = [Entry(bytes: [], users: 0)]
    private var free: [UInt32] = []

    static let none: UInt32 = 0

    var count: Int { numbers.count }

    /// The text of a number that somebody uses.
    subscript(number: UInt32) -> [UInt8] { entries[Int(number)].bytes }

    /// The number of a text, for one more user.
    mutating func take(_ bytes: [UInt8]) -> UInt32 {
        if let known = numbers[bytes] {
            entries[Int(known)].users += 1
            return known
        }
        let entry = Entry(bytes: bytes, users: 1)
        let number: UInt32
        if let old = free.popLast() {
            number = old
            entries[Int(old)] = entry
        } else {
            number = UInt32(entries.count)
            entries.append(entry)
        }
        numbers[bytes] = number
        return number
    }

    mutating func take(_ text: String) -> UInt32 { take(Array(text.utf8)) }

    /// One user less.
    mutating func drop(_ number: UInt32) {
        guard number != Self.none else { return }
        let index = Int(number)
        entries[index].users -= 1
        guard entries[index].users == 0 else { return }
        numbers[entries[index].bytes] = nil
        entries[index].bytes = []
        free.append(number)
    }

    func text(_ number: UInt32) -> String { String(decoding: self[number], as: UTF8.self) }
}
