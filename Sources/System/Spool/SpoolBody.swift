// SPDX-License-Identifier: ISC

public import Bytes

/// A large body on its way into a file of its own. Dropped without a commit, its file goes too.
public final class SpoolBody {
    /// Content up to here belongs into the commit itself, which costs no file and no sync of its own.
    public static let largestInline = ByteCount.kibibytes(256)

    /// Names the file; never used again.
    let number: UInt64
    /// Bytes appended so far.
    public private(set) var size: UInt64 = 0
    private var isOpen = true
    private let store: any BodyStore

    init(number: UInt64, store: any BodyStore) {
        self.number = number
        self.store = store
    }

    deinit { if isOpen { store.discardBody(number) } }

    /// Adds to the end. `completion` hears when the bytes have left our memory: append more only then.
    public func append(_ bytes: [UInt8], completion: ((Result<Void, SpoolError>) -> Void)? = nil) {
        guard isOpen else {
            completion?(.failure(.closed))
            return
        }
        size += UInt64(bytes.count)
        store.appendBody(number, bytes, completion: completion)
    }

    public func discard() {
        guard isOpen else { return }
        isOpen = false
        store.discardBody(number)
    }

    /// The commit takes the file over; nil when it was used or discarded before.
    func take() -> UInt64? {
        guard isOpen else { return nil }
        isOpen = false
        return number
    }
}

/// Where bodies are written to.
protocol BodyStore: AnyObject {
    func appendBody(
        _ number: UInt64, _ bytes: [UInt8], completion: ((Result<Void, SpoolError>) -> Void)?)
    func discardBody(_ number: UInt64)
}
