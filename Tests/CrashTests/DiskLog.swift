// SPDX-License-Identifier: ISC

/// What happened, in order: to the disk, and between the spool and those who asked it.
enum LogEntry {
    case create(directory: Int, name: String, file: Int, isDirectory: Bool)
    case write(file: Int, offset: Int, bytes: [UInt8])
    case resize(file: Int, size: Int)
    case sync(file: Int)
    /// What was written is on the disk or not, and no later sync changes that.
    case failedSync(file: Int)
    case syncDirectory(Int)
    /// Of the two directories the first decides when it is on the disk: a file system does it at once or not at all.
    case rename(directory: Int, old: String, into: Int, new: String)
    case unlink(directory: Int, name: String)
    case fact(Fact)

    var isFact: Bool { if case .fact = self { true } else { false } }
}

/// What the disk has for certain, and what it may have, at one moment of a log.
///
/// Permitted is any subset of what was not synced: of a write each sector by itself, of a change of size, of a name
/// that came, went or changed. That is more than most file systems do.
struct DiskPast {
    static let sector = 512

    private enum Change {
        case bytes([UInt8], offset: Int)
        case size(Int)
    }

    private struct NameChange {
        var gone: String?
        var new: (name: String, number: Int)?
        /// nil for the same directory.
        var into: Int?
    }

    private(set) var durable: DiskImage
    /// Sectors and sizes in their order, by file.
    private var changes: [Int: [Change]] = [:]
    private var nameChanges: [Int: [NameChange]] = [:]
    /// As the process sees them.
    private var names: [Int: [String: Int]]

    init(_ image: DiskImage) {
        durable = image
        names = image.directories
    }

    /// How many things are undecided.
    var undecided: Int {
        changes.values.reduce(0) { $0 + $1.count } + nameChanges.values.reduce(0) { $0 + $1.count }
    }

    mutating func append(_ entry: LogEntry, chance: inout some RandomNumberGenerator) {
        switch entry {
        case .create(let directory, let name, let file, let isDirectory):
            names[directory]?[name] = file
            durable.skip(file)
            nameChanges[directory, default: []].append(NameChange(gone: nil, new: (name, file)))
            if isDirectory { names[file] = [:] }
            // An empty file or directory is nothing that could be lost; its name is.
            if isDirectory { durable.directories[file] = [:] } else { durable.files[file] = [] }
        case .write(let file, let offset, let bytes):
            var start = 0
            while start < bytes.count {
                let end = min(bytes.count, start + Self.sector - (offset + start) % Self.sector)
                changes[file, default: []].append(.bytes(Array(bytes[start..<end]), offset: offset + start))
                start = end
            }
        case .resize(let file, let size):
            changes[file, default: []].append(.size(size))
        case .sync(let file):
            decide(file) { true }
        case .failedSync(let file):
            decide(file) { Bool.random(using: &chance) }
        case .syncDirectory(let directory):
            for change in nameChanges.removeValue(forKey: directory) ?? [] { apply(change, directory, to: &durable) }
        case .rename(let directory, let old, let into, let new):
            guard let file = names[directory]?.removeValue(forKey: old) else { return }
            names[into]?[new] = file
            nameChanges[directory, default: []].append(NameChange(gone: old, new: (new, file), into: into))
        case .unlink(let directory, let name):
            names[directory]?[name] = nil
            nameChanges[directory, default: []].append(NameChange(gone: name, new: nil))
        case .fact:
            break
        }
    }

    private mutating func decide(_ file: Int, _ isThere: () -> Bool) {
        for change in changes.removeValue(forKey: file) ?? [] where isThere() { apply(change, file, to: &durable) }
    }

    private func apply(_ change: Change, _ file: Int, to image: inout DiskImage) {
        switch change {
        case .bytes(let bytes, let offset): image.write(file, bytes[...], at: offset)
        case .size(let size): image.resize(file, size)
        }
    }

    private func apply(_ change: NameChange, _ directory: Int, to image: inout DiskImage) {
        if let gone = change.gone { image.directories[directory]?[gone] = nil }
        if let new = change.new { image.directories[change.into ?? directory]?[new.name] = new.number }
    }

    /// The disk after a crash now, when of what is undecided there is what `choose` says by its number.
    func image(_ choose: (Int) -> Bool) -> DiskImage {
        var image = durable
        var number = 0
        for (file, list) in changes.sorted(by: { $0.key < $1.key }) {
            for change in list {
                if choose(number) { apply(change, file, to: &image) }
                number += 1
            }
        }
        for (directory, list) in nameChanges.sorted(by: { $0.key < $1.key }) {
            for change in list {
                if choose(number) { apply(change, directory, to: &image) }
                number += 1
            }
        }
        return image
    }

    /// All that may be on the disk after a crash now when there are not more than `bound`; otherwise nothing, all,
    /// all but one, one, what was done first, and chance up to the bound.
    func eachImage(atMost bound: Int, chance: inout some RandomNumberGenerator, _ body: (DiskImage) throws -> Void)
        rethrows
    {
        let count = undecided
        if count < 20, 1 << count <= bound {
            for mask in 0..<1 << count { try body(image { mask >> $0 & 1 == 1 }) }
            return
        }
        try body(image { _ in false })
        try body(image { _ in true })
        for turn in 2..<max(bound, 3) {
            let place = Int.random(in: 0..<count, using: &chance)
            switch turn % 5 {
            case 0: try body(image { $0 != place })
            case 1: try body(image { $0 == place })
            case 2: try body(image { $0 <= place })
            default:
                let seed = UInt64.random(in: 0...UInt64.max, using: &chance)
                let share = [2, 2, 8, 1][turn % 4]
                try body(
                    image { number in
                        var noise = seed &+ UInt64(number) &* 0x9E37_79B9_7F4A_7C15
                        noise = (noise ^ (noise >> 30)) &* 0xBF58_476D_1CE4_E5B9
                        return (noise >> 40) % 10 >= share
                    })
            }
        }
    }
}
