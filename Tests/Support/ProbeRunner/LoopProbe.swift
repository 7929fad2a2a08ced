// SPDX-License-Identifier: ISC

import Glibc
public import Posix

/// A run of loop-probe: a process of its own, because its loop never returns.
public struct LoopProbe {
    public let output: String
    /// The exit status; nil when a signal ended it.
    public let status: Int32?

    /// Plays `scenario` to its end. The probe stands beside the program that runs the tests.
    public static func play(_ scenario: String) throws(SystemError) -> LoopProbe {
        var link = [UInt8](repeating: 0, count: 4096)
        let length = link.withUnsafeMutableBytes { buffer in
            buffer.baseAddress.map { readlink("/proc/self/exe", $0, buffer.count) } ?? -1
        }
        let own = String(decoding: link.prefix(max(0, length)), as: UTF8.self)
        let path = own.prefix(through: own.lastIndex(of: "/") ?? own.startIndex) + "loop-probe"
        let pipe = try FileDescriptor.pipe()
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, pipe.right.number, 1)
        // The mask of the threads that run tests is not that of a daemon.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var arguments: [UnsafeMutablePointer<CChar>?] = [strdup(String(path)), strdup(scenario), nil]
        defer { for argument in arguments { free(argument) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, String(path), &actions, &attributes, &arguments, environ)
        guard code == 0 else { throw SystemError("posix_spawn", code) }
        return try LoopProbe(pid, consume pipe)
    }

    private init(_ pid: pid_t, _ pipe: consuming DescriptorPair) throws(SystemError) {
        var ends: (Int32, Int32) = (-1, -1)
        pipe.split { ends = ($0.release(), $1.release()) }
        // Only the probe holds the writing end from here, so that its death ends the reading.
        close(ends.1)
        let bytes = try FileDescriptor(owning: ends.0).readAll(limit: 1 << 20) ?? []
        var result: Int32 = 0
        guard FileDescriptor.retrying({ waitpid(pid, &result, 0) }) == pid else { throw SystemError("waitpid") }
        output = String(decoding: bytes, as: UTF8.self)
        status = result & 0x7F == 0 ? result >> 8 & 0xFF : nil
    }
}
