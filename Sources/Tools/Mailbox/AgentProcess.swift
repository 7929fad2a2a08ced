// SPDX-License-Identifier: ISC

import Channel
import Glibc
import IPC
import Launch
import Mail
import Posix
import Reactor
import Configuration

/// The agent of one user: already that user, it takes messages over descriptor 3 and puts each where it belongs.
final class AgentProcess {
    private static let channelNumber: Int32 = 3
    // Several deliveries at a time, each with a file and the directories of its folder.
    private static let descriptors: UInt64 = 256
    // The commands have the same limit.
    private static let commandDescriptors: UInt64 = 1024

    let arguments: AgentArguments
    // As Parent says it to whatever it starts: an action may deliver as another user than the recipient.
    private let account: (name: String, home: String)
    private var template: FormatTemplate?
    private var local: Peer<LocalToMailbox, MailboxToLocal>?
    private var current: (sink: any MessageSink, left: UInt64)?
    private var mboxes: [String: MboxQueue] = [:]
    private let waitingMail = MboxQueue.WaitingMail()
    private var folders: [String: MaildirFolder] = [:]
    private var ended: [MaildirMessage] = []
    private var commands: CommandRunner?
    private var isCommitPlanned = false

    private static var process: AgentProcess?

    static func begin() {
        guard let arguments = AgentArguments(Array(CommandLine.arguments.dropFirst())),
            fcntl(channelNumber, F_GETFD) >= 0
        else {
            print("started by martletd only")
            exit(1)
        }
        let channel = FileDescriptor(owning: channelNumber)
        umask(0o077)
        SystemClock.prepare()
        do {
            let agent = AgentProcess(arguments)
            process = agent
            try agent.prepare()
            agent.serve(channel)
        } catch {
            complain("\(error)")
            exit(1)
        }
    }

    private init(_ arguments: AgentArguments) {
        self.arguments = arguments
        account = (Self.variable("USER") ?? arguments.user, Self.variable("HOME") ?? arguments.home)
    }

    private func prepare() throws {
        switch arguments.duty {
        case .maildir(let text, _): template = try FormatTemplate(text, for: .path)
        case .mbox: break
        case .commands(let duty):
            commands = try CommandRunner(
                mostRunning: duty.running, limitMilliseconds: UInt64(duty.limitSeconds) * 1000)
            _ = try confine(.mailbox(.commands), descriptors: Self.commandDescriptors)
            return
        }
        _ = try confine(.mailbox(.ownFiles), descriptors: Self.descriptors)
    }

    private func serve(_ channel: consuming FileDescriptor) {
        try? channel.setNonblocking()
        local = Peer(
            channel, greeting: EdgeGreeting(role: .mailbox, generation: 0), expecting: .local,
            handle: { [unowned self] message, _, _ in heard(message) },
            ended: { [unowned self] _ in leave(status: 0) })
    }

    private static func complain(_ text: String) {
        let line = Array("martlet-mailbox: \(text)\n".utf8)
        _ = line.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
    }

    private func leave(status: Int32) -> Never {
        current?.sink.abandon()
        for message in ended { message.abandon() }
        for queue in mboxes.values { queue.abandon() }
        commands?.abandon()
        exit(status)
    }

    // MARK: Deliveries

    private func heard(_ message: LocalToMailbox) {
        switch message {
        case .deliver(let delivery):
            guard current == nil else { return refuse("a delivery inside another") }
            current = (sink(for: delivery), delivery.length)
            if delivery.length == 0 { endCurrent() }
        case .content(let bytes):
            guard let delivery = current, UInt64(bytes.count) <= delivery.left else {
                return refuse("more content than announced")
            }
            delivery.sink.append(bytes)
            current?.left = delivery.left - UInt64(bytes.count)
            if delivery.left == UInt64(bytes.count) { endCurrent() }
        }
    }

    private func refuse(_ what: String) {
        Self.complain(what)
        leave(status: 1)
    }

    private func endCurrent() {
        let sink = current?.sink
        current = nil
        sink?.end()
    }

    private func answer(_ id: EnvelopeID, _ outcome: MailboxOutcome) { local?.send(.outcome(id, outcome)) }

    private func decided(_ id: EnvelopeID, _ outcome: MailboxOutcome) -> any MessageSink {
        DecidedSink { [unowned self] in answer(id, outcome) }
    }

