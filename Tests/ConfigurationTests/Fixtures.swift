// SPDX-License-Identifier: ISC

import Mail
import Testing

func mailbox(_ text: String, location: Testing.SourceLocation = #_sourceLocation) throws -> Mailbox {
    try #require(Mailbox(text), sourceLocation: location)
}
