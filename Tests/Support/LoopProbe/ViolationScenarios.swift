// SPDX-License-Identifier: ISC

import Channel
import Glibc
import IPC
import Posix
import Reactor

/// What may not be said over an edge closes it, and nothing else.
enum ViolationScenarios {
    private typealias ChildEnd = Peer<ParentToChild, ChildToParent>

    private static func frame(_ message: some EdgeMessage) -> [UInt8] {
        var bytes: [UInt8] = []
        Frame.append(message, correlation: 0, to: &bytes)
        return bytes
    }

    private static let greeting = frame(EdgeGreeting(role: .parent, generation: 0))

    private struct Story {
        let name: String
        let bytes: [UInt8]
        let end: PeerEnd
        var passesDescriptor = false
    }

    private static let stories: [Story] = [
        Story(
            name: "another role", bytes: frame(EdgeGreeting(role: .queue, generation: 0)),
            end: .violated("valueOutOfRange")),
        Story(
            name: "another version", bytes: frame(EdgeGreeting(role: .parent, generation: 0, version: 9)),
            end: .violated("wrongVersion(9)")),
        Story(name: "no greeting", bytes: frame(ParentToChild.begin), end: .violated("unknownTag(8)")),
        Story(name: "two greetings", bytes: greeting + greeting, end: .violated("unknownTag(255)")),
        Story(
            name: "garbage", bytes: greeting + [UInt8](repeating: 0xA5, count: 64),
            end: .violated("frameTooLong(\(0xA5A5_A5A5 as Int))")),
        Story(
            name: "a huge length", bytes: greeting + [UInt8](repeating: 0xFF, count: 13),
            end: .violated("frameTooLong(4294967295)")),
        Story(name: "no length", bytes: greeting + [UInt8](repeating: 0, count: 13), end: .violated("truncated")),
        Story(
            name: "a descriptor missing", bytes: greeting + frame(ParentToChild.root),
            end: .violated("descriptorMissing")),
        Story(
            name: "a descriptor too many", bytes: greeting + frame(ParentToChild.begin),
            end: .violated("descriptorUnexpected"), passesDescriptor: true),
        Story(
            name: "trailing bytes",
            bytes: greeting + [11, 0, 0, 0, 8] + [UInt8](repeating: 0, count: 8) + [1, 2],
            end: .violated("trailingBytes(2)")),
        Story(name: "the end in a frame", bytes: greeting + [20, 0, 0], end: .ended),
    ]

    static func each() async throws {
        for story in stories {
            let before = System.descriptors
            let memory = System.residentMemory
            let (left, right) = try System.pair()
            var ended: [PeerEnd] = []
            let child: ChildEnd = Peer(
                FileDescriptor(owning: left), greeting: EdgeGreeting(role: .queue, generation: 0), expecting: .parent,
                handle: { message, _, _ in
                    if message != .begin { Check.fail("\(story.name): heard \(message)") }
                },
                ended: { ended.append($0) })
            send(story.bytes, on: right, passing: story.passesDescriptor ? dup(1) : -1)
            if story.end == .ended { close(right) }
            await eventually("\(story.name): the end") { !ended.isEmpty }
            Check.equal(ended, [story.end], story.name)
            Check.that(!child.isOpen, "\(story.name): closed")
            if story.end != .ended { close(right) }
            Check.equal(System.descriptors, before, "\(story.name): descriptors")
            Check.that(System.residentMemory - memory < 4 << 20, "\(story.name): memory")
        }
    }

    private static func send(_ bytes: [UInt8], on number: Int32, passing passed: Int32) {
        bytes.withUnsafeBytes { buffer in
            if case .success(bytes.count) = FileDescriptor.send(buffer, on: number, passing: passed) { return }
            Check.fail("not sent")
        }
        if passed >= 0 { close(passed) }
    }

    static func onlyThatEdge() async throws {
        let (left, right) = try System.pair()
        var isEnded = false
        let bad: ChildEnd = Peer(
            FileDescriptor(owning: left), greeting: EdgeGreeting(role: .queue, generation: 0), expecting: .parent,
            handle: { _, _, _ in }, ended: { _ in isEnded = true })
        var answerer: Answerer?
        let ends = try Ends(heard: { answerer?.answer($1, answer(number($0))) })
        answerer = ends.answerer
        System.write(right, [UInt8](repeating: 0xFF, count: 4096))
        await eventually("the bad edge ends") { isEnded }
        Check.that(!bad.isOpen, "closed")
        Check.equal(try await ends.asker.request(question(5)), answer(5), "the other edge")
        close(right)
        answerer = nil
        ends.asker.close()
        ends.answerer.close()
    }

    /// However the stream is cut, the frames are the same.
    static func oneByteAtATime() async throws {
        let (left, right) = try System.pair()
        var heard: [ParentToChild] = []
        let child: ChildEnd = Peer(
            FileDescriptor(owning: left), greeting: EdgeGreeting(role: .queue, generation: 0), expecting: .parent,
            handle: { message, _, _ in heard.append(message) }, ended: { Check.fail("ended: \($0)") })
        let messages: [ParentToChild] = [
            .alive(1), .begin, .reload(generation: 1, configuration: "listen on lo\n"), .alive(2),
        ]
        for byte in greeting + messages.flatMap({ frame($0) }) {
            System.write(right, [byte])
            await Loop.pause(milliseconds: 0)
        }
        await eventually("all heard") { heard == messages }
        child.close()
        close(right)
    }
}
