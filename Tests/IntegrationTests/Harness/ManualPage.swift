// SPDX-License-Identifier: ISC

import Foundation

enum ManualPage {
    /// The displays behind EXAMPLES, as a reader sees them; a line of its own is a display, too.
    static func examples(_ page: String) throws -> [String] {
        let text = try String(contentsOfFile: "\(Host.root)/man/\(page)", encoding: .utf8)
        var examples: [String] = []
        var display: String?
        var isInSection = false
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix(".Sh") { isInSection = line == ".Sh EXAMPLES" }
            guard isInSection else { continue }
            if line.hasPrefix(".Dl ") { examples.append(String(line.dropFirst(4))) }
            if line.hasPrefix(".Bd") {
                display = ""
            } else if line == ".Ed", let text = display {
                examples.append(text)
                display = nil
            } else if let text = display {
                display = text + line + "\n"
            }
        }
        return examples
    }
}
