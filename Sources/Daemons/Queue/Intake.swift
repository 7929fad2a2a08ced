// SPDX-License-Identifier: ISC

import Channel
import IPC
import Mail
import Posix
import Reactor
import Spool

/// Which life of which Listener worker.
struct ListenerID: Hashable {
    let worker: UInt16
    let generation: UInt32
}

/// The messages that are coming in: content from a Listener, envelopes from Lookup, joined at the commit.
///
/// A Listener can speak only of transactions whose ids were given to it, in this life of it.
final class Intake {
    // Ids that a worker gets at a time.
    private static let stock = 256
    // Ids that a worker may have: each of its clients may sit in a transaction for minutes.
    private static let mostIssued = 65_536
    // A body beyond this has a file of its own and leaves memory as it comes.
    static let largestInMemory = 256 * 1024
    // Lookup has stored before it answers Listener; what is not here by then was lost with a process.
    private static let patienceMilliseconds: UInt64 = 30_000
    private static let mostRecipients = 100_000
    // Content that may be on its way without credit: the initial one, and the one piece that may overdraw it.
    private static let mostUncredited = QueueToListener.initialCredit + (1 << 20)

    typealias Line = Peer<ListenerToQueue, QueueToListener>

    private final class Transaction {
        let listener: ListenerID
        var content: [UInt8] = []
        var body: SpoolBody?
        var size: UInt64 = 0
        /// Of the size, in bytes: what was not given back as credit.
        var uncredited: UInt64 = 0
        /// It is being written: nothing more can belong to it.
        var isDecided = false
        var envelopes: [UInt32: [Envelope]] = [:]
        var envelopeCount = 0
        var commit: (request: CommitRequest, correlation: Correlation)?
        let timer = Timer()
        var failure: SpoolError?

        init(_ listener: ListenerID) { self.listener = listener }
    }

    private let spool: any Spool
    private let isLive: (MessageID) -> Bool
    private let age: () -> Int64
    private let accepted: (MessageID, StoredMessage, SessionID) -> Void
    private var lines: [ListenerID: Line] = [:]
    private var issued: [MessageID: ListenerID] = [:]
    private var issuedCounts: [ListenerID: Int] = [:]
    private var transactions: [MessageID: Transaction] = [:]

    /// `isLive` says whether an id is in use, `age` how old the queue is; `accepted` takes over a message that is durable.
    init(
        _ spool: any Spool, isLive: @escaping (MessageID) -> Bool, age: @escaping () -> Int64 = { 0 },
        accepted: @escaping (MessageID, StoredMessage, SessionID) -> Void
    ) {
        self.spool = spool
        self.isLive = isLive
        self.age = age
        self.accepted = accepted
    }

    var openTransactions: Int { transactions.count }

    func join(_ listener: ListenerID, _ line: Line) {
        lines[listener] = line
        refill(listener)
    }

    /// The worker has gone: what it did not commit is forgotten.
    func leave(_ listener: ListenerID) {
        lines[listener] = nil
        issuedCounts[listener] = nil
        for (message, owner) in issued where owner == listener { drop(message) }
    }

    /// Ends the edge to a worker that said what it may not say.
    func close(_ listener: ListenerID) {
        lines[listener]?.close()
        leave(listener)
    }

    /// Any listener that can take a notice.
    var anyLine: Line? { lines.values.first { $0.isOpen } }

    private func refill(_ listener: ListenerID) {
        var ids: [MessageID] = []
        let wanted = min(Self.stock, Self.mostIssued - issuedCounts[listener, default: 0])
        while ids.count < wanted {
            let id = freshID()
            issued[id] = listener
            ids.append(id)
        }
        issuedCounts[listener, default: 0] += ids.count
        // None is an answer too: the worker asks again later.
        lines[listener]?.send(.ids(ids))
    }

    /// An id that nobody has.
    func freshID() -> MessageID {
        while true {
            let id = MessageID(Randomness.integer())
            if id.value != 0, issued[id] == nil, !isLive(id) { return id }
        }
    }

