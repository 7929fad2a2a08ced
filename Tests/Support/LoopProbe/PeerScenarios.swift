// SPDX-License-Identifier: ISC

import Channel
import Glibc
import IPC
import Mail
import Posix
import Reactor

typealias Asker = Peer<FromResolver, ToResolver>
typealias Answerer = Peer<ToResolver, FromResolver>

/// The two ends of one edge in one process.
struct Ends {
    let asker: Asker
    let answerer: Answerer

    init(
        heard: @escaping (ToResolver, Correlation) -> Void,
        answererEnded: @escaping (PeerEnd) -> Void = { _ in }, askerEnded: @escaping (PeerEnd) -> Void = { _ in }
    ) throws {
        let (left, right) = try System.pair()
        asker = Peer(
            FileDescriptor(owning: left), greeting: EdgeGreeting(role: .listener, generation: 1), expecting: .resolver,
            handle: { _, _, _ in Check.fail("the asker was told something") }, ended: askerEnded)
        answerer = Peer(
            FileDescriptor(owning: right), greeting: EdgeGreeting(role: .resolver, generation: 1),
            expecting: .listener, handle: { message, correlation, _ in heard(message, correlation) },
            ended: answererEnded)
    }
}

func question(_ number: Int) -> ToResolver {
    let bytes = (0..<4).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
    guard let address = IPAddress(bytes: bytes) else { preconditionFailure("four bytes") }
    return .name(of: address)
}

func number(_ question: ToResolver) -> Int {
    guard case .name(let address) = question else { return -1 }
    return address.bytes.enumerated().reduce(0) { $0 | Int($1.element) << ($1.offset * 8) }
}

func answer(_ number: Int) -> FromResolver {
    guard case .name(let address) = question(number) else { preconditionFailure("a question by address") }
    return .addresses(.found([address]))
}

enum PeerScenarios {
    private static let count = 10_000

    /// Many small frames cost few system calls and few turns.
    static func batch() async throws {
        let (left, right) = try System.pair()
        let sender: Asker = Peer(
            FileDescriptor(owning: left), greeting: EdgeGreeting(role: .listener, generation: 1), expecting: .resolver,
            handle: { _, _, _ in }, ended: { Check.fail("ended: \($0)") })
        for index in 0..<count { sender.send(question(index)) }
        await Loop.pause(milliseconds: 1)
        var reads = 0
        var received: [UInt8] = []
        while true {
            let part = System.read(right, 1 << 20)
            if part.isEmpty {
                if sender.unsent == 0 { break }
                await Loop.pause(milliseconds: 1)
                continue
            }
            reads += 1
            received += part
        }
        Check.that(reads < 100, "\(reads) reads of \(count) frames")
        var frames = 0
        var offset = 0
        while let header = try Frame.header(in: received, at: offset, end: received.count) {
            offset = header.payload.upperBound
            frames += 1
        }
        Check.equal(frames, count + 1, "frames with the greeting")
        Check.equal(offset, received.count, "all was whole frames")
        sender.close()
        close(right)
        try await turns()
    }

    private static func turns() async throws {
        var heard: [Int] = []
        var turns = 0
        var isPlanned = false
        let ends = try Ends(heard: { message, _ in
            heard.append(number(message))
            guard !isPlanned else { return }
            isPlanned = true
            Loop.atEndOfTurn {
                isPlanned = false
                turns += 1
            }
        })
        for index in 0..<count { ends.asker.send(question(index)) }
        await eventually("all heard") { heard.count == count }
        Check.equal(heard, Array(0..<count), "in order")
        Check.that(turns < 100, "\(turns) turns")
        ends.asker.close()
        ends.answerer.close()
    }

