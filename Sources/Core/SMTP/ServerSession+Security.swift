// SPDX-License-Identifier: ISC

public import Mail

/// STARTTLS (RFC 3207) on the server's side.
///
/// Nothing that came in plain text outlives it: neither bytes behind the command, which end the session, nor the
/// greeting, nor the state in which lines were read.
extension ServerSession {
    /// Whether the channel is under TLS.
    public var isSecure: Bool { security != nil }

    /// STARTTLS is worth offering, or obeying, now.
    var offersTLS: Bool {
        switch settings.encryption {
        case .unavailable: false
        case .offered, .required: !isSecure
        }
    }

    /// Why no mail is taken over this channel.
    var needsTLS: Bool { settings.encryption == .required && !isSecure }

    /// What is wrong with STARTTLS at this point; nil when it may be.
    func refusalOfTLS(_ open: Transaction?) -> Reply? {
        if greeting == nil || open != nil { return .notHere }
        if isSecure { return .alreadySecure }
        return offersTLS ? nil : .notSupported
    }

    /// The handshake is done. The client must greet again (RFC 3207 section 4.2).
    public mutating func tlsStarted(_ security: ChannelSecurity) -> Action {
        switch state {
        case .handshake: break
        case .closed: return .close(nil)
        case .initial, .ready, .transaction, .content, .chunk, .skipping, .asking, .authenticating, .confirming:
            preconditionFailure("a handshake that was not asked for")
        }
        self.security = security
        greeting = nil
        greetingVerb = .helo
        // No person types TLS.
        framer = LineFramer(.strict)
        state = .ready
        return .awaitCommand
    }

    /// The handshake came to nothing: there is no channel left to answer on.
    public mutating func tlsFailed() -> Action { close(nil) }
}

extension Reply {
    static let startTLS = Reply(220, EnhancedStatus(2, 0, 0), "Ready to start TLS")
    static let alreadySecure = Reply(
        503, EnhancedStatus(5, 5, 1), "Invalid command: Channel already secured")
    static let mustStartTLS = Reply(
        530, EnhancedStatus(5, 5, 1), "Invalid command: Must issue a STARTTLS command first")
    // RFC 3207 section 6: whoever put commands behind STARTTLS wanted them to be taken for protected ones.
    static let dataBehindTLS = Reply(
        500, EnhancedStatus(5, 5, 1), "Invalid command: Pipelining not supported behind STARTTLS")
}
