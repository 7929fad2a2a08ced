// SPDX-License-Identifier: ISC

import Glibc

/// The environment of children. None of it comes from who started Martlet but the time zone.
public struct ProcessEnvironment: Hashable, Sendable {
    public let lines: [String]

    /// The fixed variables, and TZ where `timeZone` says one.
    public init(timeZone: String?) {
        var lines = [
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            // In the sandbox the crash reporter's own calls would be killed and hide the reason of the crash.
            "SWIFT_BACKTRACE=enable=no",
        ]
        if let timeZone { lines.append("TZ=\(timeZone)") }
        self.lines = lines
    }

    /// These variables and no others: `NAME=value`.
    public init(lines: [String]) { self.lines = lines }

    public static var ofThisProcess: ProcessEnvironment {
        ProcessEnvironment(timeZone: getenv("TZ").map { String(cString: $0) })
    }

    /// What a command of a user may expect.
    func adding(_ user: SystemUser) -> ProcessEnvironment {
        adding(["HOME=\(user.home)", "LOGNAME=\(user.name)", "USER=\(user.name)", "SHELL=/bin/sh"])
    }

    func adding(_ variables: [String]) -> ProcessEnvironment { ProcessEnvironment(lines: lines + variables) }
}

/// Strings as exec wants them: pointers to zero-terminated bytes, the last one nil. All memory is of this object.
final class StringTable {
    let pointer: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    private let count: Int

    init(_ strings: [String]) throws(LaunchError) {
        guard strings.allSatisfy({ !$0.utf8.contains(0) }) else { throw .zeroByte }
        count = strings.count
        pointer = .allocate(capacity: strings.count + 1)
        for (index, string) in strings.enumerated() { (pointer + index).initialize(to: strdup(string)) }
        (pointer + strings.count).initialize(to: nil)
    }

    deinit {
        for index in 0..<count { free(pointer[index]) }
        pointer.deallocate()
    }
}
