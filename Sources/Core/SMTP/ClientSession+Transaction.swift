// SPDX-License-Identifier: ISC

import Bytes
import Mail

/// One transaction from MAIL to the outcomes.
///
/// Replies come in the order of the commands: RSET (when one was needed), MAIL, each RCPT, DATA. With PIPELINING
/// commands run ahead of their replies, so every reply is read before the outcome is given, also when the answer is
/// known earlier.
extension ClientSession {
    struct Progress: Sendable {
        enum Phase: Sendable {
            /// Commands up to DATA are being sent and answered.
            case commands
            /// The driver sends the content.
            case content
            /// The content is sent; `answered` recipients have their reply, which is all of them at once but in LMTP.
            case verdict
        }

        let transaction: Transaction
        var phase = Phase.commands
        var decided: [DeliveryOutcome?]
        /// Indices of the recipients that RCPT accepted.
        var accepted: [Int] = []
        var awaitsReset: Bool
        var resetSent = false
        var mailSent = false
        var mailReply: Reply?
        var recipientsSent = 0
        var recipientsAnswered = 0
        var dataSent = false
        var refusedInARow = 0
        /// Indices of the recipients for whom the server has no room beside those that it has accepted.
        var surplus: [Int] = []
        /// It has said so often enough: no further RCPT is sent.
        var isFull = false
        /// Recipients of LMTP that have their reply to the content.
        var verdicts = 0
        /// No further RCPT is sent, and the connection ends with the transaction.
        var givesUp = false

        init(_ transaction: Transaction, awaitsReset: Bool) {
            self.transaction = transaction
            self.awaitsReset = awaitsReset
            decided = Array(repeating: nil, count: transaction.recipients.count)
        }

        func outcomes(undecided: DeliveryOutcome) -> [DeliveryOutcome] { decided.map { $0 ?? undecided } }

        mutating func decideRest(_ outcome: DeliveryOutcome) {
            for index in decided.indices where decided[index] == nil { decided[index] = outcome }
        }

        var isMailAccepted: Bool { mailReply?.isPositive ?? false }
        var isMailRefused: Bool { mailReply.map { !$0.isPositive } ?? false }
        var allRecipientsSent: Bool { recipientsSent == transaction.recipients.count || stopsAsking }
        var stopsAsking: Bool { givesUp || isFull || isMailRefused }
        var allRecipientsAnswered: Bool { recipientsAnswered == recipientsSent }
    }

    /// Sends whatever may be sent now, or ends the transaction when nothing is left to send or to await.
    mutating func proceed(_ progress: inout Progress) -> Action {
        var output: [UInt8] = []
        let isPipelined = offer.extensions.contains(.pipelining)
        if progress.awaitsReset, !progress.resetSent {
            progress.resetSent = true
            output.append("RSET\r\n" as StaticString)
        }
        if !progress.mailSent, isPipelined || !progress.awaitsReset {
            progress.mailSent = true
            write(mail: progress.transaction, to: &output)
        }
        if progress.mailSent, isPipelined || progress.isMailAccepted { writeRecipients(&progress, to: &output) }
        if progress.transaction.request.body == .binaryMIME {
            if mayAskForData(progress, isPipelined: false) {
                // RFC 3030 section 2: nothing answers the chunk before it is there.
                progress.dataSent = true
                progress.phase = .content
                state = .transaction(progress)
                return .sendChunk
            }
        } else if mayAskForData(progress, isPipelined: isPipelined) {
            progress.dataSent = true
            output.append("DATA\r\n" as StaticString)
        }
        if output.isEmpty, !progress.dataSent, progress.mailReply != nil, progress.allRecipientsSent,
            progress.allRecipientsAnswered
        {
            // Nobody is left to send the content to; DATA was not sent, so the server waits for RCPT still.
            mustReset = progress.isMailAccepted
            return finish(&progress)
        }
        state = .transaction(progress)
        return output.isEmpty ? .wait : .send(output)
    }

    private func writeRecipients(_ progress: inout Progress, to output: inout [UInt8]) {
        let window = offer.extensions.contains(.pipelining) ? Self.mostOutstandingRecipients : 1
        // A full window is refilled when half of it is answered: one write for many recipients.
        let outstanding = progress.recipientsSent - progress.recipientsAnswered
        guard outstanding <= window / 2 else { return }
        let last = min(progress.transaction.recipients.count, progress.recipientsAnswered + window)
        while progress.recipientsSent < last, !progress.stopsAsking {
            write(recipient: progress.transaction.recipients[progress.recipientsSent], to: &output)
            progress.recipientsSent += 1
        }
    }

    /// DATA is sent behind the last RCPT, or, when its replies are known, if anyone was accepted.
    private func mayAskForData(_ progress: Progress, isPipelined: Bool) -> Bool {
        guard progress.mailSent, !progress.dataSent, !progress.isMailRefused, progress.allRecipientsSent else {
            return false
        }
        if progress.allRecipientsAnswered, progress.mailReply != nil { return !progress.accepted.isEmpty }
        return isPipelined && !progress.givesUp && progress.recipientsSent > 0
    }

