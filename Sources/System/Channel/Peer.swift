// SPDX-License-Identifier: ISC

public import IPC
public import Posix
import Reactor

/// What a request over an edge may end in besides its answer.
public enum PeerError: Error, Hashable, Sendable {
    /// The other process has gone, or the edge was closed for nonsense.
    case gone
    case timedOut
}

/// Why an edge ended.
public enum PeerEnd: Hashable, Sendable {
    case ended
    /// What the other side said that it may not say.
    case violated(String)
}

/// The number under which a request came, needed to answer it.
public struct Correlation: Hashable, Sendable {
    let value: UInt64
}

/// What a part of an answer says about the parts behind it.
public enum AnswerPart: Hashable, Sendable {
    case goesOn
    case last
}

/// The answer to a request, with the descriptor that came beside it.
///
/// Copyable, with the descriptor in a box: as a struct that owned it and gave it away by a consuming method, the
/// optimizer of Swift 6.3.1 released the message's own storage too early.
public struct PeerAnswer<Message: EdgeMessage> {
    public let message: Message
    let descriptor: Held?

    /// The descriptor, for the first who asks.
    public func takeDescriptor() -> FileDescriptor? { descriptor?.take() }
}

/// This process's end of one edge: frames in both directions, gathered and sent once per turn of the loop.
///
/// Nothing that arrives can stop this process: whatever does not decode, is not answered for or comes without its
/// descriptor closes the edge, and the owner hears of it once.
@MainActor
public final class Peer<Incoming: EdgeMessage, Outgoing: EdgeMessage> {
    // A turn of the loop takes at most so much from one peer, so that none keeps the others waiting.
    private static var longestTurn: Int { 1 << 20 }
    private static var readSize: Int { 64 * 1024 }
    private static var mostWaitingDescriptors: Int { 64 }
    /// Above so many unsent bytes the owner should take no more work that leads here.
    public static var highWater: Int { 4 << 20 }
    // Above so many, the other side does not read at all; no honest backlog of one edge comes near to it.
    private static var mostUnsent: Int { 256 << 20 }

    private var descriptor: FileDescriptor?
    private var readWatch: Watch?
    private var writeWatch: Watch?
    private let expectedRole: Role
    private let handle: (Incoming, Correlation, consuming FileDescriptor?) -> Void
    private let ended: (PeerEnd) -> Void
    /// Called when all that was sent is with the system: the moment for whoever waited because much was unsent.
    public var drained: (() -> Void)?

    private var input: [UInt8] = []
    private var inputEnd = 0
    private var descriptors: [Received] = []
    /// Where in the stream the next frame begins.
    private var position: UInt64 = 0
    private var isGreeted = false

    private var output: [UInt8] = []
    private var outputStart = 0
    private var attachments: [Attachment] = []
    private var isFlushPlanned = false

    private var nextCorrelation: UInt64 = 1
    private var requests: [UInt64: Waiting] = [:]
    private var streams: [UInt64: WaitingStream] = [:]
    private let sweepTimer = Timer()

    private struct Attachment {
        let offset: Int
        let number: Int32
    }

    /// A descriptor that came with bytes before `end` of the stream, hence with a frame that begins before it.
    private struct Received {
        let number: Int32
        let end: UInt64
    }

    // The descriptor, -1 for none, is owned by whoever takes the answer.
    private struct RawAnswer {
        let message: Incoming
        let descriptor: Int32
    }

    private struct Waiting {
        let continuation: UnsafeContinuation<Result<RawAnswer, PeerError>, Never>
        let deadline: UInt64
    }

    private struct WaitingStream {
        let continuation: UnsafeContinuation<PeerError?, Never>
        let each: (Incoming) -> AnswerPart
        let patience: UInt64
        var deadline: UInt64
    }

