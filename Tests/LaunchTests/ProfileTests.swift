// SPDX-License-Identifier: ISC

import CSeccomp
import Glibc
import IPC
import Testing

@testable import Launch

/// What each profile allows and denies, proved by system calls in a process that has entered it.
@Suite struct ProfileTests {
    static let daemons = ["listener", "lookup", "resolver", "queue", "relay", "local", "keys"]

    /// Calls that no daemon may make, each with arguments that would make it succeed or at least be tried.
    static let forbidden: [[String]] = [
        ["fork"], ["vfork"], ["clone", "17"], ["clone3", "page", "88"],
        ["execve", "text:/bin/true"], ["execveat", "0", "text:", "0", "0", "4096"],
        ["ptrace", "0"], ["ptrace", "16", "parent"], ["process_vm_readv", "parent"], ["process_vm_writev", "parent"],
        ["kill", "parent"], ["kill", "self", "9"], ["tgkill", "parent", "parent"], ["tkill", "self", "9"],
        ["rt_sigqueueinfo", "self"], ["pidfd_open", "parent"], ["pidfd_send_signal", "0"],
        ["setuid", "0"], ["setresuid", "0"], ["setgid", "0"], ["setgroups", "0"], ["capset", "page"],
        ["unshare", "268435456"], ["setns", "0"], ["chroot", "text:/"], ["mount", "text:/"], ["pivot_root", "text:/"],
        ["bpf", "0"], ["perf_event_open", "page"], ["io_uring_setup", "8", "page"], ["userfaultfd", "1"],
        ["keyctl", "0"], ["init_module"], ["memfd_create", "text:x"], ["memfd_secret"], ["personality", "-1"],
        ["prctl", "4", "1"], ["prctl", "22", "0"], ["seccomp", "1"], ["prlimit64", "0", "7", "page"],
        ["prlimit64", "parent", "7"], ["mprotect", "page", "4096", "5"], ["pkey_mprotect", "page", "4096", "5"],
        ["mmap", "0", "4096", "4", "34", "-1"], ["mmap", "0", "4096", "7", "34", "-1"],
        ["socket", "1", "1"], ["socket", "16", "3"], ["socket", "17", "3"], ["socket", "2", "3", "1"],
        ["socketpair", "16", "3"], ["listen", "0"], ["shmget"], ["mknodat", "-100", "text:probe", "4516"],
        ["symlinkat", "text:/", "-100", "text:probe"], ["fchownat", "-100", "text:.", "0"],
        ["fcntl", "0", "8", "parent"], ["mount_setattr"], ["open_by_handle_at"], ["sethostname", "text:x", "1"],
        ["settimeofday"], ["clock_settime"], ["reboot"], ["swapon"], ["acct"], ["name_to_handle_at"],
    ]

    @Test(arguments: daemons) func `no daemon may reach beyond its work`(daemon: String) throws {
        for start in Probe.Start.possible {
            // The filter is the same for both; the whole table once, its heart again.
            let table = start == .unprivileged ? Self.forbidden : Array(Self.forbidden.prefix(12))
            for words in table {
                let outcome = try Probe(daemon, start).attempt(words)
                #expect(outcome.isReady, "\(daemon) \(start): \(outcome.lines)")
                #expect(outcome.status == .signalled(SIGSYS), "\(daemon) \(start): \(words) \(outcome.lines)")
            }
        }
    }

