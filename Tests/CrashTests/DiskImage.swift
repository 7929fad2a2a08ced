// SPDX-License-Identifier: ISC

/// A file system as a value: what a process sees, or what the disk has.
struct DiskImage {
    static let root = 1

    /// Contents by the number of the file.
    var files: [Int: [UInt8]] = [:]
    /// Names by the number of the directory.
    var directories: [Int: [String: Int]] = [root: [:]]
    private(set) var nextNumber = 2

    mutating func newNumber() -> Int {
        defer { nextNumber += 1 }
        return nextNumber
    }

    /// Numbers that another copy of this image has given are not given again.
    mutating func skip(_ number: Int) { nextNumber = max(nextNumber, number + 1) }

    mutating func write(_ number: Int, _ bytes: ArraySlice<UInt8>, at offset: Int) {
        files[number, default: []].overwrite(bytes, at: offset)
    }

    mutating func resize(_ number: Int, _ size: Int) { files[number, default: []].resize(size) }

    /// Drops the files that no name leads to, as every file system does when it is mounted again. Without it the images of a
    /// long chain of lives become so large that to copy them takes most of the time.
    mutating func forgetNameless() {
        let named = Set(directories.values.flatMap(\.values))
        files = files.filter { named.contains($0.key) }
    }

    /// The number of the file with that name, in whichever directory.
    func file(named name: String) -> Int? { directories.values.lazy.compactMap { $0[name] }.first }

    func names(in directory: String) -> [String] {
        directories[Self.root]?[directory].flatMap { directories[$0]?.keys.sorted() } ?? []
    }

    var usedBytes: Int { files.values.reduce(0) { $0 + $1.count } }
}

extension [UInt8] {
    /// Grows with zeros where the end is reached.
    mutating func overwrite(_ bytes: ArraySlice<UInt8>, at offset: Int) {
        if count < offset + bytes.count { resize(offset + bytes.count) }
        withUnsafeMutableBytes { target in
            bytes.withUnsafeBytes { source in
                UnsafeMutableRawBufferPointer(rebasing: target[offset..<offset + source.count]).copyMemory(from: source)
            }
        }
    }

    mutating func resize(_ size: Int) {
        if size < count { removeLast(count - size) } else { self += [UInt8](repeating: 0, count: size - count) }
    }
}
