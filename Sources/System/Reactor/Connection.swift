// SPDX-License-Identifier: ISC

import Bytes
import Glibc
public import Posix

/// Why a connection gave no more.
public enum ConnectionError: Error, Hashable, Sendable {
    case ended
    case timedOut
    case failed(SystemError)
    /// The transport cannot go on; why, in its own words.
    case broken(String)
    /// Closed from this side while somebody waited.
    case closed
}

/// A byte stream to a remote party: reads into a pooled buffer, writes what has gathered once per turn of the loop.
///
/// One reader and one writer at most wait at a time.
@MainActor
public final class Connection {
    /// A writer waits above this many unsent bytes and goes on below half of it.
    public static let highWater = 256 * 1024
    // What a command line and a little more need; content is taken out as it comes.
    private static let longestInput = 128 * 1024

    private var descriptor: FileDescriptor?
    private var transport: (any Transport)?
    private var readWatch: Watch?
    private var writeWatch: Watch?
    private var reader: UnsafeContinuation<ConnectionError?, Never>?
    private var writer: UnsafeContinuation<ConnectionError?, Never>?
    /// When a wait is over, however much of what is no use comes meanwhile: a record of TLS byte by byte, say.
    private var readDeadline: UInt64 = 0
    private var writeDeadline: UInt64 = 0
    /// Who waits wants to know of the descriptor only; nothing is read or written for it.
    private var isBareWait = false
    /// The transport has to write before it can read on.
    private var readNeedsWriting = false

    private var input: [UInt8] = []
    private var inputStart = 0
    private var inputEnd = 0
    /// So many bytes of `input` have held something since it came from the pool.
    private var inputUsed = 0
    private var output: [UInt8] = []
    private var outputStart = 0
    private var isFlushPlanned = false
    /// The waiting writer goes on at so many unsent bytes.
    private var writerMark = 0
    /// A short read has drained the socket: the next read is not worth a system call before the event fires.
    private var isDrained = true
    private var failure: ConnectionError?
    /// Came together with bytes that are told first.
    private var laterFailure: ConnectionError?
    /// Why nothing can be sent any more; a stream that has ended for reading may still be written to.
    private var outputFailure: ConnectionError?

    public init(_ descriptor: consuming FileDescriptor) {
        let number = descriptor.number
        self.descriptor = consume descriptor
        readWatch = Watch(number, for: .reading) { [unowned self] in readable(isTimeout: $0) }
        writeWatch = Watch(number, for: .writing) { [unowned self] in writable(isTimeout: $0) }
    }

    isolated deinit {
        // An event must be gone before its descriptor is.
        readWatch = nil
        writeWatch = nil
    }

    public var isOpen: Bool { descriptor != nil }
    public var number: Int32 { descriptor?.number ?? -1 }

    /// Puts a transport between this connection and its descriptor; nothing may be on its way past it.
    public func install(_ transport: any Transport) {
        precondition(unsent == 0 && available == 0, "bytes that would go past the transport")
        self.transport = transport
        // It may hold bytes already, for which no event will come.
        isDrained = false
    }

    /// Waits until the descriptor itself is ready, for a transport that is being negotiated.
    public func wait(until interest: Watch.Interest, timeoutMilliseconds: UInt64) async throws(ConnectionError) {
        guard isOpen else { throw failure ?? .closed }
        precondition(reader == nil && writer == nil, "two who wait on one connection")
        isBareWait = true
        let error = await withUnsafeContinuation { (continuation: UnsafeContinuation<ConnectionError?, Never>) in
            switch interest {
            case .reading, .accepting:
                reader = continuation
                readWatch?.enable(timeoutMilliseconds: timeoutMilliseconds)
            case .writing:
                writer = continuation
                writeWatch?.enable(timeoutMilliseconds: timeoutMilliseconds)
            }
        }
        isBareWait = false
        if let error { throw error }
    }

    /// Whether the other side has ended, or has said something that nobody waited for.
    public var hasSpokenOrEnded: Bool {
        guard isOpen, available == 0, reader == nil else { return true }
        do {
            _ = try fill()
            return available > 0
        } catch {
            return true
        }
    }

    // MARK: Reading

    /// The number of bytes that have come and were not consumed.
    public var available: Int { inputEnd - inputStart }

    /// Lets `body` look at what has come.
    public func withInput<Result>(_ body: (Span<UInt8>) -> Result) -> Result {
        let shared = input
        return body(shared.span.extracting(inputStart..<inputEnd))
    }

    public func consume(_ count: Int) {
        inputStart += min(count, available)
        if inputStart == inputEnd {
            inputStart = 0
            inputEnd = 0
            if isDrained { releaseInput() }
        }
    }

    /// What has come and was not consumed, for somebody who reads on without this connection.
    public func takeInput() -> [UInt8] {
        let bytes = withInput { $0.array }
        consume(bytes.count)
        return bytes
    }

