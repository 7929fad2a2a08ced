// SPDX-License-Identifier: ISC

import Channel
import Host
import IPC
import Launch
import Posix
import Reactor

/// Answers one question at a time about the users of the system.
///
/// It stays root, to open files as any user, and loads no filter: name services and PAM modules do what they like. What
/// protects others from it is that it hears nothing but names of users and of included files, has no network, and dies when it takes too long.
enum AccountDesk {
    private static let channelNumber: Int32 = 3
    // Parent gives up at the same time; this one is for a process that hangs inside a library.
    private static let longestQuestionSeconds: UInt32 = 30
    private static let descriptorLimit: UInt64 = 64

    static func serve() async {
        Memory.eraseWhatIsFreed()
        let channel = FileDescriptor(owning: channelNumber)
        do {
            _ = try confine(SandboxProfile.profile(for: .account), descriptors: descriptorLimit)
        } catch {
            ThisProcess.say("\(error)\n")
            return Loop.stop(status: 1)
        }
        var peer: Peer<ToAccount, FromAccount>?
        peer = Peer(
            channel, greeting: EdgeGreeting(role: .account, generation: 0), expecting: .parent,
            handle: { question, correlation, _ in
                Alarm.set(seconds: longestQuestionSeconds)
                let answer = answer(question)
                Alarm.set(seconds: 0)
                peer?.answer(correlation, answer)
            },
            // Without Parent there is nobody to answer.
            ended: { _ in Loop.stop() })
        await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in _ = peer }
    }

    private static func answer(_ question: ToAccount) -> FromAccount {
        switch question {
        case .user(let name): .user(Users.user(named: name))
        case .forward(let name): .forward(Users.forward(of: name))
        case .forwardOf(let user): .forward(Users.forward(of: user))
        // Only Parent knows the tables.
        case .forwardInTable: .forward(.temporaryFailure("not a user of the system"))
        case .include(let path): .include(Users.include(path))
        case .login(let user, let password): .verdict(Passwords.login(user: user, password))
        case .password(let password, let credential): .verdict(Passwords.check(password, credential: credential))
        case .scramProof(let proof, let message, let credential):
            Passwords.proof(proof, message: message, credential: credential)
        }
    }
}
