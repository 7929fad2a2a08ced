// SPDX-License-Identifier: ISC

/// Live messages in the order of their numbers, in pages: growing moves one page at most, and no place is empty for long.
///
/// Numbers only grow, so pages fill one after the other; those that recovery finds later stand before them, and come in
/// their order.
struct LiveTable: Sequence {
    fileprivate struct Row {
        var number: UInt64
        /// nil where the message is gone.
        var live: DiskSpool.Live?
    }

    fileprivate struct Page {
        var first: UInt64
        var rows: [Row] = []
        var count = 0

        init(first: UInt64) {
            self.first = first
            rows.reserveCapacity(LiveTable.pageSize)
        }
    }

    private var pages: [Page] = []
    private(set) var count = 0

    private static let pageSize = 512

    var pageCount: Int { pages.count }

    subscript(number: UInt64) -> DiskSpool.Live? {
        get {
            guard let (page, row) = place(of: number) else { return nil }
            return pages[page].rows[row].live
        }
        // In place: a message to thousands has a table of outcomes that must not be copied for each of them.
        _modify {
            if let (page, row) = place(of: number) {
                yield &pages[page].rows[row].live
                if pages[page].rows[row].live == nil { forget(page) }
            } else {
                var live: DiskSpool.Live?
                yield &live
                if let live { insert(Row(number: number, live: live)) }
            }
        }
    }

    private func place(of number: UInt64) -> (page: Int, row: Int)? {
        guard let page = page(of: number) else { return nil }
        let row = row(of: number, in: page)
        let rows = pages[page].rows
        guard row < rows.count, rows[row].number == number, rows[row].live != nil else { return nil }
        return (page, row)
    }

    /// The last page that begins at or before a number.
    private func page(of number: UInt64) -> Int? {
        var low = 0
        var high = pages.count
        while low < high {
            let middle = (low + high) / 2
            if pages[middle].first <= number { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? nil : low - 1
    }

    /// Where a number stands in a page, or would.
    private func row(of number: UInt64, in page: Int) -> Int {
        var low = 0
        var high = pages[page].rows.count
        while low < high {
            let middle = (low + high) / 2
            if pages[page].rows[middle].number < number { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private mutating func insert(_ row: Row) {
        count += 1
        var page = page(of: row.number) ?? 0
        if pages.isEmpty { pages.append(Page(first: row.number)) }
        var index = self.row(of: row.number, in: page)
        if index < pages[page].rows.count, pages[page].rows[index].number == row.number {
            pages[page].rows[index].live = row.live
            pages[page].count += 1
            return
        }
        if pages[page].rows.count == Self.pageSize {
            split(page, at: index)
            if index == Self.pageSize || index > pages[page].rows.count {
                index -= pages[page].rows.count
                page += 1
            }
        }
        pages[page].rows.insert(row, at: index)
        pages[page].first = pages[page].rows[0].number
        pages[page].count += 1
    }

    // Ascending numbers leave full pages behind.
    private mutating func split(_ page: Int, at index: Int) {
        let cut = index == Self.pageSize ? index : Self.pageSize / 2
        let moved = pages[page].rows[cut...]
        var next = Page(first: moved.first?.number ?? UInt64.max)
        next.rows += moved
        next.count = moved.count { $0.live != nil }
        pages[page].rows.removeSubrange(cut...)
        pages[page].count -= next.count
        pages.insert(next, at: page + 1)
    }

    private mutating func forget(_ page: Int) {
        count -= 1
        pages[page].count -= 1
        if pages[page].count == 0 {
            pages.remove(at: page)
        } else if pages[page].count < pages[page].rows.count / 2 {
            pages[page].rows.removeAll { $0.live == nil }
            pages[page].first = pages[page].rows[0].number
            join(page)
        }
    }

    /// Puts the rows of a page to those of its neighbour where both are mostly empty.
    private mutating func join(_ page: Int) {
        let other = page > 0 ? page - 1 : page + 1
        guard other < pages.count, pages[page].rows.count + pages[other].rows.count <= Self.pageSize / 2 else { return }
        let (left, right) = other < page ? (other, page) : (page, other)
        pages[left].rows += pages[right].rows
        pages[left].count += pages[right].count
        pages.remove(at: right)
    }

    struct Iterator: IteratorProtocol {
        fileprivate let pages: [Page]
        fileprivate var page = 0
        fileprivate var row = 0

        mutating func next() -> (number: UInt64, live: DiskSpool.Live)? {
            while page < pages.count {
                guard row < pages[page].rows.count else {
                    page += 1
                    row = 0
                    continue
                }
                let found = pages[page].rows[row]
                row += 1
                if let live = found.live { return (found.number, live) }
            }
            return nil
        }
    }

    func makeIterator() -> Iterator { Iterator(pages: pages) }
}
