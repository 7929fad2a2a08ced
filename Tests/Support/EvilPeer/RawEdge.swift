// SPDX-License-Identifier: ISC

import Channel
import IPC
import Mail
import Posix
import Reactor

/// An edge on which anything can be said, frame or not.
final class RawEdge {
    private static let mostPauses = 100
    // A loaded host takes its time with a frame of megabytes; half of one is no claim.
    private static let mostPausesOfSending = 4_000

    let grant: PeerGrant
    private let descriptor: FileDescriptor
    private let role: Role
    private var input: [UInt8] = []
    private(set) var isOpen = true

    init(_ grant: PeerGrant, _ descriptor: consuming FileDescriptor, as role: Role) {
        self.grant = grant
        self.descriptor = descriptor
        self.role = role
    }

    /// The greeting that is due, or one that is not.
    func greet(as other: Role? = nil, version: UInt16 = Frame.version) async {
        await send(frame(EdgeGreeting(role: other ?? role, generation: 0, version: version)))
    }

    func frame(_ message: some EdgeMessage, correlation: UInt64 = 0) -> [UInt8] {
        var bytes: [UInt8] = []
        Frame.append(message, correlation: correlation, to: &bytes)
        return bytes
    }

    func say(_ message: some EdgeMessage, correlation: UInt64 = 0) async {
        await send(frame(message, correlation: correlation))
    }

    /// Sends until the other side has taken nothing for 20 seconds.
    func send(_ bytes: [UInt8], passing passed: Int32 = -1) async {
        var start = 0
        var pauses = 0
        var passed = passed
        while isOpen, start < bytes.count, pauses < Self.mostPausesOfSending {
            let result = bytes.withUnsafeBytes {
                FileDescriptor.send(
                    UnsafeRawBufferPointer(rebasing: $0[start...]), on: descriptor.number, passing: passed)
            }
            switch result {
            case .success(0):
                pauses += 1
                await Loop.pause(milliseconds: 5)
            case .success(let count):
                start += count
                passed = -1
                pauses = 0
            case .failure:
                isOpen = false
            }
        }
    }

    /// The messages that have come since the last call, with their correlations.
    func heard<Message: EdgeMessage>(_: Message.Type) -> [(Message, UInt64)] {
        var buffer = [UInt8](repeating: 0, count: 256 * 1024)
        while isOpen {
            let result = buffer.withUnsafeMutableBytes { FileDescriptor.receive($0, on: descriptor.number) }
            guard case .success(let receipt?) = result, receipt.count > 0 else {
                if case .success(nil) = result { break }
                isOpen = false
                break
            }
            for number in receipt.descriptors { _ = FileDescriptor(owning: number) }
            input += buffer[..<receipt.count]
        }
        var messages: [(Message, UInt64)] = []
        var offset = 0
        while let header = (try? Frame.header(in: input, at: offset, end: input.count)) ?? nil {
            offset = header.payload.upperBound
            guard let message = try? Message(decoding: header, in: input) else { continue }
            messages.append((message, header.correlation))
        }
        input.removeFirst(offset)
        return messages
    }

    /// The same, waiting up to half a second for the first.
    func await<Message: EdgeMessage>(_ type: Message.Type) async -> [(Message, UInt64)] {
        for _ in 0..<Self.mostPauses {
            let messages = heard(type)
            if !messages.isEmpty || !isOpen { return messages }
            await Loop.pause(milliseconds: 5)
        }
        return []
    }
}
