// SPDX-License-Identifier: ISC

import Bytes
import Channel
import Configuration
import IPC
import Mail
import Posix
import Reactor
import TLS

/// The TLS of all listeners of one worker: the certificates that Parent opened, and the way to the keys, which are not
/// here.
final class ListenerTLS {
    /// From the first byte of the handshake to the last.
    static let handshakeMilliseconds: UInt64 = 60_000
    // Parent gives a new key to Keys before the certificate comes here; it may be read there a little later.
    private static let keyAttempts = 10
    private static let keyPauseMilliseconds: UInt64 = 1_000

    let keys = RemoteKeys(for: .server)
    private let child: Child
    private let listeners: [ListenStatement]
    private let configuration: ServerConfiguration
    private var chains: [String: CertificateChain] = [:]
    private var authorities: [String: TrustAnchors] = [:]
    private var secrets: [[UInt8]]
    private var contexts: [Int: ServerContext] = [:]
    private var isChecked = false

    /// Reads what Parent gave, and makes a context for each listener that has TLS.
    init(_ child: Child, _ configuration: ServerConfiguration) throws(TLSFault) {
        self.child = child
        self.configuration = configuration
        listeners = configuration.listeners
        secrets = child.grants.ticketSecrets
        keys.refused = { child.log.warning("no signature: \($0)") }
        for (purpose, name, held) in child.grants.files {
            guard let descriptor = held.take() else { continue }
            do throws(TLSFault) {
                try take(purpose, name, descriptor)
            } catch {
                throw TLSFault("\(Self.what(purpose)) \(name): \(error)")
            }
        }
        for index in listeners.indices where listeners[index].encryption != .none {
            contexts[index] = try context(listeners[index])
        }
        child.ticketsChanged = { [unowned self] secrets in
            self.secrets = secrets
            for (index, context) in contexts { context.setTickets(secrets, name: name(of: listeners[index])) }
        }
        child.fileArrived = { [unowned self] purpose, name, descriptor in replace(purpose, name, descriptor) }
    }

    private static func what(_ purpose: ParentToChild.FilePurpose) -> String {
        switch purpose {
        case .certificate: "pki"
        case .authorities: "ca"
        case .table, .tableProgram, .serverKey, .clientKey: "file"
        }
    }

    /// The context of a listen statement; nil when it has no TLS.
    func context(of statement: UInt16) -> ServerContext? { contexts[Int(statement)] }

    private func take(
        _ purpose: ParentToChild.FilePurpose, _ name: String, _ descriptor: consuming FileDescriptor
    ) throws(TLSFault) {
        switch purpose {
        case .certificate:
            let chain = try CertificateChain(descriptor)
            if let fault = chain.fault(at: SystemClock.now()) {
                child.log.warning("pki \(VisibleText(name)): \(fault)")
            }
            chains[name] = chain
        case .authorities:
            authorities[name] = try TrustAnchors(descriptor)
        case .table, .tableProgram, .serverKey, .clientKey:
            break
        }
    }

    private func context(_ listener: ListenStatement) throws(TLSFault) -> ServerContext {
        var settings = TLSSettings(
            ciphers: listener.ciphers ?? configuration.smtp.ciphers, protocols: listener.protocols)
        var identities: [ServerContext.Identity] = []
        for name in listener.pki {
            guard let chain = chains[name] else { throw TLSFault("pki \(name): no certificate") }
            identities.append(keys.identity(name, chain))
            switch configuration.pki.first(where: { $0.name == name })?.keyExchange {
            case .auto, .legacy: settings.keyExchange = .finiteFields
            case .some(.none), nil: break
            }
        }
        let verification: ServerContext.ClientCertificate = listener.encryption.verifiesClients ? .required : .ignored
        let anchors = authorities[listener.ca ?? ParentToChild.systemAuthorities]
        if verification == .required, anchors == nil {
            throw TLSFault("\(listener.location): verify: no authorities (ca) to verify by")
        }
        let context: ServerContext
        do throws(TLSFault) {
            context = try ServerContext(
                settings, name: name(of: listener), identities: identities, clientCertificate: verification,
                authorities: verification == .required ? anchors : nil)
        } catch {
            throw TLSFault("\(listener.location): \(error)")
        }
        context.setTickets(secrets, name: name(of: listener))
        return context
    }

    // Tickets of one listener are not for another, which may want more of its clients (verify), or be another service.
    // All workers and generations with the same statement have the same name for it.
    private func name(of listener: ListenStatement) -> [UInt8] {
        var one = ServerConfiguration()
        one.listeners = [listener]
        return Array("\(one.printed(.listen)) port \(listener.port)".utf8)
    }

    // MARK: Replacement

    /// Keys can be asked: whether it has what the certificates need is told now, not by the first client.
    func check() {
        guard !isChecked else { return }
        isChecked = true
        for (name, chain) in chains {
            Task {
                if let fault = await faultOfKey(name, chain) {
                    child.log.warning("pki \(VisibleText(name)): no handshake with it will succeed: \(fault)")
                }
            }
        }
    }

    private func faultOfKey(_ name: String, _ chain: CertificateChain) async -> String? {
        var fault: String?
        for attempt in 1...Self.keyAttempts {
            fault = await keys.fault(name, chain)
            if fault == nil || attempt == Self.keyAttempts { break }
            await Loop.pause(milliseconds: Self.keyPauseMilliseconds)
        }
        return fault
    }

    /// A file has changed. Sessions under way keep what they have; a certificate that is no good changes nothing.
    private func replace(
        _ purpose: ParentToChild.FilePurpose, _ name: String, _ descriptor: consuming FileDescriptor
    ) {
        do throws(TLSFault) {
            switch purpose {
            case .certificate:
                let chain = try CertificateChain(descriptor)
                Task { await adopt(chain, as: name) }
            case .authorities:
                authorities[name] = try TrustAnchors(descriptor)
                try remake()
                child.log.info("info: ca \(VisibleText(name)) replaced")
            case .table, .tableProgram, .serverKey, .clientKey:
                break
            }
        } catch {
            child.log.warning("\(Self.what(purpose)) \(VisibleText(name)): \(error); the old one stays")
        }
    }

    private func adopt(_ chain: CertificateChain, as name: String) async {
        if let fault = await faultOfKey(name, chain) {
            return child.log.warning("pki \(VisibleText(name)): \(fault); the old certificate stays")
        }
        let old = chains[name]
        chains[name] = chain
        do throws(TLSFault) {
            try remake()
            child.log.info("info: certificate of pki \(VisibleText(name)) replaced")
        } catch {
            chains[name] = old
            child.log.warning("pki \(VisibleText(name)): \(error); the old certificate stays")
        }
    }

    // All of them or none.
    private func remake() throws(TLSFault) {
        var made: [Int: ServerContext] = [:]
        for index in contexts.keys { made[index] = try context(listeners[index]) }
        contexts = made
    }
}