    /// Answers find their questions in whatever order they come.
    static func requests() async throws {
        var waiting: [(Int, Correlation)] = []
        let ends = try Ends(heard: { waiting.append((number($0), $1)) })
        var right = 0
        var finished = 0
        for index in 0..<1000 {
            Task {
                if try await ends.asker.request(question(index)) == answer(index) { right += 1 }
                finished += 1
            }
        }
        await eventually("all asked") { waiting.count == 1000 }
        for (number, correlation) in waiting.reversed() { ends.answerer.answer(correlation, answer(number)) }
        await eventually("all answered") { finished == 1000 }
        Check.equal(right, 1000, "right answers")
        // An answer to nothing is no offence, and nobody hears it.
        if let (number, correlation) = waiting.first { ends.answerer.answer(correlation, answer(number)) }
        await Loop.pause(milliseconds: 10)
        Check.that(ends.asker.isOpen, "open after a second answer")
        ends.asker.close()
        ends.answerer.close()
    }

    static func lateAnswer() async throws {
        var waiting: [(Int, Correlation)] = []
        let ends = try Ends(heard: { waiting.append((number($0), $1)) })
        do {
            _ = try await ends.asker.request(question(1), timeoutMilliseconds: 50)
            Check.fail("answered")
        } catch {
            Check.equal(error, .timedOut, "request")
        }
        guard let first = waiting.first else { return Check.fail("not asked") }
        ends.answerer.answer(first.1, answer(1))
        let second = Task { try await ends.asker.request(question(2)) }
        await eventually("asked again") { waiting.count == 2 }
        ends.answerer.answer(waiting[1].1, answer(2))
        Check.equal(try await second.value, answer(2), "the answer after the late one")
        Check.that(ends.asker.isOpen && ends.answerer.isOpen, "both ends are open")
        ends.asker.close()
        ends.answerer.close()
    }

    static func parts() async throws {
        var answerer: Answerer?
        let ends = try Ends(heard: { _, correlation in
            for index in 0..<5 { answerer?.answer(correlation, answer(index)) }
        })
        answerer = ends.answerer
        var heard: [FromResolver] = []
        try await ends.asker.requestStream(question(0)) { part in
            heard.append(part)
            return heard.count == 4 ? .last : .goesOn
        }
        Check.equal(heard, (0..<4).map(answer), "parts up to the last")
        answerer = nil
        await Loop.pause(milliseconds: 5)
        do {
            try await ends.asker.requestStream(question(0), timeoutMilliseconds: 50) { _ in .last }
            Check.fail("answered")
        } catch {
            Check.equal(error, .timedOut, "a stream without an answer")
        }
        ends.asker.close()
        ends.answerer.close()
    }

    /// A hundred frames, some with a pipe: each pipe arrives with its own frame.
    static func descriptors() async throws {
        let before = System.descriptors
        let (left, right) = try System.pair()
        var heard: [String] = []
        let child: Peer<ParentToChild, ChildToParent> = Peer(
            FileDescriptor(owning: left), greeting: EdgeGreeting(role: .queue, generation: 0), expecting: .parent,
            handle: { message, _, descriptor in
                switch message {
                case .file(_, let name):
                    guard let descriptor else { return Check.fail("no descriptor with \(name)") }
                    let content = String(decoding: System.read(descriptor.number, 64), as: UTF8.self)
                    Check.equal(content, name, "content of the descriptor")
                    heard.append(name)
                case .alive(let number):
                    Check.that(descriptor == nil, "no descriptor with a plain frame")
                    heard.append("\(number)")
                default:
                    Check.fail("\(message)")
                }
            }, ended: { Check.fail("ended: \($0)") })
        let parent: Peer<ChildToParent, ParentToChild> = Peer(
            FileDescriptor(owning: right), greeting: EdgeGreeting(role: .parent, generation: 0), expecting: .queue,
            handle: { _, _, _ in }, ended: { Check.fail("ended: \($0)") })
        for index in 0..<100 {
            if index % 7 == 0 || index % 11 < 2 {
                var ends: (Int32, Int32) = (-1, -1)
                try FileDescriptor.pipe().split { ends = ($0.release(), $1.release()) }
                System.write(ends.1, Array("\(index)".utf8))
                close(ends.1)
                parent.send(.file(.table, name: "\(index)"), passing: FileDescriptor(owning: ends.0))
            } else {
                parent.send(.alive(UInt64(index)))
            }
            if index % 25 == 24 { await Loop.pause(milliseconds: 1) }
        }
        await eventually("all heard") { heard.count == 100 }
        Check.equal(heard, (0..<100).map { "\($0)" }, "in order")
        child.close()
        parent.close()
        Check.equal(System.descriptors, before, "descriptors")
    }

