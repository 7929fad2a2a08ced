// SPDX-License-Identifier: ISC

import Channel
import Glibc
import IPC
import Mail
import Posix
import Reactor

/// What Parent starts beside the daemons: the agent of a mailbox, and the helper that knows the users of the system.
/// Each has one edge and no assignment, and does from the beginning what the word of its order says.
final class EvilHelper {
    private let order: Order
    private let edge: RawEdge

    init(_ order: Order, as role: Role) {
        self.order = order
        let channel = FileDescriptor(owning: 3)
        try? channel.setNonblocking()
        let asker: Role = role == .mailbox ? .local : .parent
        edge = RawEdge(PeerGrant(role: asker, generation: 0, worker: 0), channel, as: role)
    }

    private func sayNonsense() async {
        var random = Dice(7)
        await edge.send((0..<4096).map { _ in random.byte() })
    }

    private func waitForEnd<Message: EdgeMessage>(_ type: Message.Type, each: (Message, UInt64) async -> Void) async {
        while edge.isOpen {
            for (message, correlation) in edge.heard(type) { await each(message, correlation) }
            await Loop.pause(milliseconds: 5)
        }
        exit(0)
    }

    // MARK: Agent

    func deliver() async {
        switch order.word {
        case "bytes": await sayNonsense()
        case "role": await edge.greet(as: .queue)
        default: await edge.greet()
        }
        await waitForEnd(LocalToMailbox.self) { message, _ in
            guard case .deliver(let delivery) = message else { return }
            await answer(delivery)
        }
    }

    private func answer(_ delivery: MailboxDelivery) async {
        switch order.word {
        case "foreign":
            // The envelopes of others, and then it is gone.
            for number in UInt32(1)...1000 {
                let id = EnvelopeID(MessageID(delivery.id.message.value &+ number), number: 1)
                await edge.say(MailboxToLocal.outcome(id, .delivered))
            }
            exit(0)
        case "undone":
            // A second word on the same envelope.
            await edge.say(MailboxToLocal.outcome(delivery.id, .deferred("forged\nline")))
            await edge.say(MailboxToLocal.outcome(delivery.id, .delivered))
        case "long":
            await edge.say(MailboxToLocal.outcome(delivery.id, .deferred(String(repeating: "x\n", count: 1 << 19))))
        default:
            // Nothing is answered: that is "silent".
            break
        }
    }

    // MARK: Account helper

    func answerQuestions() async {
        await edge.greet()
        if order.word == "nonsense" { await sayNonsense() }
        await waitForEnd(ToAccount.self) { question, correlation in
            // The same once more, and an answer to what nobody asked.
            for number in [correlation | Frame.replyBit, correlation | Frame.replyBit, .max] {
                await edge.say(answer(to: question), correlation: number)
            }
        }
    }

    private func answer(to question: ToAccount) -> FromAccount {
        switch question {
        case .user(let name): user(name)
        case .forward, .forwardInTable, .forwardOf: .forward(.absent)
        case .include: .include(.absent)
        case .login, .password, .scramProof: .user(.absent)
        }
    }

    // Everyone is somebody else, as whom no mail is delivered.
    private func user(_ name: String) -> FromAccount {
        switch name {
        case "games": .user(.found(UserRecord(name: "root", uid: 0, gid: 0, home: "/")))
        case "news": .user(.found(UserRecord(name: "_martletq", uid: 65_000, gid: 65_000, home: "/")))
        case "man": .user(.found(UserRecord(name: name, uid: 5, gid: 5, home: "../../etc")))
        case "lp": .verdict(.right)
        default: .user(.absent)
        }
    }
}
