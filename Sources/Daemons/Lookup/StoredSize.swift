// SPDX-License-Identifier: ISC

import IPC
import Mail

/// Whether the envelopes of one recipient can be stored: they go to Queue in one frame, whole or not at all.
enum StoredSize {
    // So many of the largest always fit.
    private static let few = 500
    // What stands in the frame beside the envelopes.
    private static let reserved = 1024

    static func fits(_ envelopes: [Envelope]) async -> Bool {
        guard envelopes.count > few else { return true }
        let slice = Slice()
        var size = reserved
        var bytes: [UInt8] = []
        for envelope in envelopes {
            bytes.removeAll(keepingCapacity: true)
            envelope.encode(to: &bytes)
            size += bytes.count
            if size > Frame.longest { return false }
            await slice.pause()
        }
        return true
    }
}
