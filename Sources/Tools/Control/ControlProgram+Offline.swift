// SPDX-License-Identifier: ISC

import Bytes
import Configuration
import Glibc
import Host
import IPC
import Mail
import Posix
import Spool

/// The shows of a queue whose server is down, read from its spool. Nothing is changed there.
extension ControlProgram {
    private static let keySize = 32

    /// The status to exit with: 1 where something is damaged.
    func runOffline(_ command: ControlCommand, configuredBy file: String?) throws(Failure) -> Int32 {
        switch command {
        case .showQueue, .showEnvelope, .showMessage: break
        case .showStatus, .showStatistics, .showDelivery, .envelopes, .pause, .resume, .log, .stop, .reload, .explain,
            .encrypt, .walkSPF, .audit, .traceMessage, .monitor, .trace, .discover, .updateTable:
            throw .refused("--offline is for show queue, show envelope and show message")
        }
        let configuration = try configuration(file)
        let spool = try read(try keys(of: configuration))
        let queue = OfflineQueue(spool, configuration, now: SystemClock.now())
        for line in queue.complaints { complain(line) }
        switch command {
        case .showQueue(let selector): show(queue, selector)
        case .showEnvelope(let id):
            guard let fields = queue.envelope(id) else { throw .refused("no such envelope: \(id)") }
            switch form {
            case .text: say(Rows.envelopeLines(fields))
            case .json: array([fields])
            }
        case .showMessage(let id):
            guard let position = queue.position(id) else { throw .refused("no such message: \(id)") }
            try showContent(spool, position)
        case .showStatus, .showStatistics, .showDelivery, .envelopes, .pause, .resume, .log, .stop, .reload, .explain,
            .encrypt, .walkSPF, .audit, .traceMessage, .monitor, .trace, .discover, .updateTable:
            break
        }
        // A server that has started meanwhile may have changed what was read.
        if (try? spool.isTaken()) ?? true { throw Self.failure(.locked) }
        return queue.complaints.isEmpty ? 0 : 1
    }

    private func show(_ queue: OfflineQueue, _ selector: QueueSelector) {
        var rows: [[ControlField]] = []
        queue.each(selector) { fields in
            switch form {
            case .text: say(Rows.queueLine(fields))
            case .json: rows.append(fields)
            }
        }
        if form == .json { array(rows) }
    }

    private func showContent(_ spool: IdleSpool, _ position: SpoolPosition) throws(Failure) {
        // A line end may be cut in two by the end of a part.
        var held: [UInt8] = []
        if form == .json { say("{\"message\": \"") }
        do throws(SpoolError) {
            try spool.eachPart(of: position) { part in
                var bytes = held + part
                held = bytes.last == .carriageReturn ? [bytes.removeLast()] : []
                writeContent(bytes)
            }
        } catch {
            throw Self.failure(error)
        }
        writeContent(held)
        if form == .json { say("\"}\n") }
    }

    private func writeContent(_ bytes: [UInt8]) {
        let lines = Rows.localLines(bytes)
        switch form {
        case .text: write(lines)
        case .json: write(JSONText.escaped(bytes: lines))
        }
    }

    // MARK: What there is to read

    private func read(_ keys: SpoolKeys) throws(Failure) -> IdleSpool {
        let directory: FileDescriptor
        do throws(SystemError) {
            directory = try .open(places.spool, O_RDONLY | O_DIRECTORY)
        } catch {
            throw Self.failure(.system(error))
        }
        do throws(SpoolError) {
            return try IdleSpool.read(directory, keys: keys)
        } catch {
            throw Self.failure(error)
        }
    }

    /// nil where there is none: then nothing is encrypted, and mail waits as long as is usual.
    private func configuration(_ named: String?) throws(Failure) -> ServerConfiguration? {
        let file: String
        if let named {
            file = named
        } else {
            guard let usual = places.configuration, FileFacts(at: usual) != nil else { return nil }
            file = usual
        }
        let parsed = ServerConfiguration.parse(file: file, sourceReader: SourceText.file)
        guard let configuration = parsed.configuration else {
            throw .refused(parsed.errors.first.map { "\($0)" } ?? "\(file): unreadable")
        }
        return configuration
    }

    private func keys(of configuration: ServerConfiguration?) throws(Failure) -> SpoolKeys {
        let current: [UInt8]?
        switch configuration?.queueEncryption {
        case .key(let key): current = Array(key.utf8)
        case .askedKey:
            current = SecretInput.ask("queue key: ", limit: Self.keySize)
            if current == nil { throw .refused("there is no terminal on which the key of the queue could be asked") }
        case .standardInput:
            current = SecretInput.line(limit: Self.keySize)
            if current == nil { throw .refused("standard input has no key of the queue") }
        case .some(.none), nil: current = nil
        }
        let older = (configuration?.queueOldKeys ?? []).map { Array($0.utf8) }
        guard let keys = SpoolKeys(current: current, older: older) else {
            throw .refused("a key of the queue has exactly 32 bytes")
        }
        return keys
    }

    private static func failure(_ error: SpoolError) -> Failure {
        switch error {
        case .locked: .refused("smtpd is running, or has started meanwhile: ask it, without --offline")
        case .system(let reason) where reason.code == EACCES || reason.code == EPERM: .needsRoot
        case .keyMissing: .refused("\(error); -f names the configuration with the key")
        case .full, .tooLarge, .unknown, .damaged, .closed, .system: .refused("\(error)")
        }
    }
}
