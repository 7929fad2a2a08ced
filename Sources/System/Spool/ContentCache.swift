// SPDX-License-Identifier: ISC

/// Contents of messages committed lately, so that most mail is delivered without being read back from the disk.
///
/// The oldest goes first when there is no room; a content larger than an eighth of the cache is not kept.
struct ContentCache {
    private let limit: Int
    private(set) var size = 0
    private var contents: [UInt64: [SpoolPiece]] = [:]
    /// In the order of arrival; one that is gone from `contents` is skipped.
    private var order: [UInt64] = []
    private var first = 0

    init(limit: Int) { self.limit = limit }

    subscript(number: UInt64) -> [SpoolPiece]? { contents[number] }

    mutating func insert(_ pieces: [SpoolPiece], for number: UInt64) {
        let count = ContentCache.size(of: pieces)
        guard count <= limit / 8 else { return }
        while size + count > limit, first < order.count {
            remove(order[first])
            first += 1
        }
        contents[number] = pieces
        order.append(number)
        size += count
        // Those that died are taken out of the order when they are most of it.
        if order.count > 64, order.count - first > 2 * contents.count || first > order.count / 2 {
            order = order[first...].filter { contents[$0] != nil }
            first = 0
        }
    }

    mutating func remove(_ number: UInt64) {
        guard let pieces = contents.removeValue(forKey: number) else { return }
        size -= ContentCache.size(of: pieces)
    }

    private static func size(of pieces: [SpoolPiece]) -> Int {
        var size = 128
        for piece in pieces { if case .bytes(let bytes) = piece { size += bytes.count } }
        return size
    }
}
