// SPDX-License-Identifier: ISC

import Bytes
import Channel
import Configuration
import IPC
import Mail
import Posix
import Reactor

/// Holds the private keys and signs with them; a Listener that was taken over can use a key, but not carry it off.
final class KeysProcess: DaemonProcess {
    private static let largestFile = 64 * 1024
    // Longer than a session may go on under an old configuration.
    private static let retirementMilliseconds: UInt64 = 11 * 60_000

    private let child: Child
    private let log: Log
    private let counters = Counters()
    private let ring = KeyRing()
    private var peers: [PeerGrant: Peer<ToKeys, FromKeys>] = [:]
    private var desk: ControlDesk?
    private let retirement = Timer()

    init(_ child: Child) {
        self.child = child
        log = child.log
        PrivateKey.prepare()
    }

    func begin() throws(KeyFault) {
        var fault: KeyFault?
        for (purpose, name, held) in child.grants.files {
            guard let place = Self.place(purpose, name), let descriptor = held.take() else { continue }
            do throws(KeyFault) {
                ring.add(try read(descriptor, name), as: place)
            } catch {
                log.warning("\(error)")
                fault = error
            }
        }
        // One bad file must not take the other keys away, when this is the successor of one that died.
        if let fault, ring.count == 0 { throw fault }
        child.peerArrived = { [self] grant, descriptor in join(grant, descriptor) }
        child.fileArrived = { [self] purpose, name, descriptor in
            if let place = Self.place(purpose, name) { replace(place, descriptor) }
        }
        child.reloaded = { [self] _, configuration in retire(configuration) }
        child.drained = { _ in Loop.stop() }
        for case (.control, let held) in child.grants.sockets {
            guard let descriptor = held.take() else { continue }
            desk = ControlDesk(descriptor, role: .keys) { [self] in answer($0) }
        }
        child.ready()
    }

    private func read(_ descriptor: consuming FileDescriptor, _ name: String) throws(KeyFault) -> PrivateKey {
        do {
            let text = try KeyText(descriptor, limit: Self.largestFile)
            return try text.withBytes { bytes throws(KeyFault) in try PrivateKey(pem: bytes) }
        } catch {
            throw KeyFault(description: "pki \(name): \(error)")
        }
    }

    private static func place(_ purpose: ParentToChild.FilePurpose, _ name: String) -> KeyRing.Place? {
        switch purpose {
        case .serverKey: KeyRing.Place(purpose: .server, pki: name)
        case .clientKey: KeyRing.Place(purpose: .client, pki: name)
        case .table, .tableProgram, .certificate, .authorities: nil
        }
    }

    // Sessions that began under the configuration before may still want a key that is not named any more.
    private func retire(_ configuration: String) {
        let parsed = ServerConfiguration.parse(
            Array(configuration.utf8), named: "keys", options: ParseOptions(.partial))
        guard let configuration = parsed.configuration else {
            return log.warning("keys: the new configuration cannot be read; all keys stay")
        }
        let names = Set(configuration.pki.map(\.name))
        retirement.start(afterMilliseconds: Self.retirementMilliseconds) { [weak self] in self?.ring.keep(only: names) }
    }

    private func replace(_ place: KeyRing.Place, _ descriptor: consuming FileDescriptor) {
        do {
            ring.add(try read(descriptor, place.pki), as: place)
            log.debug("key of pki \(VisibleText(place.pki)) read")
        } catch {
            log.warning("\(error)")
        }
    }

    private func join(_ grant: PeerGrant, _ descriptor: consuming FileDescriptor) {
        switch grant.role {
        case .listener, .relay:
            peers[grant] = child.edge(
                grant, descriptor,
                handle: { [weak self] request, correlation, _ in self?.take(request, from: grant, correlation) },
                ended: { [weak self] in self?.peers[grant] = nil })
        case .parent, .lookup, .resolver, .queue, .local, .keys, .account, .mailbox, .control, .table:
            break
        }
    }

    private func take(_ request: ToKeys, from grant: PeerGrant, _ correlation: Correlation) {
        let answer = ring.answer(request, from: grant.role)
        switch answer {
        case .signature:
            counters.add("keys.signature")
        case .held:
            break
        case .refused(let reason):
            counters.add("keys.refused")
            // Whoever only asked says what it does without.
            if case .sign(let name, _, _, _) = request {
                log.warning("\(grant.role.name): signature refused: pki \(VisibleText(name.pki)): \(reason)")
            }
        }
        peers[grant]?.answer(correlation, answer)
    }

    private func answer(_ request: ControlRequest) -> [ControlAnswer] {
        switch request {
        case .showStatistics:
            counters.set("keys.held", Int64(ring.count))
            return counters.answers
        case .verbose(let isVerbose):
            log.isVerbose = isVerbose
            return [.done(count: 0)]
        case .showStatus, .showDelivery, .queue, .pause, .resume, .stop, .reload, .updateTable,
            .explain, .showPlan, .lookUp:
            return [.failed("not held by keys")]
        }
    }
}
