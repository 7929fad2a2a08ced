// SPDX-License-Identifier: ISC

/// From 64-bit keys to slots, in ascending order: two levels of sorted arrays, so that growing moves only a page.
struct OrderedIndex {
    private struct Page {
        var keys: [UInt64] = []
        var slots: [UInt32] = []
    }

    private var pages: [Page] = []
    /// The least key of each page.
    private var firsts: [UInt64] = []
    private(set) var count = 0

    private static let pageSize = 512
    private static let smallPage = 64

    subscript(key: UInt64) -> UInt32? {
        guard let page = pageIndex(of: key) else { return nil }
        let index = Self.lowerBound(pages[page].keys, key)
        guard index < pages[page].keys.count, pages[page].keys[index] == key else { return nil }
        return pages[page].slots[index]
    }

    /// False when the key is there already; nothing changes then.
    mutating func insert(_ key: UInt64, _ slot: UInt32) -> Bool {
        if pages.isEmpty {
            pages.append(Page())
            firsts.append(key)
        }
        var page = pageIndex(of: key) ?? 0
        var index = Self.lowerBound(pages[page].keys, key)
        if index < pages[page].keys.count, pages[page].keys[index] == key { return false }
        if pages[page].keys.count >= Self.pageSize {
            // Ascending keys, as in recovery, leave full pages behind.
            let isAtEnd = page == pages.count - 1 && index == pages[page].keys.count
            split(page, at: isAtEnd ? index : Self.pageSize / 2)
            let kept = pages[page].keys.count
            if index >= kept, isAtEnd || index > kept {
                page += 1
                index -= kept
            }
        }
        pages[page].keys.insert(key, at: index)
        pages[page].slots.insert(slot, at: index)
        if index == 0 { firsts[page] = key }
        count += 1
        return true
    }

    mutating func remove(_ key: UInt64) {
        guard let page = pageIndex(of: key) else { return }
        let index = Self.lowerBound(pages[page].keys, key)
        guard index < pages[page].keys.count, pages[page].keys[index] == key else { return }
        pages[page].keys.remove(at: index)
        pages[page].slots.remove(at: index)
        count -= 1
        guard let first = pages[page].keys.first else {
            pages.remove(at: page)
            firsts.remove(at: page)
            return
        }
        firsts[page] = first
        if pages[page].keys.count < Self.smallPage { merge(page) }
    }

    /// Calls `visit` with keys and slots from `start` upwards until it returns false.
    func visit(from start: UInt64, _ visit: (UInt64, UInt32) -> Bool) {
        guard !pages.isEmpty else { return }
        var page = pageIndex(of: start) ?? 0
        var index = Self.lowerBound(pages[page].keys, start)
        while page < pages.count {
            while index < pages[page].keys.count {
                guard visit(pages[page].keys[index], pages[page].slots[index]) else { return }
                index += 1
            }
            page += 1
            index = 0
        }
    }

    /// The page that holds the key if any does; nil when the key is below all.
    private func pageIndex(of key: UInt64) -> Int? {
        var low = 0
        var high = firsts.count
        while low < high {
            let middle = (low + high) / 2
            if firsts[middle] <= key { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? nil : low - 1
    }

    private static func lowerBound(_ keys: [UInt64], _ key: UInt64) -> Int {
        var low = 0
        var high = keys.count
        while low < high {
            let middle = (low + high) / 2
            if keys[middle] < key { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private mutating func split(_ page: Int, at index: Int) {
        var upper = Page()
        upper.keys = Array(pages[page].keys[index...])
        upper.slots = Array(pages[page].slots[index...])
        pages[page].keys.removeSubrange(index...)
        pages[page].slots.removeSubrange(index...)
        // The page at the end is empty until its first key comes, which the caller inserts at once.
        firsts.insert(upper.keys.first ?? .max, at: page + 1)
        pages.insert(upper, at: page + 1)
    }

    private mutating func merge(_ page: Int) {
        let left = page > 0 ? page - 1 : page
        guard left + 1 < pages.count else { return }
        let total = pages[left].keys.count + pages[left + 1].keys.count
        guard total <= Self.pageSize / 2 else { return }
        let upper = pages.remove(at: left + 1)
        firsts.remove(at: left + 1)
        pages[left].keys.append(contentsOf: upper.keys)
        pages[left].slots.append(contentsOf: upper.slots)
    }
}
