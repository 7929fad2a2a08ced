// SPDX-License-Identifier: ISC

import Bytes
import Glibc
public import Posix

/// Why a connection gave no more.
public enum ConnectionError: Error, Hashable, Sendable {
    case ended
    case timedOut
    case failed(SystemError)
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
    private var readWatch: Watch?
    private var writeWatch: Watch?
    private var reader: UnsafeContinuation<ConnectionError?, Never>?
    private var writer: UnsafeContinuation<ConnectionError?, Never>?
    private var readTimeout: UInt64 = 0

    private var input: [UInt8] = []
    private var inputStart = 0
    private var inputEnd = 0
    private var output: [UInt8] = []
    private var outputStart = 0
    private var isFlushPlanned = false
    /// The waiting writer goes on at so many unsent bytes.
    private var writerMark = 0
    /// A short read has drained the socket: the next read is not worth a system call before the event fires.
    private var isDrained = true
    private var failure: ConnectionError?
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

    /// Waits until more has come than was there.
    public func read(timeoutMilliseconds: UInt64) async throws(ConnectionError) {
        guard isOpen else { throw failure ?? .closed }
        if !isDrained, try fill() { return }
        precondition(reader == nil, "two readers of one connection")
        readTimeout = timeoutMilliseconds
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
        } else {
            do {
                guard try fill() else { return }
            } catch let failed {
                error = failed
            }
        }
        reader = nil
        waiting.resume(returning: error)
    }

    /// Reads once; false when nothing was there.
    private func fill() throws(ConnectionError) -> Bool {
        guard descriptor != nil else { throw .closed }
        makeRoom()
        let start = inputEnd
        // Reading into no room would look like the end.
        guard start < input.count else { throw .failed(SystemError("read", ENOBUFS)) }
        var room = 0
        let number = self.number
        let count = input.withUnsafeMutableBytes { buffer in
            room = buffer.count - start
            return FileDescriptor.retrying { Glibc.read(number, buffer.baseAddress.map { $0 + start }, room) }
        }
        if count > 0 {
            inputEnd += count
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

    /// Waits until little enough is unsent to go on writing.
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
                if errno == EAGAIN || errno == EWOULDBLOCK {
                    if writer != nil, unsent <= writerMark {
                        // What is left has no writer whose time could pass.
                        writeWatch?.enable()
                        resumeWriter(nil)
                    } else if writeWatch?.isEnabled == false {
                        writeWatch?.enable()
                    }
                    return
                }
                fail(.failed(SystemError("send")))
                return
            }
            outputStart += count
            if outputStart >= Self.highWater, outputStart >= unsent {
                // A reader that is always a little behind must not make the sent part grow for ever.
                output.removeFirst(outputStart)
                outputStart = 0
            }
        }
        output.removeAll(keepingCapacity: output.capacity <= 4096)
        outputStart = 0
        writeWatch?.disable()
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
        } else {
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
