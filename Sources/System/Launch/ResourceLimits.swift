// SPDX-License-Identifier: ISC

import Glibc
import Posix

/// What a process may use up. No core file in any case: it would hold mail and keys.
public struct ResourceLimits: Hashable, Sendable {
    /// Whether new processes and threads may be started.
    public var mayFork: Bool
    /// Whether a regular file may grow.
    public var mayWriteFiles: Bool
    /// Address space in bytes; nil for no limit.
    public var addressSpace: UInt64?

    public init(mayFork: Bool, mayWriteFiles: Bool, addressSpace: UInt64? = nil) {
        self.mayFork = mayFork
        self.mayWriteFiles = mayWriteFiles
        self.addressSpace = addressSpace
    }

    /// The least number of descriptors that leaves a process able to work: with 0, even received ones would be lost.
    public static let fewestDescriptors: UInt64 = 32

    /// Lowers the limits of this process for good; `descriptors` is cut to what the host grants.
    func apply(descriptors: UInt64) throws(SystemError) {
        try ResourceLimits.lower(RLIMIT_CORE, to: 0)
        try ResourceLimits.lower(RLIMIT_NOFILE, to: max(descriptors, ResourceLimits.fewestDescriptors))
        if !mayFork { try ResourceLimits.lower(ResourceLimits.processes, to: 0) }
        if !mayWriteFiles {
            // A log that is a file, in the foreground, then fails with EFBIG instead of killing its writer.
            signal(SIGXFSZ, SIG_IGN)
            try ResourceLimits.lower(RLIMIT_FSIZE, to: 0)
        }
        if let addressSpace { try ResourceLimits.lower(RLIMIT_AS, to: addressSpace) }
    }

    /// The soft and the hard limit become `value`, or the hard limit where that is lower already.
    private static func lower(_ resource: __rlimit_resource, to value: UInt64) throws(SystemError) {
        var limit = rlimit()
        try SystemError.check("getrlimit", getrlimit(resource, &limit))
        let value = min(rlim_t(value), limit.rlim_max)
        limit = rlimit(rlim_cur: value, rlim_max: value)
        try SystemError.check("setrlimit", setrlimit(resource, &limit))
    }

    /// Lets this process lock all of its memory; only root may raise a limit.
    static func raiseLockedMemory() throws(SystemError) {
        var limit = rlimit(rlim_cur: rlim_t.max, rlim_max: rlim_t.max)
        try SystemError.check("setrlimit", setrlimit(ResourceLimits.lockedMemory, &limit))
    }

    /// RLIMIT_NPROC and RLIMIT_MEMLOCK, which Swift's view of the C library lacks.
    private static let processes = __rlimit_resource(rawValue: 6)
    private static let lockedMemory = __rlimit_resource(rawValue: 8)
}
