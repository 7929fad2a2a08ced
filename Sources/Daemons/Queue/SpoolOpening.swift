// SPDX-License-Identifier: ISC

import Channel
import Posix
import Spool

/// Opens the spool in the directory that Parent gave.
final class SpoolOpening {
    private var opened: OpenedSpool?
    private var failure: SpoolError?

    func open(for child: Child) {
        guard let directory = child.grants.spool?.take() else { return }
        do {
            opened = try DiskSpool.open(directory: directory)
        } catch {
            failure = error
        }
    }

    func result() throws(SpoolError) -> OpenedSpool {
        if let opened { return opened }
        throw failure ?? .unknown
    }
}
