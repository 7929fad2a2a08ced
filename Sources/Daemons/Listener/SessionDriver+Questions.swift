// SPDX-License-Identifier: ISC

import Bytes
import Channel
import Configuration
import IPC
import Mail
import Message
import Posix
import Reactor
import SMTP
import TLS

/// What the session asks, and who answers it.
extension SessionDriver {
    enum Consideration {
        case now(ServerSession.Answer)
        case after(Step)
    }

    /// The answer where nobody else has to be asked, or what has to be done for it.
    func answer(_ question: ServerSession.Question) -> Consideration {
        switch question {
        case .connect:
            return address == nil || isNamed ? .now(.proceed) : .after(.name)
        case .greeting:
            return session.isSecure && session.user == nil ? .after(.mechanisms) : .now(.proceed)
        case .startTLS, .data, .reset, .noop, .quit:
            return .now(.proceed)
        case .authenticate:
            return .after(.authentication)
        case .client(let claim):
            take(claim)
            return .now(.proceed)
        case .forward(let claim):
            owner.log.info("\(number) smtp event=xforward\(Self.text(of: claim))")
            return .now(.proceed)
        case .mail:
            if isCounted, let address, let excess = owner.ledger.message(address, at: Loop.milliseconds) {
                return .now(.refuse(count(excess)))
            }
            return .after(.sender)
        case .recipient(_, let recipient, _):
            if owner.ledger.limits.recipientRate > 0, !isTimely(recipient) {
                return .now(.refuse(count(.recipients)))
            }
            return .after(.recipient)
        case .endOfData:
            return .after(.commit)
        }
    }

    func give(_ answer: ServerSession.Answer) {
        session.now = SystemClock.now()
        action = session.answer(answer)
    }

    @inline(never)
    func findName() async {
        if let address { hostName = await nameOfClient(address) }
        give(.proceed)
    }

    @inline(never)
    func findMechanisms() async {
        session.mechanisms = await mechanisms()
        give(.proceed)
    }

    @inline(never)
    func authenticate() async {
        guard case .ask(.authenticate(let mechanism, let claim)) = action else { return }
        give(await authenticate(mechanism, claim))
    }

    @inline(never)
    func askForSender() async {
        guard case .ask(.mail(let sender, _, _)) = action else { return }
        if session.user != nil, let refusal = await refusal(of: sender) { return give(refusal) }
        give(await beginTransaction())
    }

    @inline(never)
    func askForRecipient() async {
        guard case .ask(.recipient(let number, let recipient, let report)) = action else { return }
        give(await expand(number, recipient, report))
    }

    @inline(never)
    func askForCommit() async {
        guard case .ask(.endOfData(let findings)) = action else { return }
        give(await commit(findings))
    }

    @inline(never)
    func beginTransaction() async -> ServerSession.Answer {
        forgetTransaction()
        do {
            message = try await owner.queue.takeID()
            return .proceed
        } catch {
            return .disconnect(.temporaryFailure)
        }
    }

    @inline(never)
    func expand(_ number: Int, _ recipient: Mailbox, _ report: ReportRequest) async -> ServerSession.Answer {
        guard session.user == nil || authority === owner.lookup.peer else {
            // Whoever took the place of the one that knew the client would take us for a liar.
            return .disconnect(.temporaryFailure)
        }
        guard let message, let transaction = session.transaction else { return .disconnect(.temporaryFailure) }
        defer { expansions += 1 }
        let request = ExpansionRequest(
            session: self.number, message: message, number: expansions, sender: transaction.sender,
            recipient: recipient,
            report: report, statement: statement, origin: origin, isAuthenticated: session.isAuthenticated,
            isSecure: session.isSecure)
        do {
            switch try await owner.lookup.request(.expand(request)) {
            case .accepted(let count):
                let (total, overflow) = envelopes.addingReportingOverflow(count)
                guard !overflow else { return .disconnect(.temporaryFailure) }
                envelopes = total
                onlyRecipient = number == 0 ? recipient : nil
                if !recipient.isASCII { hasInternationalRecipient = true }
                return .proceed
            case .refused(let reply):
                return .refuse(reply)
            case .authenticated, .challenge, .offer, .permitted, .named:
                return .disconnect(.temporaryFailure)
            }
        } catch {
            // Whether it was stored is not known, and so not what a commit would be for.
            return .disconnect(.temporaryFailure)
        }
    }

