// SPDX-License-Identifier: ISC

import Reactor

/// Keeps a long expansion from holding up everybody else: after so many steps the loop has a turn.
final class Slice {
    private static let steps = 64

    private var left = steps

    func pause() async {
        left -= 1
        guard left <= 0 else { return }
        left = Self.steps
        // Not only a yield: other tasks would have their turn, but no descriptor.
        await Loop.pause(milliseconds: 0)
    }
}
