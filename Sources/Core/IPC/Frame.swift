// SPDX-License-Identifier: ISC

import Bytes

/// One message of an edge on the wire, and the reading of it.
///
///     frame: length:4 tag:1 correlation:8 payload:(length - 9)
///
/// The top bit of the correlation marks a reply to the request of that number; 0 is a message that expects none.
public enum Frame {
    public static let version: UInt16 = 1
    /// Of the largest frame, header included. Content travels in pieces well below it; a configuration must fit.
    public static let longest = 8 << 20
    public static let headerLength = 13
    public static let replyBit: UInt64 = 1 << 63

    /// Appends `message` as one frame.
    public static func append(_ message: some EdgeMessage, correlation: UInt64, to output: inout [UInt8]) {
        let start = output.count
        UInt32(0).encode(to: &output)
        output.append(message.tag)
        correlation.encode(to: &output)
        message.writePayload(to: &output)
        let length = UInt32(output.count - start - 4)
        for offset in 0..<4 { output[start + offset] = UInt8(truncatingIfNeeded: length >> UInt32(offset * 8)) }
    }

    public struct Header: Hashable, Sendable {
        public let tag: UInt8
        public let correlation: UInt64
        /// Of the payload, as offsets into the buffer that was read.
        public let payload: Range<Int>
    }

    /// The header of the frame that begins at `offset` of what `buffer` holds up to `end`; nil while it is incomplete.
    public static func header(in buffer: [UInt8], at offset: Int, end: Int) throws(WireError) -> Header? {
        guard end - offset >= 4 else { return nil }
        var reader = WireReader(buffer, offset..<end)
        let length = Int(try reader.integer(UInt32.self))
        guard length >= headerLength - 4 else { throw .truncated }
        guard length <= longest - 4 else { throw .frameTooLong(length) }
        guard reader.remaining >= length else { return nil }
        let tag: UInt8 = try reader.integer()
        let correlation: UInt64 = try reader.integer()
        return Header(tag: tag, correlation: correlation, payload: (offset + headerLength)..<(offset + 4 + length))
    }
}

/// The messages of one direction of one edge: everything that its receiver can be told.
///
/// Tags are explicit and never used again for something else; 255 is the greeting that begins every edge.
public protocol EdgeMessage: Sendable {
    var tag: UInt8 { get }
    /// True when a descriptor travels with the message, which it then must.
    var carriesDescriptor: Bool { get }
    func writePayload(to output: inout [UInt8])
    init(tag: UInt8, from reader: inout WireReader) throws(WireError)
}

extension EdgeMessage {
    public var carriesDescriptor: Bool { false }

    /// The message of a whole frame; bytes left over are an error.
    public init(decoding header: Frame.Header, in buffer: [UInt8]) throws(WireError) {
        var reader = WireReader(buffer, header.payload)
        try self.init(tag: header.tag, from: &reader)
        try reader.finish()
    }
}

/// The first frame in each direction of every edge.
public struct EdgeGreeting: Hashable, Sendable {
    public static let tag: UInt8 = 255
    public var version: UInt16
    public var role: Role
    public var generation: UInt32

    public init(role: Role, generation: UInt32, version: UInt16 = Frame.version) {
        self.version = version
        self.role = role
        self.generation = generation
    }
}

extension EdgeGreeting: EdgeMessage {
    public var tag: UInt8 { Self.tag }

    public func writePayload(to output: inout [UInt8]) {
        version.encode(to: &output)
        role.encode(to: &output)
        generation.encode(to: &output)
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard tag == Self.tag else { throw .unknownTag(tag) }
        version = try reader.value()
        guard version == Frame.version else { throw .wrongVersion(version) }
        role = try reader.value()
        generation = try reader.value()
    }
}
