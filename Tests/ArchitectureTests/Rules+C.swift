// SPDX-License-Identifier: ISC

/// Where C may be, how much of it, and what it may call.
extension Rules {
    private struct Allowance {
        /// All of its lines together.
        let lines: Int
        let mayInclude: @Sendable (String) -> Bool
    }

    // Of the libraries that the house is built with; whoever needs one has a shim for it, and says the rest in Swift.
    private static let libraries = [
        "openssl/", "event2/", "unbound", "lmdb", "sqlite", "zlib", "seccomp", "security/", "crypt", "re2", "curl/",
    ]
    private static let plainHeaders: Set = ["stddef.h", "stdint.h", "stdlib.h", "string.h"]

    private static let allowances: [String: Allowance] = [
        // What Swift cannot say to the kernel: ancillary data, fork and exec, variadic calls, one instruction.
        "CPosix": Allowance(lines: 700) { name in !libraries.contains(where: name.hasPrefix) },
        // The OpenSSL provider whose keys are elsewhere: tables of C functions, called on OpenSSL's own stack. No system
        // call: it has nothing but memory and OpenSSL.
        "CSigner": Allowance(lines: 800) { name in name.hasPrefix("openssl/") || plainHeaders.contains(name) },
    ]

    // A module of a system library: names of headers, and no line of code.
    private static let shim = "shim.h"
    private static let longestShim = 10

    // Without a bound, or with a shell.
    private static let unsafeCalls = [
        "strcpy", "strcat", "sprintf", "vsprintf", "gets", "scanf", "sscanf", "alloca", "system", "popen",
    ]

    /// C beside the two small targets, more of it than was allowed, or with calls that are not theirs.
    var languageC: [String] {
        var found: [String] = []
        var lines: [String: Int] = [:]
        for file in tree.sources where !file.isSwift {
            guard let target = file.target else { continue }
            guard file.group == "System" else {
                found.append("\(file.path): C is for System")
                continue
            }
            guard let allowance = Self.allowances[target] else {
                if file.components.last != Self.shim || file.lines.count > Self.longestShim {
                    found.append("\(file.path): C has two targets, and others a shim of \(Self.longestShim) lines")
                }
                continue
            }
            lines[target, default: 0] += file.lines.count
            for (index, line) in file.lines.enumerated() {
                if let name = Self.included(line), !allowance.mayInclude(name) {
                    found.append("\(file.path):\(index + 1): \(name) is not for \(target)")
                }
                for call in Self.unsafeCalls where Self.words(line).contains(call) {
                    found.append("\(file.path):\(index + 1): \(call)")
                }
            }
        }
        for (target, count) in lines {
            guard let allowance = Self.allowances[target], count > allowance.lines else { continue }
            found.append("\(target): \(count) lines of C, \(allowance.lines) are allowed")
        }
        return found
    }

    // `#include <name>`; its own header, in quotes, is no matter.
    private static func included(_ line: String) -> String? {
        let parts = line.split(separator: " ")
        guard parts.count == 2, parts[0] == "#include", parts[1].hasPrefix("<") else { return nil }
        return String(parts[1].dropFirst().prefix { $0 != ">" })
    }

    private static func words(_ line: String) -> [String] {
        let trimmed = line.drop { $0 == " " }
        // Comments speak of what they like.
        if trimmed.hasPrefix("*") || trimmed.hasPrefix("/*") || trimmed.hasPrefix("//") { return [] }
        return line.split { !($0.isLetter || $0.isNumber || $0 == "_") }.map(String.init)
    }
}
