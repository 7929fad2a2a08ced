// SPDX-License-Identifier: ISC

/// How much of one turn of the loop a session may take.
nonisolated struct TurnShare {
    // A message with a few recipients, in one piece.
    private static let commands = 16

    private var turn: UInt64 = 0
    private var taken = 0

    /// Counts a command; true when others come first.
    mutating func isUsedUp(in turn: UInt64) -> Bool {
        if turn != self.turn {
            self.turn = turn
            taken = 0
        }
        taken += 1
        return taken > Self.commands
    }
}
