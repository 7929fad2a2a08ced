// SPDX-License-Identifier: ISC

import Channel
import Host
import IPC
import Launch
import Mail
import Posix
import Reactor

/// The helpers that ask the system about its users: each answers one question at a time, for as long as that takes.
final class AccountPool {
    private static let helperCount = 2
    private static let longestQuestionMilliseconds: UInt64 = 30_000
    // More than Lookup and Delivery ask at one time; who asks too much is told so.
    private static let mostWaiting = 4096
    // Questions wait here: a long one costs as much memory as it has bytes, and no user has such a name.
    private static let longestName = 255
    // Longer than any password or proof that Lookup passes on, with what belongs to it.
    private static let longestSecret = 8192
    // PATH_MAX, less the NUL.
    private static let longestPath = 4095

    private final class Helper {
        var pid: Int32?
        var peer: Peer<FromAccount, ToAccount>?
        var isBusy = false
        var started: UInt64 = 0
        var replacement = Replacement()
        let timer = Timer()
        var isUsable: Bool { peer?.isOpen == true && !isBusy }
    }

    private let spawner: Spawner
    private let errors: FileDescriptor
    private let log: Log
    private var helpers: [Helper] = []
    private var waiting: [UnsafeContinuation<Helper?, Never>] = []
    private var isClosed = false

    /// Starts the helpers. `errors` is what they write their last words to.
    init(spawner: Spawner, errors: consuming FileDescriptor, log: Log) throws(StartFailure) {
        self.spawner = spawner
        self.errors = errors
        self.log = log
        for _ in 0..<Self.helperCount {
            let helper = Helper()
            try start(helper)
            helpers.append(helper)
        }
    }

    /// The answer of a helper; a temporary failure when none can be had.
    func ask(_ question: ToAccount) async -> FromAccount {
        guard question.size <= Self.longest(question) else { return question.unanswered }
        guard let helper = await idleHelper(), let peer = helper.peer else { return question.unanswered }
        defer { release(helper) }
        do {
            let answer = try await peer.request(
                question, timeoutMilliseconds: Self.longestQuestionMilliseconds)
            return answer.answers(question) ? answer : question.unanswered
        } catch {
            if error == .timedOut, let pid = helper.pid {
                log.warning("account helper did not answer: killed")
                helper.peer?.close()
                try? ChildProcess.send(Signal.kill, to: pid)
            }
            return question.unanswered
        }
    }

    private static func longest(_ question: ToAccount) -> Int {
        switch question {
        case .user, .forward, .forwardInTable: longestName
        case .forwardOf: longestPath + longestName
        case .include: longestPath
        case .login, .password, .scramProof: longestSecret
        }
    }

    /// Whether the child that ended was a helper.
    func ended(_ child: ReapedChild) -> Bool {
        guard let helper = helpers.first(where: { $0.pid == child.pid }) else { return false }
        helper.pid = nil
        helper.peer?.close()
        helper.peer = nil
        guard !isClosed else { return true }
        log.warning("lost child: account exited abnormally (\(child.status))")
        restart(helper, after: helper.replacement.died(atAge: Loop.milliseconds - helper.started))
        return true
    }

    func close() {
        isClosed = true
        for helper in helpers {
            helper.timer.stop()
            helper.peer?.close()
        }
        let abandoned = waiting
        waiting = []
        for continuation in abandoned { continuation.resume(returning: nil) }
    }

    private func restart(_ helper: Helper, after milliseconds: UInt64) {
        helper.timer.start(afterMilliseconds: milliseconds) { [weak self, weak helper] in
            guard let self, let helper, !isClosed else { return }
            do {
                try start(helper)
                offer(helper)
            } catch {
                log.warning("\(error)")
                restart(helper, after: helper.replacement.died(atAge: 0))
            }
        }
    }

    private func start(_ helper: Helper) throws(StartFailure) {
        do {
            let pair = try FileDescriptor.streamPair()
            let pid = try spawner.start(
                .account, arguments: [Role.account.name], channel: pair.right, errors: errors)
            helper.pid = pid
            helper.started = Loop.milliseconds
            pair.split { ours, _ in
                helper.peer = Peer(
                    ours, greeting: EdgeGreeting(role: .parent, generation: 0), expecting: .account,
                    handle: { _, _, _ in },
                    ended: { [weak helper] _ in
                        // Without its edge it is of no use; the reaping brings the next.
                        if let pid = helper?.pid { try? ChildProcess.send(Signal.kill, to: pid) }
                    })
            }
        } catch {
            throw StartFailure("account helper: \(error)")
        }
    }

    private func idleHelper() async -> Helper? {
        guard !isClosed, waiting.count < Self.mostWaiting else { return nil }
        if waiting.isEmpty, let helper = helpers.first(where: \.isUsable) {
            helper.isBusy = true
            return helper
        }
        return await withUnsafeContinuation { waiting.append($0) }
    }

    private func release(_ helper: Helper) {
        helper.isBusy = false
        offer(helper)
    }

    private func offer(_ helper: Helper) {
        guard helper.isUsable, !waiting.isEmpty else { return }
        helper.isBusy = true
        waiting.removeFirst().resume(returning: helper)
    }
}

nonisolated extension ToAccount {
    var text: String {
        switch self {
        case .user(let text), .forward(let text), .include(let text), .forwardInTable(let text, _): text
        case .forwardOf(let user): user.name + user.home
        case .login(let user, _): user
        case .password(_, let credential), .scramProof(_, _, let credential): credential
        }
    }

    /// In bytes, without what frames it.
    var size: Int {
        switch self {
        case .user, .forward, .include, .forwardInTable, .forwardOf: text.utf8.count
        case .login(_, let password), .password(let password, _): text.utf8.count + password.count
        case .scramProof(let proof, let message, _): text.utf8.count + proof.count + message.count
        }
    }

    /// Whether it takes long by its nature: such questions have helpers of their own, so that mail waits for none.
    var isSlow: Bool {
        switch self {
        case .user, .forward, .include, .forwardInTable, .forwardOf: false
        case .login, .password, .scramProof: true
        }
    }

    var unanswered: FromAccount {
        switch self {
        case .user: .user(.temporaryFailure)
        case .forward, .forwardInTable, .forwardOf: .forward(.temporaryFailure("the user database does not answer"))
        case .include: .include(.temporaryFailure("the file cannot be read now"))
        case .login, .password, .scramProof: .verdict(.temporaryFailure)
        }
    }
}

nonisolated extension FromAccount {
    func answers(_ question: ToAccount) -> Bool {
        switch (self, question) {
        case (.user, .user), (.forward, .forward), (.forward, .forwardOf), (.include, .include), (.verdict, .login),
            (.verdict, .password), (.verdict, .scramProof), (.proof, .scramProof):
            true
        case (.user, _), (.forward, _), (.include, _), (.verdict, _), (.proof, _): false
        }
    }
}