    @Test func `every attempt is a call that this host has`() {
        // A name without a number would be killed too, and prove nothing.
        for words in Self.forbidden { #expect(seccomp_syscall_resolve_name(words[0]) >= 0, "\(words[0])") }
    }

    @Test func `the second thread of the queue is confined like the first`() throws {
        for start in Probe.Start.possible {
            var probe = Probe("queue", start)
            probe.option = "thread"
            #expect(try probe.attempt("getpid").processStatus["Threads"] == "2")
            #expect(try probe.attempt("execve", "text:/bin/true").status == .signalled(SIGSYS))
            #expect(try probe.attempt("clone3", "page", "88").status == .signalled(SIGSYS))
            #expect(try probe.attempt("fdatasync", "0").result?.code == EINVAL)
            let opening = try probe.attempt("openat", "-100", "text:/etc/passwd")
            #expect(Landlock.version == nil || opening.result?.value == -1, "\(opening.lines)")
            probe.option = "early-thread"
            let early = try probe.attempt("getpid")
            #expect(early.lines == ["error 2 threads before the confinement"])
        }
    }

    @Test(arguments: daemons + ["mailbox"]) func `only those with files open any`(daemon: String) throws {
        for start in Probe.Start.possible {
            for words in [["openat", "-100", "text:/etc/passwd"], ["openat", "-100", "text:/proc/self/mem", "2"]] {
                let outcome = try Probe(daemon, start).attempt(words)
                switch daemon {
                case "queue" where start == .asRoot:
                    #expect(outcome.result?.code == ENOENT, "\(words) \(outcome.lines)")
                case "queue" where Landlock.version != nil:
                    #expect(outcome.result?.code == EACCES, "\(words) \(outcome.lines)")
                case "queue": print("no Landlock here: it is not tested")
                case "mailbox": #expect(outcome.result != nil, "\(words) \(outcome.lines)")
                default: #expect(outcome.status == .signalled(SIGSYS), "\(daemon): \(words) \(outcome.lines)")
                }
            }
        }
    }

    @Test(arguments: daemons) func `only those with files change any`(daemon: String) throws {
        let calls = [
            ["unlinkat", "-100", "text:/tmp/no"], ["mkdirat", "-100", "text:/tmp/no", "448"],
            ["renameat2", "-100", "text:/no", "-100", "text:/nor"], ["ftruncate", "0"], ["truncate", "text:/no"],
            ["newfstatat", "-100", "text:/etc/passwd", "page", "0"], ["linkat", "-100", "text:/no", "-100", "text:/n"],
        ]
        for words in calls {
            let outcome = try Probe(daemon).attempt(words)
            let isAllowed = daemon == "queue" && words[0] != "truncate"
            #expect((outcome.result != nil) == isAllowed, "\(daemon): \(words) \(outcome.lines)")
            // Landlock does not hide that a file exists.
            if isAllowed, words[0] != "newfstatat" { #expect(outcome.result?.value == -1) }
        }
    }

    @Test func `the queue writes its spool`() throws {
        // As root it is `/`.
        for start in Probe.Start.possible where start == .asRoot {
            let outcome = try Probe("queue", start).attempt("openat", "-100", "text:probe", "66", "384")
            #expect((outcome.result?.value ?? -1) >= 0, "\(outcome.lines)")
        }
    }

    @Test(arguments: daemons) func `only those that connect have sockets`(daemon: String) throws {
        let outcomes = try [["socket", "2", "1"], ["socket", "10", "524289"]].map { try Probe(daemon).attempt($0) }
        let connects = daemon == "relay" || daemon == "resolver"
        for outcome in outcomes { #expect((outcome.result.map { $0.value >= 0 } ?? false) == connects, "\(daemon)") }
        let datagram = try Probe(daemon).attempt("socket", "2", "2")
        #expect((datagram.result.map { $0.value >= 0 } ?? false) == (daemon == "resolver"), "\(daemon)")
        for call in ["connect", "bind"] {
            #expect((try Probe(daemon).attempt(call, "0").result?.code == ENOTSOCK) == connects, "\(daemon) \(call)")
        }
        // sendto with an address.
        let sending = try Probe(daemon).attempt("sendto", "0", "page", "1", "0", "page", "16")
        #expect((sending.result?.code == ENOTSOCK) == connects, "\(daemon)")
        let pair = try Probe(daemon).attempt("socketpair", "1", "1", "0", "page")
        #expect((pair.result?.value == 0) == (daemon == "listener"), "\(daemon)")
    }

    @Test(arguments: daemons + ["mailbox"]) func `what the loop needs is allowed`(daemon: String) throws {
        let calls = [
            ["getpid"], ["mmap", "0", "4096", "3", "34", "-1"], ["mprotect", "page", "4096", "3"],
            ["epoll_create1", "0"], ["eventfd2", "0", "0"], ["timerfd_create", "1", "0"], ["dup", "1"],
            ["fcntl", "1", "1030", "10"], ["fcntl", "1", "3"], ["newfstatat", "1", "text:", "page", "4096"],
            ["getrandom", "page", "16"], ["prctl", "15", "text:probe"], ["prlimit64", "0", "7", "0", "page"],
            ["sched_getaffinity", "0", "128", "page"], ["rt_sigprocmask", "0", "0", "page", "8"],
        ]
        for words in calls {
            let outcome = try Probe(daemon).attempt(words)
            #expect((outcome.result?.value ?? -1) >= 0, "\(daemon): \(words) \(outcome.lines)")
        }
        // Allowed, but descriptor 0 is a pipe.
        for words in [["accept4", "0"], ["getsockopt", "0", "1", "17"], ["sendto", "0", "page", "1"]] {
            let outcome = try Probe(daemon).attempt(words)
            #expect(outcome.result?.code == ENOTSOCK, "\(daemon): \(words) \(outcome.lines)")
        }
        let terminal = try Probe(daemon).attempt("ioctl", "1", "21505", "page")
        #expect(terminal.result?.code == ENOTTY)
    }

    @Test(arguments: daemons) func `tasks and memory work in the sandbox, on one thread`(daemon: String) throws {
        for start in Probe.Start.possible {
            let outcome = try Probe(daemon, start).attempt("tasks")
            #expect(outcome.result?.value == 5050, "\(daemon): \(outcome.lines) \(String(describing: outcome.status))")
        }
    }

    @Test func `a trap and an abort show as what they are`() throws {
        let trap = try Probe("keys").attempt("trap")
        #expect(trap.status == .signalled(SIGILL) || trap.status == .signalled(SIGTRAP), "\(trap.lines)")
        #expect(try Probe("keys").attempt("abort").status == .signalled(SIGABRT))
    }

    @Test func `a program of a table reads what it was given, and does nothing else`() throws {
        // It is started as its user and never was root.
        for words in Self.forbidden {
            let outcome = try Probe("table").attempt(words)
            #expect(outcome.isReady, "\(outcome.lines)")
            #expect(outcome.status == .signalled(SIGSYS), "\(words) \(outcome.lines)")
        }
        let changes = [
            ["unlinkat", "-100", "text:/tmp/no"], ["mkdirat", "-100", "text:/tmp/no", "448"],
            ["renameat2", "-100", "text:/no", "-100", "text:/nor"], ["ftruncate", "0"], ["truncate", "text:/no"],
            ["linkat", "-100", "text:/no", "-100", "text:/n"], ["socket", "2", "1"], ["socket", "2", "2"],
            ["connect", "0"], ["bind", "0"],
        ]
        for words in changes {
            let outcome = try Probe("table").attempt(words)
            #expect(outcome.status == .signalled(SIGSYS), "\(words) \(outcome.lines)")
        }
        let calls = [
            ["getpid"], ["mmap", "0", "4096", "3", "34", "-1"], ["dup", "1"],
            ["newfstatat", "-100", "text:/", "page", "0"],
            ["fcntl", "1", "3"],
        ]
        for words in calls {
            let outcome = try Probe("table").attempt(words)
            #expect((outcome.result?.value ?? -1) >= 0, "\(words) \(outcome.lines)")
        }
        let status = try Probe("table").attempt("getpid").processStatus
        #expect(status["NoNewPrivs"] == "1" && status["Seccomp"] == "2" && status["Threads"] == "1", "\(status)")
        guard Landlock.version != nil else { return print("no Landlock here: it is not tested") }
        // Nothing was given to this one: no file is read, and none made.
        for words in [["openat", "-100", "text:/etc/passwd"], ["openat", "-100", "text:/tmp/no", "65", "384"]] {
            #expect(try Probe("table").attempt(words).result?.code == EACCES, "\(words)")
        }
    }

    @Test func `an agent of a user runs nothing unless it was started for that`() throws {
        #expect(try Probe("mailbox").attempt("execve", "text:/bin/true").status == .signalled(SIGSYS))
        #expect(try Probe("mailbox").attempt("socket", "2", "1").status == .signalled(SIGSYS))
        #expect(try Probe("mailbox-commands").attempt("fork").result.map { $0.value > 0 } == true)
    }
}
