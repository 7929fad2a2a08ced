// SPDX-License-Identifier: ISC

import CSeccomp
import Glibc
import IPC
import Launch
import Posix

// Enters the profile of a role, says `ready`, waits for a byte and then makes the one attempt that it was started for:
//
//     profile-probe role root-directory option attempt [argument ...]
//
// An attempt is the name of a system call with its arguments: a number, `text:...` for a string, `parent` for the number
// of the parent process, `self` for its own, `page` for a page of memory. It says `result value errno` if it survives.
// Other attempts: tasks, trap, abort. The option says what is special: `thread` makes the attempt in a second thread,
// `early-thread` has one before the confinement, `no-landlock` hides Landlock, `plain` is nothing special.

// Not visible to Swift, being variadic; its arguments are all integers, so the plain convention is the same.
typealias SystemCall = @convention(c) (Int, Int, Int, Int, Int, Int, Int) -> Int

func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = bytes.withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
}

func leave(_ reason: String, _ code: Int32) -> Never {
    say(reason)
    exit(code)
}

func profile(_ text: String) -> SandboxProfile? {
    if text == "mailbox-commands" { return .mailbox(.commands) }
    return Role.allCases.first { $0.name == text }.map(SandboxProfile.profile)
}

let arguments = Array(CommandLine.arguments.dropFirst())
guard arguments.count >= 4, let profile = profile(arguments[0]) else { leave("usage", 64) }
guard let symbol = dlsym(nil, "syscall") else { leave("no syscall", 70) }
let systemCall = unsafeBitCast(symbol, to: SystemCall.self)
let attempt = arguments[3]
let number = Int(seccomp_syscall_resolve_name(attempt))
let page = mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
let values: [Int] = arguments.dropFirst(4).map { text in
    switch text {
    case "parent": Int(getppid())
    case "self": Int(getpid())
    case "page": Int(bitPattern: page)
    default: text.hasPrefix("text:") ? Int(bitPattern: strdup(String(text.dropFirst(5)))) : Int(text) ?? 0
    }
}

let option = arguments[2]

func makeAttempt() -> Never {
    say("ready")
    var byte: UInt8 = 0
    guard read(0, &byte, 1) == 1 else { exit(0) }
    switch attempt {
    case "tasks": say("result \(sumOfTasks()) 0")
    case "trap": say("result \(Array("".utf8)[values.count + 1])")
    case "abort": abort()
    default:
        let padded = values + [Int](repeating: 0, count: max(0, 6 - values.count))
        errno = 0
        let result = systemCall(number, padded[0], padded[1], padded[2], padded[3], padded[4], padded[5])
        let code = errno
        // A child that should not be there must not talk like its parent.
        if result == 0, ["fork", "vfork", "clone", "clone3"].contains(attempt) { _exit(0) }
        say("result \(result) \(result < 0 ? code : 0)")
    }
    exit(0)
}

/// A thread that waits until the confinement is complete and then makes the attempt.
nonisolated(unsafe) var gate: [Int32] = [-1, -1]
func startThread() throws(SystemError) {
    try SystemError.check("pipe", pipe(&gate))
    var thread = pthread_t()
    let result = pthread_create(
        &thread, nil,
        { _ in
            var byte: UInt8 = 0
            _ = read(gate[0], &byte, 1)
            makeAttempt()
        }, nil)
    guard result == 0 else { throw SystemError("pthread_create", result) }
}

do {
    if option == "no-landlock" { try SystemCallFilter(refusing: ["landlock_create_ruleset"], with: ENOSYS).load() }
    if option == "early-thread" { try startThread() }
    let identity = Identity(uid: 65534, gid: 65534)
    let isSpool = profile.groups.contains(.files)
    let root =
        try isSpool
        ? RootDirectory.spool(at: arguments[1], of: identity) : RootDirectory.empty(at: arguments[1])
    let report = try confine(profile, as: identity, in: root, descriptors: 64) { () throws(SystemError) in
        if option == "thread" { try startThread() }
    }
    for shortcoming in report.shortcomings { say("note \(shortcoming)") }
} catch {
    leave("error \(error)", 65)
}
if option == "thread" {
    _ = write(gate[1], "g", 1)
    while true { _ = poll(nil, 0, -1) }
}
makeAttempt()
