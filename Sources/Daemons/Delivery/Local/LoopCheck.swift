// SPDX-License-Identifier: ISC

import Bytes
import Mail
import Message

/// Whether a message has been in a mailbox before: what a delivery writes above the header, and the next one finds.
nonisolated enum LoopCheck {
    /// `beginning` is the content up to 64 KiB; a header that is longer is not looked at behind that.
    static func hasVisited(_ destination: Mail.Mailbox, _ beginning: [UInt8]) -> Bool {
        var scanner = HeaderScanner(deliveredTo: .collected)
        scanner.scan(beginning.span)
        scanner.finish()
        let wanted = "\(destination)".asciiLowercased
        return scanner.findings.deliveredTo.contains { $0.asciiLowercased == wanted }
    }
}