    private func sink(for delivery: MailboxDelivery) -> any MessageSink {
        if delivery.isBinary {
            // Only a file of its own keeps bytes as they are; an mbox and a command want lines (RFC 3030 section 3).
            guard case .maildir = arguments.duty, delivery.form == .action else {
                return decided(delivery.id, .failed("Binary content, which only a Maildir can keep"))
            }
        }
        switch (delivery.form, arguments.duty) {
        case (.action, .maildir(_, let usesJunk)):
            return maildirSink(delivery, usesJunk ? .used : .unused)
        case (.action, .mbox(let directory)):
            return mbox("\(directory)/\(arguments.user)", .spool).begin(delivery)
        case (.action, .commands(let duty)):
            switch duty.source {
            case .action(let command): return commandSink(command, duty.wrapper, delivery)
            case .items: return decided(delivery.id, .deferred("Not the agent of an action"))
            }
        case (.forward, .commands(let duty)), (.alias, .commands(let duty)):
            switch duty.source {
            case .action: return decided(delivery.id, .deferred("Not an agent of commands"))
            case .items: return sink(forItemOf: delivery, duty.wrapper)
            }
        case (.forward, _), (.alias, _):
            // In the sandbox of a mailbox nothing can be run.
            return decided(delivery.id, .deferred("Not an agent of commands"))
        }
    }

    private func sink(forItemOf delivery: MailboxDelivery, _ wrapper: String?) -> any MessageSink {
        switch ForwardItem.find(delivery.form, user: arguments.user, home: arguments.home) {
        case .outcome(let outcome):
            return decided(delivery.id, outcome)
        case .file(let text):
            do {
                let path = try FormatTemplate(text, for: .path).expand(fields(delivery))
                if path == "/dev/null" { return decided(delivery.id, .delivered) }
                guard path.hasPrefix("/") else { return decided(delivery.id, .failed("Not an absolute path")) }
                return mbox(path, .own).begin(delivery)
            } catch {
                return decided(delivery.id, .failed("Invalid path in ~/.forward or alias: \(error)"))
            }
        case .command(let text):
            return commandSink(text, wrapper, delivery)
        }
    }

    private func commandSink(
        _ text: String, _ wrapper: String?, _ delivery: MailboxDelivery
    ) -> any MessageSink {
        let id = delivery.id
        guard let commands else { return decided(id, .deferred("Not an agent of commands")) }
        do {
            var command = try FormatTemplate(text, for: .command).expand(fields(delivery))
            if let wrapper {
                command = try FormatTemplate(wrapper, for: .command).expand(fields(delivery, command: command))
            }
            let order = CommandOrder(
                command: command,
                environment: CommandEnvironment.lines(for: delivery, user: account.name, home: account.home),
                directory: account.home)
            return CommandSink(order, delivery.addedFields, commands) { [unowned self] in answer(id, $0) }
        } catch let error as FormatTemplate.ExpansionError {
            return decided(id, .failed("mda command line could not be expanded: \(error)"))
        } catch {
            return decided(id, .failed("Invalid command: \(error)"))
        }
    }

    private static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    private func fields(_ delivery: MailboxDelivery, command: String? = nil) -> FormatFields {
        FormatFields(
            sender: delivery.sender, recipient: delivery.recipient, destination: delivery.destination,
            userName: arguments.user, home: arguments.home, delimiters: arguments.delimiters, command: command)
    }

    private func mbox(_ path: String, _ kind: MboxFile.Kind) -> MboxQueue {
        if let queue = mboxes[path] { return queue }
        let queue = MboxQueue(path, kind, waitingMail) { [unowned self] in answer($0, $1) }
        mboxes[path] = queue
        return queue
    }

    // MARK: Maildir

    private func maildirSink(_ delivery: MailboxDelivery, _ junk: MaildirMessage.JunkFolder) -> any MessageSink {
        guard let template else { return decided(delivery.id, .deferred("No path of the mailbox")) }
        let path: String
        do {
            path = try template.expand(fields(delivery))
        } catch {
            return decided(delivery.id, .failed("Unsafe path of the mailbox: \(error)"))
        }
        guard path.hasPrefix("/") else { return decided(delivery.id, .deferred("The mailbox has no absolute path")) }
        do throws(SystemError) {
            let folder = try folder(path, delivery.subaddress)
            let message = MaildirMessage(
                delivery, in: folder, hostName: arguments.hostName, now: SystemClock.now(), junk: junk)
            return MaildirSink(message) { [unowned self] in complete($0) }
        } catch {
            return decided(delivery.id, .failure(error, "Cannot open the mailbox"))
        }
    }

    private func folder(_ path: String, _ tag: String?) throws(SystemError) -> MaildirFolder {
        let key = tag.map { "\(path)/.\($0)" } ?? path
        if let folder = folders[key] { return folder }
        var folder = try MaildirFolder.open(path)
        if let tag { folder = try folder.subfolder(tag) }
        folders[key] = folder
        planCommit()
        return folder
    }

    private func complete(_ message: MaildirMessage) {
        ended.append(message)
        planCommit()
    }

    private func planCommit() {
        guard !isCommitPlanned else { return }
        isCommitPlanned = true
        Loop.atEndOfTurn { [unowned self] in commit() }
    }

    // All that has come in this turn of the loop: one sync of each directory for the whole group.
    private func commit() {
        isCommitPlanned = false
        // The directories may be moved before the next turn.
        folders.removeAll(keepingCapacity: true)
        let messages = ended
        ended = []
        MaildirMessage.commit(messages)
        for message in messages { answer(message.id, message.outcome ?? .deferred("Not committed")) }
    }
}