    /// `handle` gets every message that is not the answer to a request; `ended` is called once, not after `close`.
    public init(
        _ descriptor: consuming FileDescriptor, greeting: EdgeGreeting, expecting role: Role,
        handle: @escaping (Incoming, Correlation, consuming FileDescriptor?) -> Void,
        ended: @escaping (PeerEnd) -> Void
    ) {
        let number = descriptor.number
        self.descriptor = consume descriptor
        expectedRole = role
        self.handle = handle
        self.ended = ended
        input = [UInt8](repeating: 0, count: Self.readSize)
        readWatch = Watch(number, for: .reading) { [unowned self] _ in readable() }
        writeWatch = Watch(number, for: .writing) { [unowned self] _ in flush() }
        readWatch?.enable()
        Frame.append(greeting, correlation: 0, to: &output)
        planFlush()
    }

    isolated deinit { release() }

    public var isOpen: Bool { descriptor != nil }
    public var unsent: Int { output.count - outputStart }

    // MARK: Sending

    public func send(_ message: Outgoing) { append(message, 0) }

    /// Sends a message that declares a descriptor; it is closed here once it was sent.
    public func send(_ message: Outgoing, passing passed: consuming FileDescriptor) {
        guard isOpen else { return }
        attachments.append(Attachment(offset: output.count, number: passed.release()))
        append(message, 0)
    }

    public func answer(_ correlation: Correlation, _ message: Outgoing) {
        append(message, correlation.value | Frame.replyBit)
    }

    public func answer(_ correlation: Correlation, _ message: Outgoing, passing passed: consuming FileDescriptor) {
        guard isOpen else { return }
        attachments.append(Attachment(offset: output.count, number: passed.release()))
        append(message, correlation.value | Frame.replyBit)
    }

    /// Sends a request and waits for its answer.
    public func request(_ message: Outgoing, timeoutMilliseconds: UInt64 = 60_000) async throws(PeerError) -> Incoming {
        let answer = try await rawRequest(message, timeoutMilliseconds)
        if answer.descriptor >= 0 { _ = FileDescriptor(owning: answer.descriptor) }
        return answer.message
    }

    /// The same for a request that passes a descriptor, which is closed here once it was sent.
    public func request(
        _ message: Outgoing, passing passed: consuming FileDescriptor, timeoutMilliseconds: UInt64 = 60_000
    ) async throws(PeerError) -> Incoming {
        guard isOpen else { throw .gone }
        attachments.append(Attachment(offset: output.count, number: passed.release()))
        return try await request(message, timeoutMilliseconds: timeoutMilliseconds)
    }

    /// The same for a request whose answer may bring a descriptor.
    public func requestDescriptor(
        _ message: Outgoing, timeoutMilliseconds: UInt64 = 60_000
    ) async throws(PeerError) -> PeerAnswer<Incoming> {
        let answer = try await rawRequest(message, timeoutMilliseconds)
        return PeerAnswer(
            message: answer.message,
            descriptor: answer.descriptor >= 0 ? Held(FileDescriptor(owning: answer.descriptor)) : nil)
    }

    private func rawRequest(
        _ message: Outgoing, _ timeoutMilliseconds: UInt64
    ) async throws(PeerError) -> RawAnswer {
        guard isOpen else { throw .gone }
        let number = nextCorrelation
        nextCorrelation += 1
        let result = await withUnsafeContinuation { continuation in
            requests[number] = Waiting(continuation: continuation, deadline: Loop.milliseconds + timeoutMilliseconds)
            append(message, number)
            if !sweepTimer.isRunning { planSweep() }
        }
        return try result.get()
    }

    /// Sends a request that is answered in several parts: `each` gets them in order and says which is the last. The time
    /// is that between two parts. Parts bring no descriptors.
    public func requestStream(
        _ message: Outgoing, timeoutMilliseconds: UInt64 = 60_000, each: @escaping (Incoming) -> AnswerPart
    ) async throws(PeerError) {
        guard isOpen else { throw .gone }
        let number = nextCorrelation
        nextCorrelation += 1
        let error = await withUnsafeContinuation { continuation in
            streams[number] = WaitingStream(
                continuation: continuation, each: each, patience: timeoutMilliseconds,
                deadline: Loop.milliseconds + timeoutMilliseconds)
            append(message, number)
            if !sweepTimer.isRunning { planSweep() }
        }
        if let error { throw error }
    }

