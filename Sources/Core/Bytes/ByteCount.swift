// SPDX-License-Identifier: ISC

/// A number of bytes, so that it is never mistaken for a number of things.
public struct ByteCount: Hashable, Comparable, Sendable {
    public var value: Int

    public init(_ value: Int) { self.value = value }

    public static func kibibytes(_ count: Int) -> ByteCount { ByteCount(count << 10) }
    public static func mebibytes(_ count: Int) -> ByteCount { ByteCount(count << 20) }

    public static func < (left: ByteCount, right: ByteCount) -> Bool { left.value < right.value }
}