    @inline(never)
    func commit(_ findings: ContentFindings) async -> ServerSession.Answer {
        guard let message, let transaction = session.transaction, !transferFailed else {
            return .disconnect(.temporaryFailure)
        }
        scanner.finish()
        guard scanner.findings.fault == nil else { return .refuse(.notCompliant) }
        let identifier = scanner.findings.messageID ?? newMessageID()
        var request = transaction.request
        // A client may announce what it does not use; then the next host need not know of it.
        request.isInternational = request.isInternational && needsInternationalMail(transaction)
        guard
            let pieces = messagePieces(message, contentCount: findings.size.value, request, messageID: identifier)
        else { return .refuse(.notCompliant) }
        let commit = CommitRequest(
            message: message, session: number, envelopes: envelopes, pieces: pieces, request: request,
            fingerprint: MessageFingerprint(of: identifier))
        // Whatever a client sends, Queue must not take us for one that was taken over.
        guard commit.fault(inContentOf: UInt64(findings.size.value)) == nil else { return .refuse(.notCompliant) }
        let refusal: Reply?
        do {
            refusal = try await owner.queue.commit(commit)
        } catch {
            // Whether it was kept is not known: the client tries again, at worst it comes twice.
            return .disconnect(.temporaryFailure)
        }
        if let refusal { return .refuse(refusal) }
        owner.log.info(
            "\(number) smtp message msgid=\(message) size=\(findings.size.value) nrcpt=\(transaction.recipients) "
                + "proto=\(session.protocolName)" + (request.priority.map { " priority=\($0.value)" } ?? ""))
        owner.counters.add("smtp.message")
        // Spent: what comes now belongs to another transaction.
        forgetTransaction()
        return .accepted(message)
    }

    func needsInternationalMail(_ transaction: ServerSession.Transaction) -> Bool {
        scanner.findings.isInternational || hasInternationalRecipient
            || !(transaction.sender.mailbox?.isASCII ?? true)
    }

    /// `messageID` is for a message that has none and must have one. nil when the header cannot be made what it must be.
    func messagePieces(
        _ message: MessageID, contentCount: Int, _ request: MessageRequest, messageID: String
    ) -> [MessagePiece]? {
        guard let replacements = rewrittenFields() else { return nil }
        let now = SystemClock.now()
        let zone = SystemClock.zone(at: now)
        let date = MailDate(now, offset: zone.offset, zone: zone.name)
        let authentication: TraceField.Authentication
        if listener.showsAuthentication, session.isSecure {
            authentication = session.user.map { .user($0) } ?? .none
        } else {
            authentication = .untold
        }
        let trace = TraceField(
            client: listener.masksSource ? nil : TraceField.Client(origin), serverName: serverName,
            type: transmissionType(request), messageID: message,
            security: session.security, authentication: authentication, onlyRecipient: onlyRecipient,
            priority: request.priority, date: date)
        var head: [UInt8] = []
        trace.write(to: &head)
        let missing = completesHeader ? MissingFields(date: date, messageID: messageID) : nil
        return MessagePieces.list(
            scanner.findings, contentCount: contentCount, trace: head, missing: missing,
            replacements: replacements
        ).map {
            switch $0 {
            case .bytes(let bytes): .bytes(bytes)
            case .range(let range): .range(offset: UInt64(range.lowerBound), length: UInt64(range.count))
            }
        }
    }

    func rewrittenFields() -> [(range: Range<Int>, bytes: [UInt8])]? {
        var author: Mailbox?
        if session.user != nil, case .masquerade? = listener.senders?.treatment {
            author = session.transaction?.sender.mailbox
        }
        return MessagePieces.rewritten(scanner.findings, serverName: serverName, author: author)
    }

    func transmissionType(_ request: MessageRequest) -> TraceField.TransmissionType {
        var type: TraceField.TransmissionType
        switch session.greetingVerb {
        case .helo: type = .smtp
        case .ehlo: type = .esmtp
        case .lhlo: type = TraceField.TransmissionType(.lmtp)
        }
        type.isSecure = session.isSecure
        type.isAuthenticated = session.user != nil
        type.isInternational = request.isInternational
        return type
    }

    // Programs of this host and submission leave the header unfinished; a relay must not touch what others wrote.
    var completesHeader: Bool {
        address?.isLoopback ?? true || session.user != nil || listener.port == 587 || listener.port == 465
    }

    func newMessageID() -> String {
        "<\(Hexadecimal.text(Randomness.integer(UInt64.self), width: 16))@\(serverName)>"
    }

    var origin: Origin {
        Origin(
            serverName: serverName, greeting: session.greeting ?? "unknown", hostName: hostName, address: address,
            tag: listener.tag, user: session.user)
    }

    @inline(never)
    func nameOfListener(_ statement: UInt16, _ address: IPAddress) async -> Domain? {
        guard
            case .named(let name)? = try? await owner.lookup.request(.name(statement: statement, address: address))
        else { return nil }
        return name
    }

    @inline(never)
    func nameOfClient(_ address: IPAddress) async -> String {
        switch await owner.names.name(of: address) {
        case .found(let name, _): name.text
        case .absent, .temporaryFailure: "<unknown>"
        }
    }
}
