// SPDX-License-Identifier: ISC

/// A part of the language that may be read and checked without being built into the server.
public enum Feature: String, CaseIterable, Hashable, Sendable {
    case ca, filter, proc, srs, admd
    case queueCompression = "queue compression"
    case queueEncryption = "queue encryption"
    case smtpCiphers = "smtp ciphers"
    case wrapper = "mda wrapper"
    case regularExpression = "regex"

    case listenTLS = "listen option tls"
    case listenSMTPS = "listen option smtps"
    case listenTLSRequire = "listen option tls-require"
    case listenVerify = "listen option verify"
    case listenPKI = "listen option pki"
    case listenCA = "listen option ca"
    case listenCiphers = "listen option ciphers"
    case listenProtocols = "listen option protocols"
    case listenAuthentication = "listen option auth"
    case listenOptionalAuthentication = "listen option auth-optional"
    case listenReceivedAuthentication = "listen option received-auth"
    case listenSenders = "listen option senders"
    case listenProxy = "listen option proxy-v2"
    case listenFilter = "listen option filter"
    case listenHostnames = "listen option hostnames"

    case deliveryLMTP = "action lmtp"
    case deliveryCommand = "action mda"
    case actionWrapper = "action option wrapper"

    case relayTLS = "relay option tls"
    case relayAuthentication = "relay option auth"
    case relayPKI = "relay option pki"
    case relayCA = "relay option ca"
    case relayCiphers = "relay option ciphers"
    case relayProtocols = "relay option protocols"
    case relaySRS = "relay option srs"
    case relayFilter = "relay option filter"
    case relayBackup = "relay option backup"
    case relaySource = "relay option src"
    case relayHeloSource = "relay option helo-src"
    case relayDomain = "relay option domain"
    case relayHostTable = "relay option host with a table that is not written here"
    case relaySchemeSMTPS = "relay host smtps://"
    case relaySchemeSTARTTLS = "relay host smtp+tls://"
    case relayLabel = "relay host with a label"

    /// What a configuration may say but this server cannot do: an error, never ignored.
    public static let notSupportedYet: Set<Feature> = [
        .ca, .filter, .proc, .srs, .admd, .queueCompression, .queueEncryption, .smtpCiphers, .wrapper,
        .regularExpression,
        .listenTLS, .listenSMTPS, .listenTLSRequire, .listenVerify, .listenPKI, .listenCA, .listenCiphers,
        .listenProtocols, .listenAuthentication, .listenOptionalAuthentication, .listenReceivedAuthentication,
        .listenSenders, .listenProxy, .listenFilter, .listenHostnames,
        .deliveryLMTP, .deliveryCommand, .actionWrapper,
        .relayTLS, .relayAuthentication, .relayPKI, .relayCA, .relayCiphers, .relayProtocols, .relaySRS, .relayFilter,
        .relayBackup, .relaySource, .relayHeloSource, .relayDomain, .relayHostTable, .relaySchemeSMTPS,
        .relaySchemeSTARTTLS,
        .relayLabel,
    ]
}
