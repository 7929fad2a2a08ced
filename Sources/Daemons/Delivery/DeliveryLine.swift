// SPDX-License-Identifier: ISC

import Bytes
import IPC
import Mail

/// The lines of the log that say how a delivery ended; their keys are the reference's.
nonisolated enum DeliveryLine {
    static func local(
        _ id: SessionID, _ work: RecipientWork, user: String, _ outcome: DeliveryOutcome, now: Timestamp
    ) -> String {
        let stat =
            switch outcome {
            case .delivered: "Delivered"
            case .deferred(let reply), .failed(let reply):
                "Error (\"\(VisibleText(reply.lines.joined(separator: " ")))\")"
            }
        return "\(id) mda delivery \(subject(work)) rcpt=<\(VisibleText("\(work.recipient)"))> "
            + "user=\(VisibleText(user)) delay=\(now - work.created) result=\(result(outcome)) stat=\(stat)"
    }

    /// `source` and `relay` are `-` where there was no connection.
    static func relay(
        _ id: SessionID, _ work: RecipientWork, source: String, relay: String, _ outcome: DeliveryOutcome,
        now: Timestamp
    ) -> String {
        let recipient = work.recipient == work.destination ? "-" : "\(work.recipient)"
        return "\(id) mta delivery \(subject(work)) rcpt=<\(VisibleText(recipient))> source=\"\(source)\" "
            + "relay=\"\(relay)\" delay=\(now - work.created) result=\"\(result(outcome))\" "
            + "stat=\"\(VisibleText("\(outcome.reply)"))\""
    }

    private static func subject(_ work: RecipientWork) -> String {
        "evpid=\(work.id) from=<\(VisibleText("\(work.sender)"))> to=<\(VisibleText("\(work.destination)"))>"
    }

    private static func result(_ outcome: DeliveryOutcome) -> String {
        switch outcome {
        case .delivered: "Ok"
        case .deferred: "TempFail"
        case .failed: "PermFail"
        }
    }
}
