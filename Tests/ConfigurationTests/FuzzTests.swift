// SPDX-License-Identifier: ISC

import Configuration
import Testing

struct FuzzTests {
    private static let symbols = [
        "{", "}", "<", ">", "!", "=", "=>", ",", "\n", "\"a b\"", "'", "\\", "#", "$x", "$", "-1", "25", "99999", "4d",
        "0s", "x", "t", "(", "/", "\u{1}", "\"/p\"", "in", "bob", "max-rcpt", "task-hiwat",
    ]

    private static func words() -> [[String]] {
        Samples.names.compactMap { Samples.text("\($0).conf") }.flatMap { text in
            text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        }
    }

    @Test func `random tokens are read without a trap`() {
        let words = Set(Self.words().joined()).sorted() + Self.symbols
        var random = Random(seed: 1)
        for _ in 0..<25_000 {
            var text = ""
            for _ in 0..<random.below(12) { text += words[random.below(words.count)] + " " }
            check(text)
        }
    }

    @Test func `lines with a changed word are read without a trap, and what is right prints right`() {
        let lines = Self.words()
        let words = Set(lines.joined()).sorted() + Self.symbols
        var random = Random(seed: 2)
        for _ in 0..<25_000 {
            var text = ""
            for _ in 0...random.below(3) {
                var line = lines[random.below(lines.count)]
                let place = random.below(line.count + 1)
                switch random.below(4) {
                case 0: line.insert(words[random.below(words.count)], at: place)
                case 1 where place < line.count: line[place] = words[random.below(words.count)]
                case 2 where place < line.count: line.remove(at: place)
                default: break
                }
                text += line.joined(separator: " ") + "\n"
            }
            check(text)
        }
    }

    private func check(_ text: String) {
        let parsed = parse(text, .partial)
        #expect((parsed.configuration == nil) == !parsed.errors.isEmpty)
        guard let configuration = parsed.configuration else { return }
        let print = configuration.printed(for: .all)
        let again = parse(print, .partial)
        #expect(again.configuration?.withoutLocations == configuration.withoutLocations, "\(text)\n---\n\(print)")
        let role = PrintedRole.allCases[text.utf8.count % PrintedRole.allCases.count]
        let part = configuration.printed(for: role)
        #expect(parse(part, .partial).configuration?.printed(for: role) == part, "\(text)\n---\n\(part)")
    }
}
