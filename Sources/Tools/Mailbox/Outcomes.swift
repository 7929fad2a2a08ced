// SPDX-License-Identifier: ISC

import Glibc
import IPC
import Mail
import Posix

nonisolated extension MailboxOutcome {
    /// What a failed system call means for the message. Whatever the user or the administrator can mend is tried again.
    static func failure(_ error: SystemError, _ what: StaticString) -> MailboxOutcome {
        let text = "\(what): \(error)"
        // No name gets shorter by waiting.
        return error.code == ENAMETOOLONG ? .failed(text) : .deferred(text)
    }
}

/// The fields that a delivery puts above the header.
nonisolated extension MailboxDelivery {
    /// With LF line ends.
    var addedFields: [UInt8] {
        let path = sender.mailbox.map { "Return-Path: <\($0)>\n" } ?? ""
        return Array("\(path)Delivered-To: \(recipient)\n".utf8)
    }
}
