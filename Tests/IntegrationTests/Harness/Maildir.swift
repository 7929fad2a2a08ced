// SPDX-License-Identifier: ISC

import Foundation

/// What lies in a person's Maildir.
struct Maildir {
    let path: String

    init(_ path: String) { self.path = path }

    private func names(_ folder: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: "\(path)/\(folder)"))?.sorted() ?? []
    }

    var count: Int { names("new").count }
    /// Files that are still being written.
    var unfinished: [String] { names("tmp") }

    /// The messages, line ends as they lie there.
    var messages: [String] {
        names("new").compactMap {
            FileManager.default.contents(atPath: "\(path)/new/\($0)").map { String(decoding: $0, as: UTF8.self) }
        }
    }

    func waitForMessages(_ count: Int, seconds: Double = 60) -> Bool {
        eventually(within: seconds) { self.count >= count }
    }
}

extension Instance {
    func mailbox(_ person: String) -> Maildir { Maildir(maildir(person)) }

    /// Everything that was delivered to anybody here.
    var delivered: [String] { people.flatMap { mailbox($0).messages } }
    var deliveredCount: Int { people.reduce(0) { $0 + mailbox($1).count } }
}

extension String {
    /// What follows the first empty line.
    var messageBody: String {
        let text = replacingOccurrences(of: "\r\n", with: "\n")
        guard let end = text.range(of: "\n\n") else { return "" }
        return String(text[end.upperBound...])
    }

    /// The value of the first header field of that name, unfolded.
    func headerField(_ name: String) -> String? {
        let lines = replacingOccurrences(of: "\r\n", with: "\n").split(
            separator: "\n", omittingEmptySubsequences: false)
        var value: String?
        for line in lines {
            if line.isEmpty { break }
            if let started = value {
                guard line.first == " " || line.first == "\t" else { return started }
                value = started + " " + line.drop { $0 == " " || $0 == "\t" }
            } else if line.lowercased().hasPrefix(name.lowercased() + ":") {
                value = line.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces)
            }
        }
        return value
    }
}
