// SPDX-License-Identifier: ISC

import Chance
import Mail
import Testing

@testable import IPC

/// What is asked of the messages of one direction of an edge, whatever they are.
struct EdgeCheck<Message: EdgeMessage & Hashable>: Sendable {
    let samples: [Message]

    func roundTrips() throws {
        for message in samples {
            let frame = encode(message)
            let header = try #require(try Frame.header(in: frame, at: 0, end: frame.count))
            #expect(header.correlation == 77 && header.tag == message.tag)
            #expect(header.payload == Frame.headerLength..<frame.count)
            #expect(try Message(decoding: header, in: frame) == message)
        }
        // A message in the middle of others is read where it stands.
        let all = samples.flatMap(encode)
        var offset = 0
        for message in samples {
            let header = try #require(try Frame.header(in: all, at: offset, end: all.count))
            #expect(try Message(decoding: header, in: all) == message)
            offset = header.payload.upperBound
        }
        #expect(offset == all.count)
    }

    /// A frame that has not come whole is incomplete; one that says it is whole, but is not, is refused.
    func prefixes() throws {
        for message in samples {
            let frame = encode(message)
            for count in 0..<frame.count {
                if try Frame.header(in: frame, at: 0, end: count) != nil { Issue.record("a header of \(count) bytes") }
                guard count >= Frame.headerLength else { continue }
                let header = Frame.Header(tag: message.tag, correlation: 0, payload: Frame.headerLength..<count)
                if let message = try? Message(decoding: header, in: frame) { Issue.record("\(message) from a prefix") }
            }
        }
    }

    func trailingBytes() throws {
        for message in samples {
            let frame = encode(message) + [0, 0]
            let header = Frame.Header(tag: message.tag, correlation: 0, payload: Frame.headerLength..<frame.count)
            #expect(throws: WireError.trailingBytes(2)) { try Message(decoding: header, in: frame) }
        }
    }

    func unknownTags() {
        let known = Set(samples.map(\.tag))
        for tag in UInt8.min...UInt8.max where !known.contains(tag) {
            let header = Frame.Header(tag: tag, correlation: 0, payload: 0..<0)
            #expect(throws: WireError.unknownTag(tag)) { try Message(decoding: header, in: []) }
        }
    }

    /// Random payloads, and good ones with a few bytes changed: refused, or decoded to what encodes to the same.
    func noise(rounds: Int, seed: UInt64) {
        var random = TestRandom(seed: seed)
        let tags = Array(Set(samples.map(\.tag))).sorted() + [0, 255]
        let frames = samples.map { Array(encode($0).dropFirst(Frame.headerLength)) }
        for round in 0..<rounds {
            var payload: [UInt8]
            var tag = tags.randomElement(using: &random) ?? 0
            if round % 10 != 0 || frames.isEmpty {
                payload = random.bytes(upTo: 60)
            } else {
                let chosen = Int.random(in: 0..<frames.count, using: &random)
                payload = frames[chosen]
                tag = samples[chosen].tag
                for _ in 0..<Int.random(in: 1...3, using: &random) where !payload.isEmpty {
                    let place = Int.random(in: 0..<payload.count, using: &random)
                    payload[place] = [0, 1, 0x7F, 0xFF, UInt8.random(in: 0...255, using: &random)][round / 10 % 5]
                }
            }
            let header = Frame.Header(tag: tag, correlation: 0, payload: 0..<payload.count)
            guard let message = try? Message(decoding: header, in: payload) else { continue }
            let again = encode(message)
            let second = Frame.Header(tag: message.tag, correlation: 0, payload: Frame.headerLength..<again.count)
            // Not #expect, which costs far more than what it looks at here.
            if (try? Message(decoding: second, in: again)) != message { Issue.record("\(message) from \(payload)") }
        }
    }

