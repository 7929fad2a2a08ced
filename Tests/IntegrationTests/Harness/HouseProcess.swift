// SPDX-License-Identifier: ISC

import Foundation
import Glibc

/// A process as /proc shows it.
struct HouseProcess: Hashable {
    let pid: pid_t
    let parent: pid_t
    let name: String
    /// What it was started as: `listener`, `relay`, `queue`, ...
    let role: String
    let state: String
    /// In clock ticks since the host's start; tells it from a later process of the same number.
    let started: UInt64

    init?(_ pid: pid_t) {
        guard let stat = HouseProcess.read("/proc/\(pid)/stat"), let end = stat.lastIndex(of: ")") else { return nil }
        let fields = stat[stat.index(after: end)...].split(separator: " ")
        guard fields.count > 19, let parent = pid_t(fields[1]), let started = UInt64(fields[19]) else { return nil }
        let words = (HouseProcess.read("/proc/\(pid)/cmdline") ?? "").split(separator: "\0").map(String.init)
        self.pid = pid
        self.parent = parent
        self.started = started
        state = String(fields[0])
        name = words.first?.split(separator: "/").last.map(String.init) ?? ""
        role = words.count > 1 ? words[1] : ""
    }

    static func lives(_ pid: pid_t, started: UInt64) -> Bool {
        guard let process = HouseProcess(pid) else { return false }
        return process.started == started && process.state != "Z"
    }

    static func all() -> [HouseProcess] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { pid_t($0) }.compactMap { HouseProcess($0) }
    }

    static func descendants(of pid: pid_t) -> [HouseProcess] {
        let all = all()
        var found: [HouseProcess] = []
        var parents: Set<pid_t> = [pid]
        while !parents.isEmpty {
            let children = all.filter { parents.contains($0.parent) && $0.state != "Z" }
            found += children
            parents = Set(children.map(\.pid))
        }
        return found
    }

    /// The lines of its status, by name.
    var status: [String: String] {
        var fields: [String: String] = [:]
        for line in (HouseProcess.read("/proc/\(pid)/status") ?? "").split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2 { fields[String(parts[0])] = parts[1].trimmingCharacters(in: .whitespaces) }
        }
        return fields
    }

    /// The most memory that was ever resident, in bytes.
    func peakMemory() -> Int? {
        status["VmHWM"].flatMap { $0.split(separator: " ").first }.flatMap { Int($0) }.map { $0 << 10 }
    }

    /// What one process may have resident, whatever passes through it; a program for debugging is itself larger.
    static let memoryLimit = (Host.programs.hasSuffix("/debug") ? 48 : 24) << 20

    /// Its real, effective, saved and file system user.
    var uids: [String] { (status["Uid"] ?? "").split(whereSeparator: { $0 == "\t" || $0 == " " }).map(String.init) }

    private static func read(_ path: String) -> String? {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
    }
}
