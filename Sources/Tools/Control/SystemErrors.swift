// SPDX-License-Identifier: ISC

import Glibc
import Posix

nonisolated extension SystemError {
    /// The caller lacks a right.
    var isRefusal: Bool { code == EACCES || code == EPERM }
    /// Nothing is there, or nobody listens on it.
    var isAbsent: Bool { code == ENOENT || code == ENOTDIR || code == ECONNREFUSED }
}
