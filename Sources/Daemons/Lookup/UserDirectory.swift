// SPDX-License-Identifier: ISC

import Channel
import Configuration
import IPC
import Mail
import Reactor
import Routing

/// The users of the system, as Parent's account helpers know them; each answer is kept for a while.
final class UserDirectory {
    private static let foundMilliseconds: UInt64 = 60_000
    // Short, so that a user who was just added does not wait for mail.
    private static let absentMilliseconds: UInt64 = 5_000
    // Mail for one user comes in bursts, and each look at the file takes four switches between processes; its owner
    // who has changed it does not see the difference of a second.
    private static let forwardMilliseconds: UInt64 = 1_000
    private static let most = 10_000
    // The account helper itself is killed after 30 s.
    private static let patienceMilliseconds: UInt64 = 40_000

    let parent = PeerSlot<ParentToLookup, LookupToParent>()
    private var known: [String: (lookup: UserLookup, until: UInt64)] = [:]
    private var forwards: [ForwardKey: (file: ForwardFile, until: UInt64)] = [:]

    func user(named name: String) async -> UserLookup {
        if let entry = known[name], entry.until > Loop.milliseconds { return entry.lookup }
        switch await ask(.user(named: name)) {
        case .user(.found(let user)):
            return keep(.found(user), as: name, for: Self.foundMilliseconds)
        case .user(.absent):
            return keep(.absent, as: name, for: Self.absentMilliseconds)
        case .user(.temporaryFailure), .forward, .include, .verdict, .proof, nil:
            return .failed
        }
    }

    private func keep(_ lookup: UserLookup, as name: String, for milliseconds: UInt64) -> UserLookup {
        if known.count >= Self.most {
            let now = Loop.milliseconds
            known = known.filter { $0.value.until > now }
            if known.count >= Self.most { known.removeAll() }
        }
        known[name] = (lookup, Loop.milliseconds + milliseconds)
        return lookup
    }

    /// The content of the user's ~/.forward, as it was within the last second.
    func forward(of user: UserRecord, in userbase: TableReference) async -> ForwardFile {
        let key = ForwardKey(user: user.name, userbase: userbase)
        if let entry = forwards[key], entry.until > Loop.milliseconds { return entry.file }
        let file: ForwardFile
        switch userbase {
        case .builtIn: file = await askForForward(.forward(user: user.name))
        case .named(let table): file = await askForForward(.forwardInTable(user: user.name, table: table))
        }
        switch file {
        case .absent, .bytes:
            if forwards.count >= Self.most { forwards.removeAll() }
            forwards[key] = (file, Loop.milliseconds + Self.forwardMilliseconds)
        case .insecure, .temporary:
            forwards[key] = nil
        }
        return file
    }

    private struct ForwardKey: Hashable {
        let user: String
        let userbase: TableReference
    }

    private func askForForward(_ question: ToAccount) async -> ForwardFile {
        switch await ask(question) {
        case .forward(.content(let bytes)): return .bytes(bytes)
        case .forward(.absent): return .absent
        case .forward(.insecure): return .insecure
        case .forward(.temporaryFailure), .user, .include, .verdict, .proof, nil: return .temporary
        }
    }

    /// The content of a file that an alias includes. Parent has it opened if an alias table names it.
    func include(_ path: String) async -> IncludeAnswer {
        switch await ask(.include(path: path)) {
        case .include(let answer): return answer
        case .user, .forward, .verdict, .proof, nil: return .temporaryFailure("no answer")
        }
    }

    /// Whether a proof is right; a temporary failure when no helper answers.
    func judge(_ claim: ToAccount) async -> FromAccount { await ask(claim) ?? .verdict(.temporaryFailure) }

    /// Asks a helper of Parent; nil when none answers.
    private func ask(_ question: ToAccount) async -> FromAccount? {
        do {
            let answer = try await parent.request(
                .account(question), timeoutMilliseconds: Self.patienceMilliseconds)
            guard case .account(let answer) = answer else { return nil }
            return answer
        } catch {
            return nil
        }
    }
}