    /// Wherever a length may stand, the largest one is refused at once.
    func hugeLengths() {
        for message in samples {
            let frame = encode(message)
            guard frame.count >= Frame.headerLength + 4 else { continue }
            for place in Frame.headerLength...(frame.count - 4) {
                for length in [[0xFF, 0xFF, 0xFF, 0xFF], [0xFF, 0xFF, 0xFF, 0x7F], [0, 0, 0, 0x10]] as [[UInt8]] {
                    var changed = frame
                    changed.replaceSubrange(place..<place + 4, with: length)
                    let header = Frame.Header(
                        tag: message.tag, correlation: 0, payload: Frame.headerLength..<changed.count)
                    _ = try? Message(decoding: header, in: changed)
                }
            }
        }
    }

    private func encode(_ message: Message) -> [UInt8] {
        var frame: [UInt8] = []
        Frame.append(message, correlation: 77, to: &frame)
        return frame
    }
}

@Suite struct EdgeTests {
    private static let noiseRounds = 50_000

    private func check<Message: EdgeMessage & Hashable>(_ samples: [Message]) throws {
        let check = EdgeCheck(samples: samples)
        try check.roundTrips()
        try check.prefixes()
        try check.trailingBytes()
        check.unknownTags()
        check.hugeLengths()
        check.noise(rounds: Self.noiseRounds, seed: UInt64(samples.count))
    }

    @Test func `the greeting`() throws { try check(Samples.greetings) }
    @Test func `Listener to Lookup`() throws { try check(Samples.listenerToLookup) }
    @Test func `Lookup to Listener`() throws { try check(Samples.lookupToListener) }
    @Test func `Listener to Queue`() throws { try check(Samples.listenerToQueue) }
    @Test func `Queue to Listener`() throws { try check(Samples.queueToListener) }
    @Test func `Lookup to Queue`() throws { try check(Samples.lookupToQueue) }
    @Test func `Queue to Lookup`() throws { try check(Samples.queueToLookup) }
    @Test func `those who ask Resolver`() throws { try check(Samples.toResolver) }
    @Test func `Resolver to those who asked`() throws { try check(Samples.fromResolver) }
    @Test func `Queue to Delivery`() throws { try check(Samples.queueToDelivery) }
    @Test func `Delivery to Queue`() throws { try check(Samples.deliveryToQueue) }
    @Test func `Delivery to the mailbox agent`() throws { try check(Samples.localToMailbox) }
    @Test func `the mailbox agent to Delivery`() throws { try check(Samples.mailboxToLocal) }
    @Test func `Delivery to Lookup`() throws { try check(Samples.relayToLookup) }
    @Test func `Lookup to Delivery`() throws { try check(Samples.lookupToRelay) }
    @Test func `Delivery to Parent`() throws { try check(Samples.localToParent) }
    @Test func `Parent to Delivery`() throws { try check(Samples.parentToLocal) }
    @Test func `lookup to parent`() throws { try check(Samples.lookupToParent) }
    @Test func `parent to lookup`() throws { try check(Samples.parentToLookup) }
    @Test func `those who ask about accounts`() throws { try check(Samples.toAccount) }
    @Test func `answers about accounts`() throws { try check(Samples.fromAccount) }
    @Test func `those who ask Keys`() throws { try check(Samples.toKeys) }
    @Test func `Keys to those who asked`() throws { try check(Samples.fromKeys) }
    @Test func `Parent to a child`() throws { try check(Samples.parentToChild) }
    @Test func `a child to Parent`() throws { try check(Samples.childToParent) }
    @Test func `martletctl to a daemon`() throws { try check(Samples.controlRequests) }
    @Test func `a daemon to martletctl`() throws { try check(Samples.controlAnswers) }

    @Test func `descriptors travel only with messages that declare one`() {
        #expect(Samples.parentToChild.filter { $0.carriesDescriptor }.count == 14)
        #expect(Samples.parentToLocal.map { $0.carriesDescriptor } == [true, true, false, false])
        #expect(
            Samples.queueToDelivery.map { $0.carriesDescriptor } == [false, false, false, false, true, false, false])
        #expect(!Samples.listenerToQueue.contains { $0.carriesDescriptor })
        #expect(!Samples.controlRequests.contains { $0.carriesDescriptor })
    }
}
