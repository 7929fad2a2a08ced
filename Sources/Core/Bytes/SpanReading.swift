// SPDX-License-Identifier: ISC

/// Taking from the front of a span: a production takes what it knows and leaves the rest.
extension Span where Element == UInt8 {
    public var first: UInt8? { isEmpty ? nil : self[0] }

    /// Removes the first `count` bytes and returns them.
    @_lifetime(copy self)
    @_lifetime(self: copy self)
    public mutating func take(_ count: Int) -> Span<UInt8> {
        let taken = extracting(first: count)
        self = extracting(droppingFirst: count)
        return taken
    }

    /// Removes the longest prefix whose bytes satisfy `belongs` and returns it.
    @_lifetime(copy self)
    @_lifetime(self: copy self)
    public mutating func take(while belongs: (UInt8) -> Bool) -> Span<UInt8> {
        var count = 0
        while count < self.count, belongs(self[count]) { count += 1 }
        return take(count)
    }

    /// Removes `byte` from the front when it stands there.
    public mutating func take(byte: UInt8) -> Bool {
        guard first == byte else { return false }
        self = extracting(droppingFirst: 1)
        return true
    }

    /// Removes `keyword` from the front, in any case of ASCII letters, when it stands there.
    public mutating func take(keyword: StaticString) -> Bool {
        guard startsCaseInsensitively(with: keyword) else { return false }
        self = extracting(droppingFirst: keyword.utf8CodeUnitCount)
        return true
    }

    public func startsCaseInsensitively(with keyword: StaticString) -> Bool {
        guard count >= keyword.utf8CodeUnitCount else { return false }
        return keyword.withUTF8Buffer { wanted in
            for index in wanted.indices where self[index].lowercased != wanted[index].lowercased { return false }
            return true
        }
    }

    public func equalsCaseInsensitively(_ keyword: StaticString) -> Bool {
        count == keyword.utf8CodeUnitCount && startsCaseInsensitively(with: keyword)
    }

    public func firstIndex(of byte: UInt8) -> Int? {
        for index in indices where self[index] == byte { return index }
        return nil
    }

    /// The span without blanks (SP, HTAB) at either end.
    public var trimmed: Span<UInt8> {
        @_lifetime(copy self)
        get {
            var start = 0
            var end = count
            while start < end, self[start].isBlank { start += 1 }
            while end > start, self[end - 1].isBlank { end -= 1 }
            return extracting(start..<end)
        }
    }

    /// The unsigned decimal number that the whole span spells; nil when it is none or does not fit.
    public var decimal: UInt64? {
        guard !isEmpty else { return nil }
        var value: UInt64 = 0
        for index in indices {
            guard self[index].isDigit else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(self[index] - 0x30))
            if overflow || carry { return nil }
            value = sum
        }
        return value
    }

    /// A copy of the bytes.
    public var array: [UInt8] { withUnsafeBufferPointer { Array($0) } }
}

extension Array where Element == UInt8 {
    public mutating func append(_ span: Span<UInt8>) {
        span.withUnsafeBufferPointer { append(contentsOf: $0) }
    }

    public mutating func append(_ text: String) { append(contentsOf: text.utf8) }

    public mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { append(contentsOf: $0) }
    }
}
