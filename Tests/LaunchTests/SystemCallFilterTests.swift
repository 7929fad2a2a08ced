// SPDX-License-Identifier: ISC

import CSeccomp
import IPC
import Testing

@testable import Launch

@Suite struct SystemCallFilterTests {
    static let never = [
        "clone", "clone3", "fork", "vfork", "execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev",
        "kill", "tkill", "bpf", "mount", "umount2", "setuid", "setresuid", "setgid", "setgroups", "capset", "unshare",
        "setns", "chroot", "io_uring_setup", "pidfd_open", "keyctl", "seccomp", "listen",
    ]

    @Test(arguments: Role.allCases) func `no profile lets a forbidden call through`(role: Role) {
        guard let filter = SandboxProfile.profile(for: role).filter else {
            #expect([.parent, .account, .control].contains(role))
            return
        }
        for name in Self.never { #expect(!filter.mentions(name), "\(role.name) \(name)") }
    }

    @Test func `every name is one that the library knows`() {
        for group in SystemCallGroup.allCases {
            for rule in group.rules { #expect(seccomp_syscall_resolve_name(rule.name) != -1, "\(rule.name)") }
        }
    }

    @Test func `a rule without a condition stands for the others of its call`() {
        let filter = SystemCallFilter([
            SystemCallRule("sendto", .equals(4, 0)), SystemCallRule("sendto"), SystemCallRule("sendto"),
        ])
        #expect(filter.rules == [SystemCallRule("sendto")])
    }

    @Test func `files are for those with files, sockets for those that connect`() {
        for role in Role.allCases {
            let filter = SandboxProfile.profile(for: role).filter
            guard let filter else { continue }
            #expect(filter.mentions("openat") == [.queue, .mailbox, .table].contains(role), "\(role.name)")
            #expect(filter.mentions("socket") == [.relay, .resolver].contains(role), "\(role.name)")
            #expect(filter.mentions("socketpair") == (role == .listener), "\(role.name)")
            // Nothing in it can be executed: execve is for none of them.
            #expect(filter.mentions("memfd_create") == (role == .queue), "\(role.name)")
        }
    }
}
