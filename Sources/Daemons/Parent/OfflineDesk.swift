// SPDX-License-Identifier: ISC

import Bytes
import Channel
import Host
import Launch
import Posix
import Reactor

/// Has the mail sent that users left in the offline directory while nobody listened.
///
/// Parent reads none of it: `sendmail`, run as the owner of a file, finds in it what it once was called with. A file must
/// be the only name of itself, and no link: root opens it, and gives it to nobody but its owner.
final class OfflineDesk {
    private static let firstMilliseconds: UInt64 = 1_000
    // Of those that could not be sent.
    private static let againMilliseconds: UInt64 = 600_000
    private static let nextMilliseconds: UInt64 = 100
    private static let mostRunning = 5
    // In one look; the others come with the next.
    private static let mostNames = 10_000
    // The largest message that sendmail takes, and its first line.
    private static let largestFile: Int64 = 513 << 20

    private unowned let house: House
    private let timer = Timer()
    private var waiting: [String] = []
    private var running: [Int32: String] = [:]

    init(_ house: House) { self.house = house }

    func begin() { look(after: Self.firstMilliseconds) }

    private func look(after milliseconds: UInt64) {
        timer.start(afterMilliseconds: milliseconds) { [weak self] in self?.turn() }
    }

    private func turn() {
        guard house.phase == .serving else { return }
        if waiting.isEmpty, running.isEmpty {
            let names = (try? house.estate.offline.descriptor.names(limit: Self.mostNames)) ?? []
            // What begins with a dot is being written, or was set aside.
            waiting = names.filter { !$0.hasPrefix(".") }.sorted(by: >)
        }
        while running.count < Self.mostRunning, let name = waiting.popLast() { send(name) }
        look(after: waiting.isEmpty && running.isEmpty ? Self.againMilliseconds : Self.nextMilliseconds)
    }

    private func send(_ name: String) {
        do {
            let file = try house.estate.offline.readable(name)
            let facts = try file.facts()
            guard facts.isRegular, facts.links == 1, facts.size <= Self.largestFile else {
                return setAside(name, "no file of its own")
            }
            let isOurs = facts.owner == ThisProcess.uid
            guard ThisProcess.isRoot || isOurs,
                !house.estate.identities.values.contains(where: { $0.uid == facts.owner })
            else { return setAside(name, "of a user for whom nothing is sent") }
            let program = try ProgramSet.open(tool)
            var start = ProcessStart(
                name: "sendmail", arguments: instanceArguments + ["--offline"], input: file.number,
                errors: house.agentErrors.number)
            if ThisProcess.isRoot, facts.owner != 0 {
                start.user = SystemUser(
                    name: "\(facts.owner)", identity: Identity(uid: facts.owner, gid: facts.group), home: "/")
            }
            start.directory = "/"
            start.session = .own
            running[try house.spawner.start(start, program: program)] = name
        } catch {
            house.log.warning("offline message \(VisibleText(name)): \(error)")
        }
    }

    private var instanceArguments: [String] {
        house.invocation.instance.map { ["--instance", ThisProcess.absolute($0)] } ?? []
    }

    // It lies where martletd lies.
    private var tool: String {
        "/" + (ThisProcess.executable ?? "").split(separator: "/").dropLast().joined(separator: "/") + "/martletctl"
    }

    /// Hears of a child that ended, of these or of others.
    func ended(_ child: ReapedChild) {
        guard let name = running.removeValue(forKey: child.pid) else { return }
        switch child.status {
        case .exited(0):
            house.estate.offline.remove(name)
        case .exited(70):
            // Refused for good: its owner has it as a dead letter.
            house.log.warning("offline message \(VisibleText(name)) was refused")
            house.estate.offline.remove(name)
        case .exited(69), .exited(75):
            break
        case .exited, .signalled:
            setAside(name, "\(child.status)")
        }
    }

    private func setAside(_ name: String, _ reason: String) {
        house.log.warning("offline message \(VisibleText(name)) is set aside: \(reason)")
        try? house.estate.offline.rename(name, to: ".aside.\(name)")
    }
}
