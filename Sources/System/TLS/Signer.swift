// SPDX-License-Identifier: ISC

/// Whoever has the private keys.
@MainActor
public protocol Signer: AnyObject {
    /// The signature, by an algorithm of the edge to Keys; empty when there is none. Always answers, in bounded time.
    func sign(key: UInt32, algorithm: UInt8, _ input: [UInt8]) async -> [UInt8]
}
