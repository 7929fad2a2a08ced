// SPDX-License-Identifier: ISC

import Configuration
import Host

/// The key of the queue where the configuration does not hold it: asked for once, at the start.
enum QueueKey {
    private static let size = 32

    /// The configuration with the key in it. `before` is the one in force, whose key stays when it is not said anew.
    static func resolve(
        _ configuration: ServerConfiguration, before: ServerConfiguration? = nil, mayAsk: Bool
    ) throws(StartFailure) -> ServerConfiguration {
        var configuration = configuration
        let answer: [UInt8]?
        switch configuration.queueEncryption {
        case .none, .key: return configuration
        case .askedKey, .standardInput:
            if let before {
                guard case .key = before.queueEncryption else {
                    throw StartFailure("queue encryption: its key is asked at the start only; start again")
                }
                configuration.queueEncryption = before.queueEncryption
                return configuration
            }
            guard mayAsk else {
                throw StartFailure("queue encryption: a server in the background cannot ask for the key; use -d or -F")
            }
            answer =
                configuration.queueEncryption == .standardInput
                ? SecretInput.line(limit: size) : SecretInput.ask("queue key: ", limit: size)
        }
        guard let answer, answer.count == size else {
            throw StartFailure("queue encryption: a key has exactly 32 bytes")
        }
        configuration.queueEncryption = .key(String(decoding: answer, as: UTF8.self))
        return configuration
    }
}
