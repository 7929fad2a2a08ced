// SPDX-License-Identifier: ISC

import Bytes

/// What can be wrong with a frame. The edge on which it came is closed.
public enum WireError: Error, Hashable, Sendable {
    case truncated
    case trailingBytes(Int)
    case unknownTag(UInt8)
    case frameTooLong(Int)
    case valueOutOfRange
    case descriptorMissing
    case descriptorUnexpected
    case wrongVersion(UInt16)
}

/// A value that has a place in a frame: integers little-endian, texts and lists length-prefixed, an optional as a byte 0 or 1.
public protocol WireValue {
    func encode(to output: inout [UInt8])
    init(from reader: inout WireReader) throws(WireError)
}

/// Reads the payload of one frame; every length is checked before anything is allocated for it.
public struct WireReader {
    private let bytes: [UInt8]
    private var position: Int
    private let end: Int

    /// Reads `bytes[range]`.
    public init(_ bytes: [UInt8], _ range: Range<Int>) {
        self.bytes = bytes
        position = range.lowerBound
        end = range.upperBound
    }

    public var remaining: Int { end - position }

    public mutating func integer<Value: FixedWidthInteger>(_: Value.Type = Value.self) throws(WireError) -> Value {
        let width = Value.bitWidth / 8
        guard remaining >= width else { throw .truncated }
        var value: Value = 0
        for offset in 0..<width { value |= Value(truncatingIfNeeded: bytes[position + offset]) << Value(offset * 8) }
        position += width
        return value
    }

    public mutating func bytes(_ count: Int) throws(WireError) -> ArraySlice<UInt8> {
        guard count >= 0, remaining >= count else { throw .truncated }
        defer { position += count }
        return bytes[position..<position + count]
    }

    /// The number of elements that follow, each of at least `size` bytes.
    public mutating func count(ofAtLeast size: Int) throws(WireError) -> Int {
        let count = Int(try integer(UInt32.self))
        guard count <= remaining / max(1, size) else { throw .truncated }
        return count
    }

    public mutating func value<Value: WireValue>(_: Value.Type = Value.self) throws(WireError) -> Value {
        try Value(from: &self)
    }

    public func finish() throws(WireError) {
        guard remaining == 0 else { throw .trailingBytes(remaining) }
    }
}

extension WireValue where Self: FixedWidthInteger {
    public func encode(to output: inout [UInt8]) {
        for offset in 0..<(Self.bitWidth / 8) { output.append(UInt8(truncatingIfNeeded: self >> Self(offset * 8))) }
    }

    public init(from reader: inout WireReader) throws(WireError) { self = try reader.integer() }
}

extension UInt8: WireValue {}
extension UInt16: WireValue {}
extension UInt32: WireValue {}
extension UInt64: WireValue {}
extension Int64: WireValue {}

extension Bool: WireValue {
    public func encode(to output: inout [UInt8]) { output.append(self ? 1 : 0) }

    public init(from reader: inout WireReader) throws(WireError) {
        switch try reader.integer(UInt8.self) {
        case 0: self = false
        case 1: self = true
        default: throw .valueOutOfRange
        }
    }
}

extension String: WireValue {
    public func encode(to output: inout [UInt8]) {
        UInt32(utf8.count).encode(to: &output)
        output.append(contentsOf: utf8)
    }

    public init(from reader: inout WireReader) throws(WireError) {
        let count = try reader.count(ofAtLeast: 1)
        let bytes = try reader.bytes(count)
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .valueOutOfRange }
        self = text
    }
}

extension Array: WireValue where Element: WireValue {
    public func encode(to output: inout [UInt8]) {
        UInt32(count).encode(to: &output)
        if let bytes = self as? [UInt8] {
            output.append(contentsOf: bytes)
        } else {
            for element in self { element.encode(to: &output) }
        }
    }

    public init(from reader: inout WireReader) throws(WireError) {
        let count = try reader.count(ofAtLeast: 1)
        if Element.self == UInt8.self, let bytes = Array<UInt8>(try reader.bytes(count)) as? [Element] {
            self = bytes
            return
        }
        var elements: [Element] = []
        elements.reserveCapacity(Swift.min(count, 64))
        for _ in 0..<count { elements.append(try reader.value()) }
        self = elements
    }
}

extension Optional: WireValue where Wrapped: WireValue {
    public func encode(to output: inout [UInt8]) {
        (self != nil).encode(to: &output)
        self?.encode(to: &output)
    }

    public init(from reader: inout WireReader) throws(WireError) {
        self = try reader.value(Bool.self) ? .some(try reader.value()) : .none
    }
}

extension RawRepresentable where RawValue: WireValue, Self: WireValue {
    public func encode(to output: inout [UInt8]) { rawValue.encode(to: &output) }

    public init(from reader: inout WireReader) throws(WireError) {
        guard let value = Self(rawValue: try reader.value()) else { throw .valueOutOfRange }
        self = value
    }
}