    static func huge() async throws {
        let (left, right) = try System.pair()
        let content = (0..<(1 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 8) }
        var heard = 0
        let queue: Peer<ListenerToQueue, QueueToListener> = Peer(
            FileDescriptor(owning: left), greeting: EdgeGreeting(role: .queue, generation: 0), expecting: .listener,
            handle: { message, _, _ in
                Check.that(message == .content(MessageID(1), content), "the content is as it was sent")
                heard += 1
            }, ended: { Check.fail("ended: \($0)") })
        let listener: Peer<QueueToListener, ListenerToQueue> = Peer(
            FileDescriptor(owning: right), greeting: EdgeGreeting(role: .listener, generation: 0), expecting: .queue,
            handle: { _, _, _ in }, ended: { Check.fail("ended: \($0)") })
        var drained = 0
        listener.drained = { drained += 1 }
        for _ in 0..<3 { listener.send(.content(MessageID(1), content)) }
        await eventually("all heard") { heard == 3 }
        await eventually("drained") { drained > 0 && listener.unsent == 0 }
        queue.close()
        listener.close()
    }

    /// A peer that never quite catches up costs no memory for what it has read.
    static func alwaysBehind() async throws {
        let (left, right) = try System.pair()
        let sender: Peer<QueueToListener, ListenerToQueue> = Peer(
            FileDescriptor(owning: left), greeting: EdgeGreeting(role: .listener, generation: 1), expecting: .queue,
            handle: { _, _, _ in }, ended: { Check.fail("ended: \($0)") })
        let chunk = [UInt8](repeating: 1, count: 64 * 1024)
        while sender.unsent < 128 * 1024 {
            sender.send(.content(MessageID(1), chunk))
            sender.flushNow()
        }
        let before = System.residentMemory
        for _ in 0..<1500 {
            sender.send(.content(MessageID(1), chunk))
            var left = chunk.count
            while left > 0 {
                left -= System.read(right, left).count
                sender.flushNow()
            }
        }
        let grown = System.residentMemory - before
        Check.that(grown < 12 << 20, "memory grew by \(grown)")
        sender.close()
        close(right)
    }

    static func closing() async throws {
        let before = System.descriptors
        var ended: [PeerEnd] = []
        let ends = try Ends(
            heard: { _, _ in }, answererEnded: { ended.append($0) },
            askerEnded: { _ in
                Check.fail("who closes is not told of it")
            })
        let request = Task { try await ends.asker.request(question(1)) }
        let stream = Task { try await ends.asker.requestStream(question(2)) { _ in .last } }
        await Loop.pause(milliseconds: 10)
        ends.asker.close()
        ends.asker.close()
        Check.equal(await failure(of: request), .gone, "the request")
        Check.equal(await failure(of: stream), .gone, "the stream")
        do {
            _ = try await ends.asker.request(question(3))
            Check.fail("asked a closed edge")
        } catch {
            Check.equal(error, .gone, "a request after the close")
        }
        await eventually("the other side hears") { ended == [.ended] }
        ends.answerer.send(.name(.absent))
        Check.equal(System.descriptors, before, "descriptors")
    }

    static func gone() async throws {
        var ended: [PeerEnd] = []
        let ends = try Ends(heard: { _, _ in }, askerEnded: { ended.append($0) })
        let request = Task { try await ends.asker.request(question(1)) }
        await Loop.pause(milliseconds: 10)
        ends.answerer.close()
        Check.equal(await failure(of: request), .gone, "the request")
        Check.equal(ended, [.ended], "told once")
        Check.that(!ends.asker.isOpen, "closed")
    }

    private static func failure<Value>(of task: Task<Value, any Error>) async -> PeerError? {
        switch await task.result {
        case .success: nil
        case .failure(let error): error as? PeerError
        }
    }
}