    // MARK: From Listener

    /// What is wrong with the message, when it is one that the worker may not send.
    func heard(_ message: ListenerToQueue, _ correlation: Correlation, from listener: ListenerID) -> String? {
        switch message {
        case .wantIDs:
            refill(listener)
        case .content(let id, let bytes):
            guard issued[id] == listener else { return "content of a transaction that is not its own" }
            return take(bytes, id, listener)
        case .commit(let request):
            guard issued[request.message] == listener else { return "commit of a transaction that is not its own" }
            return begin(request, correlation, listener)
        case .rollback(let id):
            guard issued[id] == listener else { return "rollback of a transaction that is not its own" }
            drop(id)
        case .injected:
            return "an answer where none is due"
        }
        return nil
    }

    private func transaction(_ id: MessageID, _ listener: ListenerID) -> Transaction {
        if let known = transactions[id] { return known }
        let new = Transaction(listener)
        transactions[id] = new
        return new
    }

    private func take(_ bytes: [UInt8], _ id: MessageID, _ listener: ListenerID) -> String? {
        let transaction = transaction(id, listener)
        guard transaction.commit == nil else { return "content behind the commit" }
        let credit = UInt64(bytes.count)
        // Whoever sends without credit could fill our memory faster than the disk takes it.
        transaction.uncredited += credit
        guard transaction.uncredited <= Self.mostUncredited else { return "more content than it has credit for" }
        transaction.size += credit
        if transaction.body == nil, transaction.content.count + bytes.count > Self.largestInMemory {
            let body = spool.makeBody()
            transaction.body = body
            body.append(transaction.content) { [weak self] in self?.appended($0, id, credit: 0) }
            transaction.content = []
        }
        if let body = transaction.body {
            // The credit comes back when the bytes have left our memory: a fast sender cannot fill it.
            body.append(bytes) { [weak self] in self?.appended($0, id, credit: credit) }
        } else {
            if transaction.content.isEmpty { transaction.content = bytes } else { transaction.content += bytes }
            if transaction.content.count > Self.largestInMemory / 2 { giveCredit(credit, for: id, transaction) }
        }
        return nil
    }

    private func appended(_ result: Result<Void, SpoolError>, _ id: MessageID, credit: UInt64) {
        guard let transaction = transactions[id] else { return }
        if case .failure(let error) = result { transaction.failure = error }
        if credit > 0 { giveCredit(credit, for: id, transaction) }
    }

    private func giveCredit(_ bytes: UInt64, for id: MessageID, _ transaction: Transaction) {
        transaction.uncredited -= min(bytes, transaction.uncredited)
        lines[transaction.listener]?.send(.credit(id, bytes: bytes))
    }

    private func drop(_ id: MessageID) {
        guard let listener = issued.removeValue(forKey: id) else { return }
        issuedCounts[listener]? -= 1
        if let transaction = transactions.removeValue(forKey: id) {
            transaction.timer.stop()
            transaction.body?.discard()
        }
    }

    // MARK: From Lookup

    func store(_ listener: ListenerID, _ id: MessageID, _ number: UInt32, _ envelopes: [Envelope]) {
        // The worker or the transaction may have gone while Lookup was at work.
        guard issued[id] == listener else { return }
        let transaction = transaction(id, listener)
        // A Listener that has one more recipient expanded behind its commit must not have the message stored twice.
        guard !transaction.isDecided else { return }
        guard transaction.envelopeCount + envelopes.count <= Self.mostRecipients else { return }
        transaction.envelopeCount += envelopes.count - (transaction.envelopes[number]?.count ?? 0)
        transaction.envelopes[number] = envelopes
        if let commit = transaction.commit { finish(id, transaction, commit.request, commit.correlation) }
    }

    // MARK: The commit

