// SPDX-License-Identifier: ISC

import Channel
import Configuration
import IPC
import Posix
import Spool

/// Opens the spool in the directory that Parent gave.
final class SpoolOpening {
    private var opened: OpenedSpool?
    private var failure: SpoolError?

    func open(for child: Child) {
        guard let directory = child.grants.spool?.take() else { return }
        do throws(SpoolError) {
            guard let options = SpoolOpening.options(child.assignment.configuration) else { throw .unknown }
            opened = try DiskSpool.open(directory: directory, options: options)
        } catch {
            failure = error
        }
    }

    func result() throws(SpoolError) -> OpenedSpool {
        if let opened { return opened }
        throw failure ?? .unknown
    }

    /// What the configuration says of the spool; nil when it is no configuration.
    static func options(_ text: String) -> SpoolOptions? {
        let parsed = ServerConfiguration.parse(Array(text.utf8), named: "queue", options: ParseOptions(.partial))
        guard let configuration = parsed.configuration else { return nil }
        return options(configuration)
    }

    static func options(_ configuration: ServerConfiguration) -> SpoolOptions? {
        var options = SpoolOptions()
        options.minimumFree = configuration.queueReserve
        options.isCompressed = configuration.queueCompression == .gzip
        let current: [UInt8]? =
            switch configuration.queueEncryption {
            case .none: nil
            case .key(let key): Array(key.utf8)
            // Parent puts the key itself in their place.
            case .askedKey, .standardInput: []
            }
        guard let keys = SpoolKeys(current: current, older: configuration.queueOldKeys.map { Array($0.utf8) }) else {
            return nil
        }
        options.keys = keys
        return options
    }
}