    /// Waits until more has come than was there; `timeoutMilliseconds` is for the whole wait.
    public func read(timeoutMilliseconds: UInt64) async throws(ConnectionError) {
        guard isOpen else { throw failure ?? .closed }
        if !isDrained, try fill() { return }
        precondition(reader == nil, "two readers of one connection")
        readDeadline = Loop.milliseconds + timeoutMilliseconds
        let error = await withUnsafeContinuation { continuation in
            reader = continuation
            readWatch?.enable(timeoutMilliseconds: timeoutMilliseconds)
        }
        if let error { throw error }
    }

    private func readable(isTimeout: Bool) {
        guard let waiting = reader else {
            // Nobody wants more now: level-triggered events would come again and again.
            readWatch?.disable()
            isDrained = false
            return
        }
        var error: ConnectionError?
        if isTimeout {
            error = .timedOut
        } else if isBareWait {
            readWatch?.disable()
        } else {
            do {
                guard try fill() else { return readOn() }
            } catch let failed {
                error = failed
            }
        }
        reader = nil
        waiting.resume(returning: error)
    }

    // An event that brought nothing has started the watch's time anew.
    private func readOn() {
        let now = Loop.milliseconds
        // A moment that has passed is told by the watch, in its own call.
        readWatch?.enable(timeoutMilliseconds: readDeadline > now ? readDeadline - now : 0)
    }

    /// Reads once; false when nothing was there.
    private func fill() throws(ConnectionError) -> Bool {
        guard descriptor != nil else { throw .closed }
        makeRoom()
        let start = inputEnd
        // Reading into no room would look like the end.
        guard start < input.count else { throw .failed(SystemError("read", ENOBUFS)) }
        if let transport { return try fill(through: transport) }
        var room = 0
        let number = self.number
        let count = input.withUnsafeMutableBytes { buffer in
            room = buffer.count - start
            return FileDescriptor.retrying { Glibc.read(number, buffer.baseAddress.map { $0 + start }, room) }
        }
        if count > 0 {
            inputEnd += count
            inputUsed = max(inputUsed, inputEnd)
            isDrained = count < room
            return true
        }
        if count < 0, errno == EAGAIN || errno == EWOULDBLOCK {
            isDrained = true
            if available == 0 { releaseInput() }
            return false
        }
        isDrained = true
        let reason: ConnectionError = count == 0 ? .ended : .failed(SystemError("read"))
        failure = reason
        throw reason
    }

