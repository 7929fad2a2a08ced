// SPDX-License-Identifier: ISC

import Bytes
import Host
import Mail
import Message
import Posix
import Reactor
import SMTP

/// sendmail from its arguments to its exit status.
enum SubmissionSession {
    private static let longestMessage = 512 << 20

    static func run(_ arguments: [String]) async -> Int32 {
        var invocation: SubmissionInvocation
        do {
            invocation = try SubmissionInvocation(parsing: arguments)
        } catch {
            ThisProcess.say(error.text)
            return SubmissionStatus.usage
        }
        if invocation.mode == .offline { return await sendOffline(invocation.instance) }
        invocation.given = arguments
        let instance = invocation.instance ?? ThisProcess.variable(Places.variable)
        let places = Places(instance: instance)
        switch invocation.mode {
        case .listQueue:
            return await ControlSession.run((instance.map { ["--instance", $0] } ?? []) + ["show", "queue"])
        case .rebuildAliases: return await AliasSession.run(instance.map { ["--instance", $0] } ?? [])
        case .unsupported(let reason):
            complain(reason)
            return SubmissionStatus.software
        case .session: return relay(places)
        case .send: return await send(invocation, places, input: nil)
        case .offline: return SubmissionStatus.usage
        }
    }

    // MARK: A session

    private static func relay(_ places: Places) -> Int32 {
        do {
            let server = try Places.connect(Places.submission, in: places.runtime)
            return SessionRelay.run(server) ? SubmissionStatus.success : SubmissionStatus.temporary
        } catch {
            // The caller expects a server to speak.
            ThisProcess.say("421 4.3.2 Service not available, try again later\r\n", on: 1)
            complain(SubmissionFailure.unreachable(error).text)
            return SubmissionStatus.temporary
        }
    }

    // MARK: A message

    /// Sends what was kept while nobody listened, with the arguments that it had then.
    private static func sendOffline(_ instance: String?) async -> Int32 {
        do {
            guard let content = try FileDescriptor.duplicate(0).readAll(limit: longestMessage),
                let (arguments, message) = OfflineStore.parts(of: content)
            else {
                complain("not a message that waited")
                return SubmissionStatus.usage
            }
            let invocation = try SubmissionInvocation(parsing: arguments)
            guard invocation.mode == .send else { return SubmissionStatus.usage }
            return await send(invocation, Places(instance: instance), input: message)
        } catch {
            complain("\(error)")
            return SubmissionStatus.usage
        }
    }

    /// Sends a message that waited, or the one on standard input.
    private static func send(
        _ invocation: SubmissionInvocation, _ places: Places, input waited: [UInt8]?
    ) async -> Int32 {
        let caller = Caller.current()
        let input: [UInt8]
        let message: MessagePreparation
        do {
            guard let read = try waited ?? FileDescriptor.duplicate(0).readAll(limit: longestMessage) else {
                complain("the message is too large")
                return SubmissionStatus.software
            }
            input = read
        } catch {
            complain("standard input: \(error)")
            return SubmissionStatus.software
        }
        do {
            message = try MessagePreparation(input, circumstances(invocation, caller))
        } catch {
            complain(error.text)
            return SubmissionStatus.software
        }
        let dialogue = SubmissionDialogue(
            message, notify: invocation.notify, returned: invocation.returned,
            envelopeIdentifier: invocation.envelopeIdentifier)
        do throws(SubmissionFailure) {
            let driver = try SubmissionDriver(places, isVerbose: invocation.isVerbose)
            try await driver.run(dialogue, message.content)
            return SubmissionStatus.success
        } catch {
            complain(error.text)
            // Who waited goes on to wait, unless it was refused for good.
            if waited != nil, error.status != SubmissionStatus.software { return error.status }
            if case .unreachable(let reason) = error, reason.isAbsent, wait(invocation, input, places) {
                return SubmissionStatus.temporary
            }
            keep(input, for: caller)
            return error.status
        }
    }

    /// Leaves a message where the server finds it when it is up; false when that cannot be done.
    private static func wait(_ invocation: SubmissionInvocation, _ input: [UInt8], _ places: Places) -> Bool {
        do {
            var arguments = invocation.given[...]
            if arguments.first == "--instance" { arguments = arguments.dropFirst(2) }
            try OfflineStore.save(Array(arguments), input, in: places.offline, at: SystemClock.now())
            complain("the message waits until the server is up")
            return true
        } catch {
            complain("the message cannot wait in \(places.offline): \(error.text)")
            return false
        }
    }

    private static func circumstances(
        _ invocation: SubmissionInvocation, _ caller: Caller?
    ) -> MessagePreparation.Circumstances {
        let now = SystemClock.now()
        let zone = SystemClock.zone(at: now)
        return MessagePreparation.Circumstances(
            sender: invocation.sender, login: caller?.login, fullName: invocation.fullName ?? caller?.fullName ?? "",
            hostName: HostNames.localName(), arguments: invocation.recipients,
            readsRecipients: invocation.readsRecipients,
            date: "\(MailDate(now, offset: zone.offset, zone: zone.name))")
    }

    private static func keep(_ input: [UInt8], for caller: Caller?) {
        guard let caller else { return complain("the message is not saved: the user has no home directory") }
        do {
            let path = try DeadLetter.save(input, for: caller, at: SystemClock.now())
            complain("the message is saved in \(path)")
        } catch {
            complain("the message is not saved in \(caller.home)/\(DeadLetter.name): \(error)")
        }
    }

    private static func complain(_ text: String) { ThisProcess.say("sendmail: \(text)\n") }
}
