// SPDX-License-Identifier: ISC

import Bytes
import Channel
import Configuration
import IPC
import Mail
import Message
import Posix
import Reactor
import SMTP
import TLS

/// What comes from the client: lines, and content in either form.
extension SessionDriver {
    @inline(never)
    func nextCommand() async {
        // The whole line must come within the time, not each byte of it.
        let deadline = Loop.milliseconds + ListenerProcess.idleMilliseconds
        do {
            // A whole buffer of commands can be answered by much more than fits the connection.
            try await stream.room(timeoutMilliseconds: patience(for: .room, until: deadline))
            // A client that floods us gets no more of our time than one that waits for each reply.
            if share.isUsedUp(in: Loop.turn) { await Loop.nextTurn() }
            while !takeCommand() {
                try await stream.read(timeoutMilliseconds: patience(for: .command, until: deadline))
                pace.heard(at: Loop.milliseconds, having: stream.available)
            }
        } catch {
            lost(error)
        }
    }

    /// What a client is waited for.
    private enum Awaited {
        case command
        case content
        /// That it takes replies.
        case room
    }

    /// For how many milliseconds the client is waited for now: to the deadline, but not longer than its session may last,
    /// nor than its content may take.
    @inline(never)
    private func patience(for awaited: Awaited, until deadline: UInt64) throws(ConnectionError) -> UInt64 {
        let now = Loop.milliseconds
        var left = deadline > now ? deadline - now : 0
        limitOfPatience = nil
        let stay = owner.limits.sessionMilliseconds
        if stay > 0 {
            let rest = stay - min(stay, now - started)
            if rest < left { (left, limitOfPatience) = (rest, .time) }
        }
        // Who sends its content in chunks is as slow between them as within them.
        let isPaced =
            switch awaited {
            case .command: session.transaction?.isChunked ?? false
            case .content: true
            case .room: false
            }
        if isPaced {
            let rest = pace.left(atLeast: owner.limits.bytesPerSecond, after: owner.limits.graceMilliseconds)
            if rest < left { (left, limitOfPatience) = (rest, .rate) }
        }
        guard left > 0 else { throw .timedOut }
        pace.waits(since: now, having: stream.available)
        return left
    }

    /// False when there is no whole line yet.
    @inline(never)
    private func takeCommand() -> Bool {
        var line: [UInt8] = []
        let framing = stream.withInput { input in
            let framing = session.nextLine(in: input)
            if case .line(let length, _) = framing { line = input.extracting(first: length).array }
            return framing
        }
        switch framing {
        case .line(_, let consumed):
            if isEnding, session.transaction == nil {
                end("shutdown", session.shutDown())
                return true
            }
            stream.consume(consumed)
            lastCommand = shown(line)
            if session.user == nil, !session.isAuthenticating { forgetAuthority() }
            session.now = SystemClock.now()
            action = session.receive(line.span, waiting: stream.available)
            return true
        case .violation(let violation):
            end("bad-input", session.receive(violation))
            return true
        case .incomplete:
            return false
        }
    }

    @inline(never)
    func receiveContent() async {
        var decoder = session.makeDecoder()
        var chunk: [UInt8] = []
        beginContent()
        while true {
            var consumed = 0
            var isFinished = false
            stream.withInput { input in
                (consumed, isFinished) = decoder.decode(input, into: &chunk)
            }
            stream.consume(consumed)
            if chunk.count >= Self.chunkSize || isFinished {
                // Behind a violation nothing of the message is of use.
                if decoder.findings.violation == nil { await keep(chunk) }
                chunk.removeAll(keepingCapacity: true)
            }
            if isFinished { break }
            do {
                try await readContent()
            } catch {
                return lost(error)
            }
        }
        lastCommand = [.dot]
        session.now = SystemClock.now()
        action = session.receive(endOfData: decoder.findings, waiting: stream.available)
    }

    @inline(never)
    func receiveChunk() async {
        guard case .takeChunk(let size, let order, let place) = action else { return }
        if order == .first {
            chunks = session.makeChunkDecoder()
            beginContent()
        }
        guard var decoder = chunks else { return end("bad-input", session.disconnected()) }
        var left = size
        var content: [UInt8] = []
        while true {
            let count = min(left, stream.available)
            stream.withInput { input in decoder.decode(input.extracting(first: count), into: &content) }
            stream.consume(count)
            left -= count
            if content.count >= Self.chunkSize || left == 0 {
                if decoder.findings.violation == nil { await keep(content) }
                content.removeAll(keepingCapacity: true)
            }
            if left == 0 { break }
            do {
                try await readContent()
            } catch {
                return lost(error)
            }
        }
        if place == .last { decoder.finish() }
        chunks = decoder
        session.now = SystemClock.now()
        action = session.receive(endOfChunk: decoder.findings)
    }

    @inline(never)
    func skip() async {
        guard case .skip(var left) = action else { return }
        pace = Pace()
        while true {
            let count = min(left, stream.available)
            stream.consume(count)
            left -= count
            if left == 0 {
                action = session.skipped()
                return
            }
            do {
                try await readContent()
            } catch {
                return lost(error)
            }
        }
    }

    func beginContent() {
        scanner = HeaderScanner(addressFields: completesHeader ? .collected : .ignored)
        transferFailed = false
        pace = Pace()
    }

    // Time in which we do not read is not the client's.
    func readContent() async throws(ConnectionError) {
        let deadline = Loop.milliseconds + ListenerProcess.idleMilliseconds
        try await stream.read(timeoutMilliseconds: patience(for: .content, until: deadline))
        pace.heard(at: Loop.milliseconds, having: stream.available)
    }

    func keep(_ chunk: [UInt8]) async {
        guard let message, !transferFailed else { return }
        if !scanner.isEnded { scanner.scan(chunk.span) }
        do {
            try await owner.queue.send(chunk, of: message)
        } catch {
            transferFailed = true
        }
    }

    @inline(never)
    func lost(_ error: ConnectionError) {
        switch error {
        case .timedOut: end("timeout", session.timedOut(limitOfPatience))
        case .ended: end("disconnect", session.disconnected())
        case .failed(let error): end("io-error: \(error)", session.disconnected())
        case .broken(let reason): end("io-error: \(reason)", session.disconnected())
        case .closed: end("shutdown", session.shutDown())
        }
    }

    func end(_ reason: String, _ action: ServerSession.Action) {
        endReason = reason
        self.action = action
    }
}