    private func append(_ message: Outgoing, _ correlation: UInt64) {
        guard isOpen else { return }
        Frame.append(message, correlation: correlation, to: &output)
        planFlush()
    }

    private func planFlush() {
        guard !isFlushPlanned else { return }
        isFlushPlanned = true
        Loop.atEndOfTurn { [weak self] in self?.flush() }
    }

    /// Hands over what has gathered, now; for a process that is about to leave.
    public func flushNow() { flush() }

    private func flush() {
        isFlushPlanned = false
        guard let number = descriptor?.number else { return }
        while outputStart < output.count {
            var end = output.count
            var passed: Int32 = -1
            if let next = attachments.first {
                if next.offset == outputStart {
                    passed = next.number
                    if attachments.count > 1 { end = attachments[1].offset }
                } else {
                    end = next.offset
                }
            }
            do {
                let sent = try send(on: number, outputStart..<end, passing: passed)
                if sent == 0 {
                    guard unsent <= Self.mostUnsent else {
                        finish(.violated("does not read what it is sent"))
                        return
                    }
                    if writeWatch?.isEnabled == false { writeWatch?.enable() }
                    return
                }
                if passed >= 0 {
                    _ = FileDescriptor(owning: passed)
                    attachments.removeFirst()
                }
                outputStart += sent
                dropSent()
            } catch {
                finish(.ended)
                return
            }
        }
        // A password may have gone this way.
        output.withUnsafeMutableBytes { Memory.erase($0) }
        output.removeAll(keepingCapacity: output.capacity <= Self.readSize * 4)
        outputStart = 0
        writeWatch?.disable()
        drained?()
    }

    // A peer that is always a little behind must not make the sent part grow for ever.
    private func dropSent() {
        guard outputStart >= Self.readSize * 4, outputStart >= unsent else { return }
        output.removeFirst(outputStart)
        attachments = attachments.map { Attachment(offset: $0.offset - outputStart, number: $0.number) }
        outputStart = 0
    }

    private func send(on number: Int32, _ range: Range<Int>, passing passed: Int32) throws(SystemError) -> Int {
        var result: Result<Int, SystemError> = .success(0)
        output.withUnsafeBytes { buffer in
            result = FileDescriptor.send(UnsafeRawBufferPointer(rebasing: buffer[range]), on: number, passing: passed)
        }
        return try result.get()
    }

    // MARK: Receiving

    private func readable() {
        var taken = 0
        while let number = descriptor?.number, taken < Self.longestTurn {
            if input.count - inputEnd < Self.readSize / 2 {
                input.append(contentsOf: repeatElement(0, count: max(Self.readSize, input.count)))
            }
            let start = inputEnd
            var room = 0
            let received = input.withUnsafeMutableBytes { buffer in
                room = buffer.count - start
                return FileDescriptor.receive(UnsafeMutableRawBufferPointer(rebasing: buffer[start...]), on: number)
            }
            switch received {
            case .failure:
                return finish(.ended)
            case .success(nil):
                return
            case .success(let receipt?):
                inputEnd += receipt.count
                let end = position + UInt64(inputEnd)
                descriptors += receipt.descriptors.map { Received(number: $0, end: end) }
                if receipt.count == 0 { return finish(.ended) }
                if descriptors.count > Self.mostWaitingDescriptors { return finish(.violated("too many descriptors")) }
                taken += receipt.count
                do {
                    try takeFrames()
                } catch {
                    return finish(.violated("\(error)"))
                }
                if receipt.count < room { return }
            }
        }
    }

