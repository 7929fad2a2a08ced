// SPDX-License-Identifier: ISC

import Testing

/// Stories of Martlet as it runs: real processes, sockets and files, one story at a time.
@Suite(
    .serialized, .timeLimit(.minutes(5)),
    .enabled(if: Host.hasPrograms, "the programs are not built: swift build, or name their directory in MARTLET_BIN"))
enum WholeHouse {
    /// For whoever runs the tests; by root with the users of Martlet, by anybody else without.
    @Suite enum Unprivileged {}

    /// Only where everything may be changed.
    @Suite(.enabled(if: Host.isPrivate, "\(Host.why)")) enum Private {}
}
