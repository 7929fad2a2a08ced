// SPDX-License-Identifier: ISC

import Channel
import Host
import IPC
import Posix
import Reactor

/// The files of `pki` and `ca`, opened for those who need them, and again when they change; and the secrets of session
/// tickets.
extension House {
    // As long as a ticket is good, so that the key before the newest one is enough.
    private static let ticketMilliseconds: UInt64 = 3_600_000
    private static let secretLength = 32

    /// Gives a child its files. One that cannot be opened is the end of a server that is starting; later on the child
    /// has to do with the others.
    func sendKeyFiles(_ channel: Peer<ChildToParent, ParentToChild>, to role: Role, _ era: Era) throws(StartFailure) {
        for file in era.keyFiles.files(for: role) {
            do throws(StartFailure) {
                try send(file, over: channel)
            } catch {
                guard phase != .starting else { throw error }
                log.warning("\(error)")
            }
        }
    }

    private func send(_ file: KeyFile, over channel: Peer<ChildToParent, ParentToChild>) throws(StartFailure) {
        channel.send(.file(file.purpose, name: file.name), passing: try file.open())
    }

    /// Looks for files that have changed, and were left alone since the last look: a new certificate and its key come
    /// one after the other.
    func refreshKeyFiles() {
        let files = era.keyFiles.all
        var marks: [String: [Int64]] = [:]
        for file in files where marks[file.path] == nil { marks[file.path] = FileFacts(at: file.path)?.mark ?? [] }
        let isQuiet = marks == seenKeyMarks
        seenKeyMarks = marks
        guard isQuiet, marks != era.keyMarks else { return }
        let changed = files.filter { marks[$0.path] != era.keyMarks[$0.path] }
        era.keyMarks = marks
        // The keys go first: who gets a certificate asks Keys whether it has what belongs to it.
        for role in [Role.keys, .listener, .relay] {
            for file in changed where era.keyFiles.files(for: role).contains(file) {
                for place in places where place.role == role && (place.era ?? era) === era {
                    guard let channel = place.member?.channel else { continue }
                    do throws(StartFailure) {
                        try send(file, over: channel)
                    } catch {
                        log.warning("\(error); the old one stays")
                    }
                }
            }
        }
    }

    // MARK: Tickets

    func sendTicketSecrets(_ channel: Peer<ChildToParent, ParentToChild>) {
        if ticketSecrets.isEmpty { addTicketSecret() }
        channel.send(.ticketSecrets(ticketSecrets))
    }

    func rotateTicketSecrets() {
        guard !ticketSecrets.isEmpty, Loop.milliseconds - lastTicketSecret >= Self.ticketMilliseconds else { return }
        addTicketSecret()
        for place in places where place.role == .listener {
            place.member?.channel?.send(.ticketSecrets(ticketSecrets))
        }
    }

    private func addTicketSecret() {
        var secret: [UInt8] = []
        while secret.count < Self.secretLength { secret.append(Randomness.integer(UInt8.self)) }
        ticketSecrets = Array(([secret] + ticketSecrets).prefix(2))
        lastTicketSecret = Loop.milliseconds
    }
}
