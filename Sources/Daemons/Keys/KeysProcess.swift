// SPDX-License-Identifier: ISC

import Bytes
import Channel
import IPC
import Mail
import Posix
import Reactor

/// Holds the private keys and signs with them; a Listener that was taken over can use a key, but not carry it off.
final class KeysProcess: DaemonProcess {
    private static let largestFile = 64 * 1024

    private let child: Child
    private let log: Log
    private let counters = Counters()
    private let ring = KeyRing()
    private var peers: [PeerGrant: Peer<ToKeys, FromKeys>] = [:]
    private var desk: ControlDesk?

    init(_ child: Child) {
        self.child = child
        log = child.log
        PrivateKey.prepare()
    }

    func begin() throws(KeyFault) {
        for (purpose, name, held) in child.grants.files where purpose == .key {
            guard let descriptor = held.take() else { continue }
            ring.add(try read(descriptor, name), as: name)
        }
        child.peerArrived = { [self] grant, descriptor in join(grant, descriptor) }
        child.fileArrived = { [self] purpose, name, descriptor in
            if purpose == .key { replace(name, descriptor) }
        }
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

    private func replace(_ name: String, _ descriptor: consuming FileDescriptor) {
        do {
            ring.add(try read(descriptor, name), as: name)
            log.info("info: key of pki \(VisibleText(name)) replaced")
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
        case .parent, .lookup, .resolver, .queue, .local, .keys, .account, .mailbox, .control:
            break
        }
    }

    private func take(_ request: ToKeys, from grant: PeerGrant, _ correlation: Correlation) {
        let answer = ring.answer(request, from: grant.role)
        switch answer {
        case .signature:
            counters.add("keys.signature")
        case .refused(let reason):
            counters.add("keys.refused")
            log.warning("\(grant.role.name): signature refused: \(reason)")
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
        case .showStatus, .queue, .pause, .resume, .stop, .reload:
            return [.failed("not held by keys")]
        }
    }
}
