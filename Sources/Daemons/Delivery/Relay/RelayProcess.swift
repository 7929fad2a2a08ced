// SPDX-License-Identifier: ISC

import Channel

final class RelayProcess {
    init(_ child: Child) {}
    func begin() throws {}
}
