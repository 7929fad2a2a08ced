// SPDX-License-Identifier: ISC

/// A binary heap, least element first. What is cancelled stays until it comes up or `retain` is called.
struct Heap<Element: Comparable & Sendable>: Sendable {
    private(set) var elements: [Element] = []

    var count: Int { elements.count }
    var top: Element? { elements.first }

    mutating func push(_ element: Element) {
        elements.append(element)
        rise(from: elements.count - 1)
    }

    mutating func pop() -> Element? {
        guard let last = elements.popLast() else { return nil }
        guard let first = elements.first else {
            shrink()
            return last
        }
        elements[0] = last
        sink(from: 0)
        shrink()
        return first
    }

    /// Drops every element that `isLive` denies; linear.
    mutating func retain(where isLive: (Element) -> Bool) {
        elements = elements.filter(isLive)
        var index = elements.count / 2
        while index > 0 {
            index -= 1
            sink(from: index)
        }
    }

    private mutating func rise(from start: Int) {
        let element = elements[start]
        var index = start
        while index > 0 {
            let parent = (index - 1) / 2
            guard element < elements[parent] else { break }
            elements[index] = elements[parent]
            index = parent
        }
        elements[index] = element
    }

    private mutating func sink(from start: Int) {
        let element = elements[start]
        var index = start
        while true {
            var child = index * 2 + 1
            guard child < elements.count else { break }
            if child + 1 < elements.count, elements[child + 1] < elements[child] { child += 1 }
            guard elements[child] < element else { break }
            elements[index] = elements[child]
            index = child
        }
        elements[index] = element
    }

    // A drained backlog gives its memory back.
    private mutating func shrink() {
        guard elements.capacity > 256, elements.count < elements.capacity / 4 else { return }
        var smaller: [Element] = []
        smaller.reserveCapacity(elements.count * 2)
        smaller.append(contentsOf: elements)
        elements = smaller
    }
}
