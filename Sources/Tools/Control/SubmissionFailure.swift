// SPDX-License-Identifier: ISC

import Bytes
import Mail
import Posix

/// What callers are told by the exit status of sendmail, with the numbers of sysexits.
nonisolated enum SubmissionStatus {
    static let success: Int32 = 0
    static let usage: Int32 = 1
    static let busy: Int32 = 69
    static let software: Int32 = 70
    static let temporary: Int32 = 75
}

/// Why a message was not handed over.
nonisolated enum SubmissionFailure: Error, Hashable {
    case unreachable(SystemError)
    case refused(Reply, to: String)
    case lost(String)

    var text: String {
        switch self {
        case .unreachable(let error):
            error.isAbsent ? "smtpd doesn't seem to be running" : "the server cannot be reached: \(error)"
        case .refused(let reply, let command): "\(VisibleText(command)): server says: \(reply)"
        case .lost(let reason): "connection to the server lost: \(reason)"
        }
    }

    var status: Int32 {
        switch self {
        case .unreachable, .lost: SubmissionStatus.temporary
        case .refused(let reply, _):
            if reply.code == 421 {
                SubmissionStatus.busy
            } else {
                reply.isTemporary ? SubmissionStatus.temporary : SubmissionStatus.software
            }
        }
    }
}
