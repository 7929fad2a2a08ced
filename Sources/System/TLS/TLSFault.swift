// SPDX-License-Identifier: ISC

import CSigner

/// Why TLS cannot be had, in one sentence for the log or the administrator.
public nonisolated struct TLSFault: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
    /// The other side went away, which is no fault of the protocol.
    public let isDisconnection: Bool

    public init(_ description: String, isDisconnection: Bool = false) {
        self.description = description
        self.isDisconnection = isDisconnection
    }
}

/// OpenSSL as it must be before anything of it is used.
public enum TLSLibrary {
    /// Handshakes that wait for a signature at one time; each has a stack of 32 KiB. More wait for their turn.
    public static let mostWaiting = 2048

    private static let isPrepared = martlet_signer_prepare(mostWaiting) == 1

    public static func prepare() throws(TLSFault) {
        guard isPrepared else { throw TLSFault("OpenSSL cannot be used: \(lastError())") }
    }

    /// What OpenSSL says of the last failure; forgotten then.
    static func lastError() -> String {
        defer { ERR_clear_error() }
        // The last one is the most general, the first one the cause.
        let code = ERR_peek_error()
        guard code != 0 else { return "no reason given" }
        guard let reason = ERR_reason_error_string(code) else { return "error \(code)" }
        return String(cString: reason)
    }
}
