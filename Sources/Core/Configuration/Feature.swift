// SPDX-License-Identifier: ISC

/// A part of the language that may be read and checked without being built into the server.
public enum Feature: String, CaseIterable, Hashable, Sendable {
    case filter, proc, admd

    case listenAuthentication = "listen option auth"
    case listenOptionalAuthentication = "listen option auth-optional"
    case listenReceivedAuthentication = "listen option received-auth"
    case listenSenders = "listen option senders"
    case listenProxy = "listen option proxy-v2"
    case listenFilter = "listen option filter"

    case wrappedMailbox = "action option wrapper without the method mda"

    case relayAuthentication = "relay option auth"
    case relayFilter = "relay option filter"
    case relayBackup = "relay option backup"
    case relaySource = "relay option src"
    case relayHeloSource = "relay option helo-src"
    case relayDomain = "relay option domain"
    case relayHostTable = "relay option host with a table that is not written here"
    case relayLabel = "relay host with a label"

    /// What a configuration may say but this server cannot do: an error, never ignored.
    public static let notSupportedYet: Set<Feature> = [
        .filter, .proc, .admd,
        .listenFilter,
        .wrappedMailbox,
        .relayFilter,
    ]
}