    // Until the transport has no more or there is no more room: what it holds back makes no event.
    private func fill(through transport: any Transport) throws(ConnectionError) -> Bool {
        if let laterFailure {
            failure = laterFailure
            throw laterFailure
        }
        let before = inputEnd
        readNeedsWriting = false
        isDrained = false
        while inputEnd < input.count {
            let start = inputEnd
            let result = input.withUnsafeMutableBytes { buffer in
                transport.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[start...]))
            }
            switch result {
            case .moved(let count):
                inputEnd += count
                inputUsed = max(inputUsed, inputEnd)
                continue
            case .wantsToRead:
                isDrained = true
            case .wantsToWrite:
                isDrained = true
                readNeedsWriting = true
                writeWatch?.enable()
            case .ended:
                laterFailure = .ended
            case .failed(let reason):
                laterFailure = reason
            }
            break
        }
        if inputEnd > before { return true }
        if let laterFailure {
            failure = laterFailure
            throw laterFailure
        }
        if available == 0 { releaseInput() }
        return false
    }

    private func makeRoom() {
        if input.isEmpty {
            input = BufferPool.take()
            return
        }
        if inputEnd < input.count { return }
        if inputStart > 0 {
            input.replaceSubrange(0..<available, with: Array(input[inputStart..<inputEnd]))
            inputEnd -= inputStart
            inputStart = 0
        }
        if inputEnd == input.count, input.count < Self.longestInput {
            input.append(contentsOf: repeatElement(0, count: input.count))
        }
    }

    private func releaseInput() {
        guard !input.isEmpty else { return }
        // The next one who takes it, and who looks at this memory, finds nothing of this client.
        let used = inputUsed
        input.withUnsafeMutableBytes { Memory.erase(UnsafeMutableRawBufferPointer(rebasing: $0[..<used])) }
        inputUsed = 0
        BufferPool.give(back: input)
        input = []
        inputStart = 0
        inputEnd = 0
    }

    // MARK: Writing

    /// Adds to what is sent at the end of this turn.
    public func write(_ append: (inout [UInt8]) -> Void) {
        guard isOpen, outputFailure == nil else { return }
        append(&output)
        planFlush()
    }

    public func write(_ bytes: [UInt8]) { write { $0 += bytes } }

    public var unsent: Int { output.count - outputStart }

    /// Waits until little enough is unsent to go on writing; `timeoutMilliseconds` is for the whole wait.
    public func room(timeoutMilliseconds: UInt64) async throws(ConnectionError) {
        guard unsent > Self.highWater else { return }
        try await wait(until: Self.highWater / 2, timeoutMilliseconds)
    }

    /// Waits until everything was handed to the system.
    public func drain(timeoutMilliseconds: UInt64) async throws(ConnectionError) {
        try await wait(until: 0, timeoutMilliseconds)
    }

    private func wait(until mark: Int, _ timeoutMilliseconds: UInt64) async throws(ConnectionError) {
        flush()
        guard isOpen else { throw failure ?? .closed }
        if let outputFailure { throw outputFailure }
        guard unsent > mark else { return }
        precondition(writer == nil, "two writers of one connection")
        writerMark = mark
        writeDeadline = Loop.milliseconds + timeoutMilliseconds
        let error = await withUnsafeContinuation { continuation in
            writer = continuation
            writeWatch?.enable(timeoutMilliseconds: timeoutMilliseconds)
        }
        if let error { throw error }
    }

    /// Hands over as much as the system takes, now.
    public func flush() {
        isFlushPlanned = false
        guard descriptor != nil else { return }
        if let transport { return flush(through: transport) }
        let number = self.number
        while unsent > 0 {
            let count = output.withUnsafeBytes { buffer in
                FileDescriptor.retrying {
                    Glibc.send(
                        number, buffer.baseAddress.map { $0 + outputStart }, buffer.count - outputStart,
                        Int32(MSG_NOSIGNAL))
                }
            }
            if count < 0 {
                if errno == EAGAIN || errno == EWOULDBLOCK { return waitToWrite() }
                return fail(.failed(SystemError("send")))
            }
            sent(count)
        }
        allSent()
    }

    private func flush(through transport: any Transport) {
        while unsent > 0 {
            let start = outputStart
            let result = output.withUnsafeBytes { buffer in
                transport.write(UnsafeRawBufferPointer(rebasing: buffer[start...]))
            }
            switch result {
            case .moved(let count): sent(count)
            case .wantsToWrite: return waitToWrite()
            case .wantsToRead: return fail(.broken("the transport cannot write before it has read"))
            case .ended: return fail(.ended)
            case .failed(let reason): return fail(reason)
            }
        }
        allSent()
    }

    private func waitToWrite() {
        guard let watch = writeWatch else { return }
        if writer != nil, unsent <= writerMark {
            // What is left has no writer whose time could pass.
            watch.enable()
            resumeWriter(nil)
        } else if writer != nil {
            // The event has started the watch's time anew.
            let now = Loop.milliseconds
            watch.enable(timeoutMilliseconds: writeDeadline > now ? writeDeadline - now : 0)
        } else if !watch.isEnabled {
            watch.enable()
        }
    }

    private func sent(_ count: Int) {
        outputStart += count
        if outputStart >= Self.highWater, outputStart >= unsent {
            // A reader that is always a little behind must not make the sent part grow for ever.
            output.removeFirst(outputStart)
            outputStart = 0
        }
    }

    private func allSent() {
        output.removeAll(keepingCapacity: output.capacity <= 4096)
        outputStart = 0
        if !readNeedsWriting { writeWatch?.disable() }
        resumeWriter(nil)
    }

    private func planFlush() {
        guard !isFlushPlanned else { return }
        isFlushPlanned = true
        Loop.atEndOfTurn { [weak self] in
            guard let self, isFlushPlanned else { return }
            flush()
        }
    }

    private func writable(isTimeout: Bool) {
        if isTimeout {
            writeWatch?.disable()
            resumeWriter(.timedOut)
        } else if isBareWait {
            writeWatch?.disable()
            resumeWriter(nil)
        } else {
            if readNeedsWriting {
                // Asked again by whoever reads, now or later; else this event would come for ever.
                readNeedsWriting = false
                readable(isTimeout: false)
            }
            flush()
        }
    }

    private func resumeWriter(_ error: ConnectionError?) {
        let waiting = writer
        writer = nil
        waiting?.resume(returning: error)
    }

    // MARK: The end

    /// Tells the other side that nothing more will come; it may still send. Call when all was drained.
    public func endOutput() {
        transport?.endOutput()
        if let number = descriptor?.number { shutdown(number, Int32(SHUT_WR)) }
    }

    private func fail(_ reason: ConnectionError) {
        failure = reason
        outputFailure = reason
        output.removeAll()
        outputStart = 0
        writeWatch?.disable()
        resumeWriter(reason)
    }

    /// Sends what is left as far as the system takes it at once, and closes. Whoever waits is told.
    public func close() {
        guard isOpen else { return }
        flush()
        if outputFailure == nil { transport?.endOutput() }
        transport = nil
        readWatch = nil
        writeWatch = nil
        descriptor = nil
        releaseInput()
        output = []
        outputStart = 0
        let waiting = reader
        reader = nil
        waiting?.resume(returning: failure ?? .closed)
        resumeWriter(failure ?? .closed)
    }
}
