// SPDX-License-Identifier: ISC

import Bytes
import Channel
import Configuration
import IPC
import Mail
import Posix
import Reactor
import TLS

/// TLS toward other servers: contexts by what actions want, the sessions that may be resumed, what is remembered of hosts.
final class RelayTLS {
    static let handshakeMilliseconds: UInt64 = 60_000
    private static let mostSessions = 1_000

    /// What contexts differ by.
    private struct Kind: Hashable {
        let pki: String?
        let ca: String?
        let ciphers: String?
        let protocols: String?

        init(_ action: RelayAction) {
            pki = action.pki
            ca = action.ca
            ciphers = action.ciphers
            protocols = action.protocols
        }
    }

    // A session that was verified for one name or by one ca says nothing of another.
    private struct SessionKey: Hashable {
        let kind: Kind
        let endpoint: Endpoint
    }

    let keys = RemoteKeys(for: .client)
    var memory = SecurityMemory()
    private let child: Child
    private var chains: [String: CertificateChain] = [:]
    private var authorities: [String: TrustAnchors] = [:]
    // Not read until somebody is to be verified: the list of a system is long.
    private var unread: [String: Held] = [:]
    private var contexts: [Kind: ClientContext] = [:]
    private var sessions: [SessionKey: ResumableSession] = [:]

    init(_ child: Child) {
        self.child = child
        keys.refused = { child.log.warning("no signature: \($0)") }
        for (purpose, name, held) in child.grants.files {
            if let descriptor = held.take() { take(purpose, name, descriptor) }
        }
        child.fileArrived = { [unowned self] purpose, name, descriptor in
            take(purpose, name, descriptor)
            // Connections under way keep theirs.
            contexts = [:]
            sessions = [:]
        }
    }

    private func take(
        _ purpose: ParentToChild.FilePurpose, _ name: String, _ descriptor: consuming FileDescriptor
    ) {
        switch purpose {
        case .certificate:
            do throws(TLSFault) {
                chains[name] = try CertificateChain(descriptor)
            } catch {
                child.log.warning("pki \(VisibleText(name)): \(error)")
            }
        case .authorities:
            unread[name] = Held(descriptor)
            authorities[name] = nil
        case .table, .tableProgram, .serverKey, .clientKey:
            break
        }
    }

    /// Goes on under TLS as a client of `endpoint`, verified as its policy wants.
    func connect(
        _ connection: Connection, to endpoint: Endpoint, _ action: RelayAction
    ) async throws(TLSFault) -> TLSChannel {
        let kind = Kind(action)
        let verification = verification(of: endpoint)
        let context = try context(kind, verification)
        let key = SessionKey(kind: kind, endpoint: endpoint)
        // RFC 8446 appendix C.4: a ticket is used once.
        let session = sessions.removeValue(forKey: key)
        let host: String? =
            switch endpoint.name.form {
            case .name: endpoint.name.text
            case .literal: nil
            }
        return try await TLSChannel.connect(
            connection, context, host: host, verification, resuming: session, signer: keys,
            timeoutMilliseconds: Self.handshakeMilliseconds)
    }

    /// Keeps what the server gave for the next connection; when the dialogue is over, since tickets come late.
    func keepSession(of channel: TLSChannel, _ endpoint: Endpoint, _ action: RelayAction) {
        guard let session = channel.resumableSession() else { return }
        if sessions.count >= Self.mostSessions { sessions.removeAll() }
        sessions[SessionKey(kind: Kind(action), endpoint: endpoint)] = session
    }

    private func verification(of endpoint: Endpoint) -> ClientContext.Verification {
        switch endpoint.security {
        case .none, .opportunistic, .required(.none), .immediate(.none): return .none
        case .required(.full), .immediate(.full): break
        }
        switch endpoint.name.form {
        case .name: return .name(endpoint.name.text)
        case .literal(let address): return .address(address.description)
        }
    }

    private func context(
        _ kind: Kind, _ verification: ClientContext.Verification
    ) throws(TLSFault) -> ClientContext {
        let anchors = try anchors(kind.ca ?? ParentToChild.systemAuthorities, verification)
        if let known = contexts[kind], anchors == nil || known.hasAuthorities { return known }
        let settings = TLSSettings(ciphers: kind.ciphers, protocols: kind.protocols)
        var identity: ServerContext.Identity?
        if let pki = kind.pki {
            guard let chain = chains[pki] else { throw TLSFault("pki \(pki): no certificate") }
            identity = keys.identity(pki, chain)
        }
        let context = try ClientContext(settings, identity: identity, authorities: anchors)
        contexts[kind] = context
        return context
    }

    private func anchors(
        _ name: String, _ verification: ClientContext.Verification
    ) throws(TLSFault) -> TrustAnchors? {
        switch verification {
        case .none: return nil
        case .name, .address: break
        }
        if let known = authorities[name] { return known }
        guard let descriptor = unread.removeValue(forKey: name)?.take() else {
            throw TLSFault("no authorities (ca) to verify by")
        }
        let read = try TrustAnchors(descriptor)
        authorities[name] = read
        return read
    }
}
