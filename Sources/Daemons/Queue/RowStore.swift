// SPDX-License-Identifier: ISC

/// Rows of bytes by a number, one behind the other in pages: of a million small rows none has a place on the heap of its
/// own, and a page most of which is dead gives its rows to the last one.
///
///     page: rows; row: number:4 count:2 bytes
struct RowStore {
    private struct Place: Equatable {
        var page: UInt32
        /// Of the bytes, behind number and count.
        var offset: UInt32
    }

    private struct Page {
        var bytes: [UInt8] = []
        var live = 0
    }

    private var places: [UInt32: Place] = [:]
    private var pages: [Page] = []
    private var freePages: [Int] = []
    /// The page that is being filled.
    private var last: Int?
    /// Of the rows that are there, without what they cost beside.
    private(set) var liveBytes = 0

    static let pageSize = 64 << 10
    static let longestRow = Int(UInt16.max)
    private static let headSize = 6

    var count: Int { places.count }
    /// Those in use.
    var pageCount: Int { pages.count - freePages.count }
    /// In no order.
    var numbers: some Sequence<UInt32> { places.keys }

    func contains(_ number: UInt32) -> Bool { places[number] != nil }

    /// A copy: rows are short.
    subscript(number: UInt32) -> [UInt8]? {
        guard let place = places[number] else { return nil }
        let start = Int(place.offset)
        let bytes = pages[Int(place.page)].bytes
        return Array(bytes[start..<start + Int(bytes.integer(UInt16.self, at: start - 2))])
    }

    /// Puts a row in the place of the one that is there.
    mutating func set(_ number: UInt32, _ row: [UInt8]) {
        precondition(row.count <= Self.longestRow, "a row that is longer than its bound")
        remove(number)
        append(number, row[...])
    }

    /// Writes into a row that is there.
    mutating func write<Value: FixedWidthInteger>(_ value: Value, _ number: UInt32, at offset: Int) {
        guard let place = places[number] else { return }
        pages[Int(place.page)].bytes.set(value, at: Int(place.offset) + offset)
    }

    mutating func remove(_ number: UInt32) {
        guard let place = places.removeValue(forKey: number) else { return }
        let page = Int(place.page)
        let count = Int(pages[page].bytes.integer(UInt16.self, at: Int(place.offset) - 2))
        pages[page].live -= count
        liveBytes -= count
        if page != last, pages[page].live < Self.pageSize / 4 { empty(page) }
        if places.isEmpty { self = RowStore() }
    }

    private mutating func append(_ number: UInt32, _ row: ArraySlice<UInt8>) {
        let page = pageWithRoom(for: row.count + Self.headSize)
        pages[page].bytes.append(integer: number)
        pages[page].bytes.append(integer: UInt16(row.count))
        places[number] = Place(page: UInt32(page), offset: UInt32(pages[page].bytes.count))
        pages[page].bytes += row
        pages[page].live += row.count
        liveBytes += row.count
    }

    private mutating func pageWithRoom(for count: Int) -> Int {
        if let last, pages[last].bytes.count + count <= max(Self.pageSize, count) { return last }
        let page = freePages.popLast() ?? pages.count
        if page == pages.count { pages.append(Page()) }
        pages[page].bytes.reserveCapacity(max(Self.pageSize, count))
        let full = last
        last = page
        // While it was the last one, nobody looked at how much of it was dead.
        guard let full, pages[full].live < Self.pageSize / 4 else { return page }
        empty(full)
        return pageWithRoom(for: count)
    }

    /// Gives the rows that live to the last page.
    private mutating func empty(_ page: Int) {
        let bytes = pages[page].bytes
        pages[page] = Page()
        // Used again only when all of it was looked through.
        defer { freePages.append(page) }
        var offset = 0
        while offset < bytes.count {
            let number: UInt32 = bytes.integer(at: offset)
            let start = offset + Self.headSize
            let end = start + Int(bytes.integer(UInt16.self, at: offset + 4))
            if places[number] == Place(page: UInt32(page), offset: UInt32(start)) {
                liveBytes -= end - start
                append(number, bytes[start..<end])
            }
            offset = end
        }
    }
}