    private func takeFrames() throws(WireError) {
        var offset = 0
        // The handler may close this edge, or read on it again by way of a nested call: neither may see half a frame.
        while isOpen, inputEnd - offset >= Frame.headerLength {
            guard let header = try Frame.header(in: input, at: offset, end: inputEnd) else { break }
            let length = header.payload.upperBound - offset
            offset = header.payload.upperBound
            position += UInt64(length)
            try take(header)
            // Nothing that follows can declare a descriptor that came before it.
            if isOpen, let left = descriptors.first, left.end <= position { throw .descriptorUnexpected }
        }
        guard isOpen else { return }
        let rest = inputEnd - offset
        if offset > 0, rest > 0 {
            input.withUnsafeMutableBytes { buffer in
                guard let base = buffer.baseAddress else { return }
                base.copyMemory(from: base + offset, byteCount: rest)
            }
        }
        input.withUnsafeMutableBytes { Memory.erase(UnsafeMutableRawBufferPointer(rebasing: $0[rest..<inputEnd])) }
        inputEnd = rest
        if rest == 0, input.count > Self.readSize * 4 { input = [UInt8](repeating: 0, count: Self.readSize) }
    }

    private func take(_ header: Frame.Header) throws(WireError) {
        guard isGreeted else {
            let greeting = try EdgeGreeting(decoding: header, in: input)
            guard greeting.role == expectedRole else { throw .valueOutOfRange }
            isGreeted = true
            return
        }
        let message = try Incoming(decoding: header, in: input)
        var passed: Int32?
        if message.carriesDescriptor {
            guard !descriptors.isEmpty else { throw .descriptorMissing }
            passed = descriptors.removeFirst().number
        }
        if header.correlation & Frame.replyBit != 0 {
            let number = header.correlation & ~Frame.replyBit
            if let stream = streams[number] {
                if let passed { _ = FileDescriptor(owning: passed) }
                return take(message, of: stream, number)
            }
            guard let waiting = requests.removeValue(forKey: number) else {
                // The answer to a request that has timed out is no offence.
                if let passed { _ = FileDescriptor(owning: passed) }
                return
            }
            waiting.continuation.resume(returning: .success(RawAnswer(message: message, descriptor: passed ?? -1)))
            return
        }
        if let passed {
            handle(message, Correlation(value: header.correlation), FileDescriptor(owning: passed))
        } else {
            handle(message, Correlation(value: header.correlation), nil)
        }
    }

    private func take(_ part: Incoming, of stream: WaitingStream, _ number: UInt64) {
        switch stream.each(part) {
        case .goesOn:
            // It may have closed this edge.
            streams[number]?.deadline = Loop.milliseconds + stream.patience
        case .last:
            if let ended = streams.removeValue(forKey: number) { ended.continuation.resume(returning: nil) }
        }
    }

    // MARK: The end

    private func planSweep() {
        sweepTimer.start(afterMilliseconds: 1000) { [weak self] in
            guard let self else { return }
            let now = Loop.milliseconds
            for (number, waiting) in requests where waiting.deadline <= now {
                requests[number] = nil
                waiting.continuation.resume(returning: .failure(.timedOut))
            }
            for (number, stream) in streams where stream.deadline <= now {
                streams[number] = nil
                stream.continuation.resume(returning: .timedOut)
            }
            if !(requests.isEmpty && streams.isEmpty) { planSweep() }
        }
    }

    /// Ends the edge from this side; requests under way fail, `ended` is not called.
    public func close() { release() }

    private func finish(_ reason: PeerEnd) {
        guard isOpen else { return }
        release()
        ended(reason)
    }

    private func release() {
        guard isOpen else { return }
        readWatch = nil
        writeWatch = nil
        descriptor = nil
        for received in descriptors { _ = FileDescriptor(owning: received.number) }
        for attachment in attachments { _ = FileDescriptor(owning: attachment.number) }
        descriptors = []
        attachments = []
        output = []
        outputStart = 0
        sweepTimer.stop()
        let waiting = requests
        requests = [:]
        for request in waiting.values { request.continuation.resume(returning: .failure(.gone)) }
        let waitingStreams = streams
        streams = [:]
        for stream in waitingStreams.values { stream.continuation.resume(returning: .gone) }
    }
}