    mutating func receive(_ reply: Reply, during progress: inout Progress) -> Action {
        // RFC 5321 section 3.8: 421 answers any command, and the server closes.
        if reply.code == 421 {
            state = .closed
            return .finished(progress.outcomes(undecided: .deferred(reply)), then: .close(.refused(reply)))
        }
        switch progress.phase {
        case .commands:
            if progress.awaitsReset {
                guard reply.isPositive else { return breakOff(progress) }
                progress.awaitsReset = false
                return proceed(&progress)
            }
            if progress.mailReply == nil { return receive(mail: reply, &progress) }
            if !progress.allRecipientsAnswered { return receive(recipient: reply, &progress) }
            return receive(data: reply, &progress)
        case .content:
            // A server that answers before the end has refused; where the content ends cannot be agreed upon any more.
            guard !reply.isPositive, !reply.isIntermediate else { return breakOff(progress) }
            state = .closed
            return .finished(progress.outcomes(undecided: Self.refusal(reply)), then: .close(.quit))
        case .verdict:
            return receive(verdict: reply, &progress)
        }
    }

    private mutating func receive(mail reply: Reply, _ progress: inout Progress) -> Action {
        guard !reply.isIntermediate else { return breakOff(progress) }
        progress.mailReply = reply
        if !reply.isPositive { progress.decideRest(Self.refusal(reply)) }
        return proceed(&progress)
    }

    private mutating func receive(recipient reply: Reply, _ progress: inout Progress) -> Action {
        guard !reply.isIntermediate else { return breakOff(progress) }
        let index = progress.recipientsAnswered
        progress.recipientsAnswered += 1
        // After a refused MAIL the outcome is known, the reply only a consequence.
        guard progress.isMailAccepted else { return proceed(&progress) }
        if reply.isPositive {
            progress.accepted.append(index)
            progress.refusedInARow = 0
        } else if Self.meansTooMany(reply), !progress.accepted.isEmpty {
            progress.decided[index] = .deferred(reply)
            progress.surplus.append(index)
            if progress.surplus.count == mostRefusedRecipients {
                progress.isFull = true
                for rest in progress.recipientsSent..<progress.decided.count {
                    progress.decided[rest] = .deferred(reply)
                    progress.surplus.append(rest)
                }
            }
        } else {
            progress.decided[index] = Self.refusal(recipient: reply)
            progress.refusedInARow += 1
            if progress.refusedInARow == mostRefusedRecipients {
                progress.givesUp = true
                for rest in progress.recipientsSent..<progress.decided.count {
                    progress.decided[rest] = .deferred(.tooManyErrors)
                }
            }
        }
        return proceed(&progress)
    }

    private mutating func receive(data reply: Reply, _ progress: inout Progress) -> Action {
        guard progress.dataSent, !reply.isPositive else { return breakOff(progress) }
        guard reply.isIntermediate else {
            progress.decideRest(Self.refusal(reply))
            mustReset = progress.isMailAccepted
            return finish(&progress)
        }
        guard progress.accepted.isEmpty else {
            progress.phase = .content
            state = .transaction(progress)
            return .sendContent
        }
        // RFC 2920 section 3.1: all recipients were refused, the server wants content all the same and gets none.
        return finish(&progress, owing: Array(".\r\n".utf8))
    }

    private mutating func receive(verdict reply: Reply, _ progress: inout Progress) -> Action {
        guard !reply.isIntermediate else { return breakOff(progress) }
        let promises = offer.extensions.contains(.deliveryStatus)
        let outcome = reply.isPositive ? DeliveryOutcome.delivered(reply, reportsItself: promises) : Self.refusal(reply)
        switch dialect {
        case .smtp:
            progress.decideRest(outcome)
        case .lmtp:
            progress.decided[progress.accepted[progress.verdicts]] = outcome
            progress.verdicts += 1
            guard progress.verdicts == progress.accepted.count else {
                state = .transaction(progress)
                return .wait
            }
        }
        return finish(&progress)
    }

    /// Gives the outcomes, and ends the session when the server has shown that it takes nothing.
    private mutating func finish(_ progress: inout Progress, owing owed: [UInt8] = []) -> Action {
        let outcomes = progress.outcomes(undecided: .deferred(.unexpectedReply))
        let isFruitful = outcomes.contains { outcome in
            switch outcome {
            case .delivered: true
            case .deferred, .failed: false
            }
        }
        fruitlessMessages = isFruitful ? 0 : fruitlessMessages + 1
        // A server of LMTP has no reply to a dot for nobody, so one cannot wait for it.
        let mustQuit = !owed.isEmpty && dialect == .lmtp
        if progress.givesUp || mustQuit || fruitlessMessages >= Self.mostFruitlessMessages {
            state = .quitting
            return .finished(outcomes, then: .send(owed + Self.quitCommand))
        }
        if isFruitful { surplus = progress.surplus }
        state = owed.isEmpty ? .idle : .discarding
        return .finished(outcomes, then: owed.isEmpty ? .idle : .send(owed))
    }

    /// The server does not keep to the protocol: nothing that it says later can be trusted to mean what it seems to.
    private mutating func breakOff(_ progress: Progress) -> Action {
        state = .closed
        return .finished(
            progress.outcomes(undecided: .deferred(.unexpectedReply)), then: .close(.lost(.unexpectedReply)))
    }

    private static func refusal(_ reply: Reply) -> DeliveryOutcome {
        reply.isPermanent ? .failed(reply) : .deferred(reply)
    }

    private static func refusal(recipient reply: Reply) -> DeliveryOutcome {
        meansTooMany(reply) ? .deferred(reply) : refusal(reply)
    }

    // RFC 5321 section 4.5.3.1.10: 452 to RCPT, or the older 552, is "too many recipients"; with a status of its own
    // (5.2.2, a full mailbox) it means what it says. Without any it may be this recipient alone who is refused: he is
    // refused for good when another transaction begins with him.
    private static func meansTooMany(_ reply: Reply) -> Bool {
        (reply.code == 452 || reply.code == 552) && (reply.enhancedStatus?.subject ?? 5) == 5
    }
}