    private func begin(_ request: CommitRequest, _ correlation: Correlation, _ listener: ListenerID) -> String? {
        let id = request.message
        let transaction = transaction(id, listener)
        guard transaction.commit == nil else { return "a second commit" }
        guard request.envelopes > 0 else { return "a commit without envelopes" }
        if let fault = request.fault(inContentOf: transaction.size) { return fault }
        transaction.commit = (request, correlation)
        transaction.timer.start(afterMilliseconds: Self.patienceMilliseconds) { [weak self] in
            self?.refuse(id, correlation, Reply(451, EnhancedStatus(4, 3, 0), "Temporary failure"))
        }
        finish(id, transaction, request, correlation)
        return nil
    }

    private func finish(
        _ id: MessageID, _ transaction: Transaction, _ request: CommitRequest, _ correlation: Correlation
    ) {
        guard transaction.envelopeCount >= Int(request.envelopes) else { return }
        transaction.timer.stop()
        transaction.isDecided = true
        guard transaction.failure == nil, transaction.envelopeCount == Int(request.envelopes) else {
            return refuse(id, correlation, Self.reply(to: transaction.failure ?? .unknown))
        }
        let envelopes = transaction.envelopes.sorted { $0.key < $1.key }.flatMap(\.value)
        guard let first = envelopes.first else { return }
        var recipients: [(UInt32, StoredMessage.Recipient)] = []
        recipients.reserveCapacity(envelopes.count)
        for (index, envelope) in envelopes.enumerated() {
            recipients.append(
                (
                    UInt32(index + 1),
                    StoredMessage.Recipient(
                        recipient: envelope.recipient, destination: envelope.destination, dispatch: envelope.dispatch,
                        report: envelope.report, isInternal: envelope.origin.isInternal)
                ))
        }
        let created = SystemClock.now()
        let born = age()
        let pieces = spoolPieces(request.pieces, transaction)
        let size = pieces.reduce(UInt64(0)) { $0 + $1.count }
        let message = SpoolMessage(
            id: id, envelopeCount: UInt32(recipients.count), envelopes: QueueRecord.envelopes(recipients),
            attributes: QueueRecord.attributes(
                created: created, born: born, fingerprint: request.fingerprint, sender: first.sender,
                origin: first.origin, request: request.request),
            pieces: pieces, body: transaction.body)
        transaction.body = nil
        spool.commit(message) { [weak self] result in
            guard let self else { return }
            switch result {
            case .success(let position):
                let line = lines[transaction.listener]
                drop(id)
                accepted(
                    id,
                    StoredMessage(
                        position: position, size: size, created: created, born: born, sender: first.sender,
                        origin: first.origin, request: request.request, fingerprint: request.fingerprint,
                        recipients: Dictionary(uniqueKeysWithValues: recipients)), request.session)
                line?.answer(correlation, .committed)
            case .failure(let error):
                refuse(id, correlation, Self.reply(to: error))
            }
        }
    }

    private func spoolPieces(_ pieces: [MessagePiece], _ transaction: Transaction) -> [SpoolPiece] {
        pieces.map { piece in
            switch piece {
            case .bytes(let bytes):
                return .bytes(bytes)
            case .range(let offset, let length):
                if transaction.body != nil { return .body(offset: offset, count: length) }
                return .bytes(Array(transaction.content[Int(offset)..<Int(offset + length)]))
            }
        }
    }

    private func refuse(_ id: MessageID, _ correlation: Correlation, _ reply: Reply) {
        let line = issued[id].flatMap { lines[$0] }
        // The id stays with its owner until it says rollback; what was gathered for it goes now.
        if let transaction = transactions.removeValue(forKey: id) {
            transaction.timer.stop()
            transaction.body?.discard()
        }
        line?.answer(correlation, .refused(reply))
    }

    static func reply(to error: SpoolError) -> Reply {
        switch error {
        case .full: Reply(452, EnhancedStatus(4, 3, 1), "Insufficient system storage")
        case .tooLarge, .locked, .keyMissing, .unknown, .damaged, .closed, .system:
            Reply(451, EnhancedStatus(4, 3, 0), "Temporary failure")
        }
    }
}
