// SPDX-License-Identifier: ISC

import Mail
import Testing

@testable import Schedule

struct NoticeLedgerTests {
    private static let reply = Reply(550, EnhancedStatus(5, 1, 1), "No such user")
    private static let accepted = Reply(250, EnhancedStatus(2, 0, 0), "Message accepted")
    private static let later = Reply(451, EnhancedStatus(4, 3, 0), "Try again later")
    private let sender = ReversePath("joe@example.org") ?? .null

    private func report(
        _ ledger: inout NoticeLedger, _ kind: NoticeKind, _ id: EnvelopeID, _ notify: ReportRequest.Notify = [],
        at now: Instant = .at(0)
    ) -> NoticeVerdict {
        ledger.report(kind, of: id, to: sender, request: ReportRequest(notify: notify), reply: Self.reply, now: now)
    }

    @Test(
        arguments: [
            (NoticeKind.failed, [], true), (.failed, .failure, true), (.failed, .success, false),
            (.failed, .delay, false),
            (.failed, .never, false), (.delayed, [], true), (.delayed, .delay, true), (.delayed, .failure, false),
            (.delayed, .never, false), (.delivered, [], false), (.delivered, .success, true),
            (.delivered, [.failure, .delay], false), (.relayed, .success, true), (.relayed, [], false),
            (.relayed, [.success, .never], false),
        ] as [(NoticeKind, ReportRequest.Notify, Bool)])
    func `a notice is made when the sender asked`(kind: NoticeKind, notify: ReportRequest.Notify, isMade: Bool) {
        var ledger = NoticeLedger()
        #expect(report(&ledger, kind, envelope(1, 1), notify) == (isMade ? .gathered : .unwanted))
        #expect(ledger.count == (isMade ? 1 : 0))
    }

    @Test func `nobody is told that a notice failed, but the log is`() {
        var ledger = NoticeLedger()
        for (kind, verdict) in [
            (NoticeKind.failed, NoticeVerdict.doubleBounce), (.delayed, .unwanted), (.delivered, .unwanted),
        ] {
            let answer = ledger.report(
                kind, of: envelope(1, 1), to: .null, request: ReportRequest(notify: [.failure, .success, .delay]),
                reply: Self.reply, now: .at(0))
            #expect(answer == verdict)
        }
        #expect(ledger.count == 0)
    }

    @Test func `an outcome calls for the kind of its class`() {
        #expect(NoticeKind(.ok, .local) == .delivered)
        #expect(NoticeKind(.ok, .relay) == .relayed)
        #expect(NoticeKind(.delivered(Self.accepted, reportsItself: true), .relay) == nil)
        #expect(NoticeKind(.busy, .relay) == nil)
        #expect(NoticeKind(.refused, .local) == .failed)
    }

    @Test func `news of a second is one notice per message and kind`() {
        var ledger = NoticeLedger()
        #expect(report(&ledger, .failed, envelope(1, 1)) == .gathered)
        #expect(report(&ledger, .failed, envelope(1, 2), at: Instant(milliseconds: 900)) == .gathered)
        #expect(report(&ledger, .failed, envelope(1, 2), at: Instant(milliseconds: 900)) == .gathered)
        #expect(report(&ledger, .delayed, envelope(1, 3)) == .gathered)
        #expect(ledger.take(now: Instant(milliseconds: 999)).isEmpty)
        #expect(ledger.nextDue() == .at(1))
        let notices = ledger.take(now: .at(1))
        #expect(notices.map(\.kind) == [.failed, .delayed])
        #expect(notices.first?.items.map(\.envelope) == [envelope(1, 1), envelope(1, 2)])
        #expect(report(&ledger, .failed, envelope(1, 4), at: .at(1)) == .gathered)
        // Two sessions at most.
        #expect(ledger.take(now: .at(9)).isEmpty && ledger.nextDue() == nil)
        #expect(ledger.injected(notices[0].number, Self.accepted, now: .at(9)) == .accepted(notices[0]))
        #expect(ledger.needs(MessageID(1)) && !ledger.needs(MessageID(2)))
        #expect(ledger.injected(notices[0].number, Self.accepted, now: .at(9)) == .unknown)
        #expect(ledger.take(now: .at(9)).first?.items.map(\.envelope) == [envelope(1, 4)])
    }

    @Test func `a deferred notice is tried again, a refused one is named`() {
        var ledger = NoticeLedger(timeToLive: .seconds(100))
        _ = report(&ledger, .failed, envelope(1, 1))
        for (now, next) in [(1, 10), (10, 40), (41, 90)] as [(Int64, Int64)] {
            let notice = ledger.take(now: .at(now))
            #expect(notice.count == 1)
            #expect(ledger.injected(notice.first?.number ?? 0, Self.later, now: .at(now)) == .retry(at: .at(next)))
            #expect(ledger.nextDue() == .at(next))
        }
        let last = ledger.take(now: .at(100))
        #expect(ledger.injected(last[0].number, Self.later, now: .at(100)) == .abandoned(last[0], Self.later))
        _ = report(&ledger, .failed, envelope(2, 1), at: .at(200))
        let refused = ledger.take(now: .at(201))
        #expect(ledger.injected(refused[0].number, Self.reply, now: .at(201)) == .refused(refused[0], Self.reply))
        #expect(ledger.count == 0 && ledger.injectingCount == 0 && !ledger.needs(MessageID(2)))
    }

    @Test func `a removed recipient leaves its notice`() {
        var ledger = NoticeLedger()
        _ = report(&ledger, .failed, envelope(1, 1))
        _ = report(&ledger, .failed, envelope(1, 2))
        ledger.remove(envelope(1, 1))
        #expect(ledger.count == 1)
        #expect(ledger.take(now: .at(1)).first?.items.map(\.envelope) == [envelope(1, 2)])
        ledger.remove(envelope(1, 2))
        #expect(ledger.count == 1)
        _ = report(&ledger, .delayed, envelope(3, 1))
        ledger.remove(envelope(3, 1))
        #expect(ledger.count == 1 && ledger.take(now: .at(5)).isEmpty)
    }

    @Test func `very many recipients make several notices`() {
        var ledger = NoticeLedger()
        for number in 1...2500 as ClosedRange<UInt32> { _ = report(&ledger, .failed, envelope(1, number)) }
        #expect(ledger.count == 3)
        #expect(ledger.take(now: .at(1)).map(\.items.count) == [1000, 1000])
    }
}
