// SPDX-License-Identifier: ISC

import Channel
import IPC
import Mail
import Posix
import Reactor

/// The edge to Queue, whichever it is at the moment, and what is owed to it.
final class QueueLink {
    private let child: Child
    private(set) var ledger = OutcomeLedger()
    private(set) var isDraining = false
    private var peer: Peer<QueueToDelivery, DeliveryToQueue>?
    private let drainTimer = Timer()

    /// Is told of recipients that are new here, never none.
    var wanted: (DeliveryRequest, Content) -> Void = { _, _ in }
    /// Is told of recipients that waited here and do so no more.
    var cancelled: (Set<EnvelopeID>) -> Void = { _ in }
    /// Is told that an administrator wants hosts tried that had failed.
    var forgetFailures: () -> Void = {}
    /// Is told of hosts that had TLS.
    var protectedHosts: ([ProtectedHost]) -> Void = { _ in }

    init(_ child: Child) { self.child = child }

    func join(_ grant: PeerGrant, _ descriptor: consuming FileDescriptor) {
        peer?.close()
        let peer: Peer<QueueToDelivery, DeliveryToQueue> = child.edge(
            grant, descriptor,
            handle: { [unowned self] message, _, descriptor in heard(message, descriptor) },
            ended: { [unowned self] in self.peer = nil })
        self.peer = peer
        peer.send(.inFlight(ledger.inFlight))
        for (id, outcome) in ledger.kept { peer.send(.outcome(id, outcome)) }
    }

    private func heard(_ message: QueueToDelivery, _ descriptor: consuming FileDescriptor?) {
        switch message {
        case .deliver(var request):
            let accepted = request.recipients.filter { accept($0.id) }
            guard !accepted.isEmpty else { return }
            let content = Content(request.content, file: descriptor)
            request.recipients = accepted
            request.content = .inline([])
            wanted(request, content)
        case .recorded(let ids):
            ledger.recorded(ids)
            if isDraining { leaveIfSettled() }
        case .cancel(let ids):
            let gone = ledger.cancel(ids)
            guard !gone.isEmpty else { return }
            cancelled(Set(gone))
            peer?.send(.cancelled(gone))
        case .forgetFailures:
            forgetFailures()
        case .protectedHosts(let hosts):
            protectedHosts(hosts)
        }
    }

    /// Has Queue keep it for those who come after us.
    func remember(_ host: ProtectedHost) { peer?.send(.protected(host)) }

    private func accept(_ id: EnvelopeID) -> Bool {
        switch ledger.accept(id) {
        case .new: return true
        case .underWay: return false
        case .decided(let outcome):
            peer?.send(.outcome(id, outcome))
            return false
        }
    }

    /// Whether it waits here, or has begun.
    func isKnown(_ id: EnvelopeID) -> Bool { ledger.isKnown(id) }

    /// Whether this envelope may be delivered now; from then on it cannot be cancelled.
    func begin(_ id: EnvelopeID) -> Bool { !isDraining && ledger.begin(id) }

    /// True when this was news: worth a log line.
    func decide(_ id: EnvelopeID, _ outcome: DeliveryOutcome) -> Bool {
        guard ledger.decide(id, outcome) else { return false }
        peer?.send(.outcome(id, outcome))
        return true
    }

    /// Lets nothing begin any more, and leaves when Queue has recorded all that was under way, or after the time.
    func drain(_ seconds: UInt32) {
        isDraining = true
        leaveIfSettled()
        drainTimer.start(afterMilliseconds: UInt64(seconds) * 1000) { Loop.stop() }
    }

    private func leaveIfSettled() {
        if ledger.begunCount == 0, ledger.decidedCount == 0 { Loop.stop() }
    }
}
