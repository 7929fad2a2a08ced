// SPDX-License-Identifier: ISC

import CPosix
import Posix

/// How a body file stands on the disk.
enum BodyForm: UInt32, Sendable {
    case plain = 0
    case parts = 1
}

/// A body in parts, each compressed, encrypted, or both.
///
///     file: magic:8 flags:4 zero:4 wrapped key:68 zero:4, parts
///     part: plain length:4 stored length:4 flags:4 sum:4 stored bytes
///
/// The key is one of its own for each body; the nonce of a part is its number, and associated are the number of the
/// body, that of the part, its plain length and its flags. The sum is the CRC-32C of lengths, flags and stored bytes.
enum BodyParts {
    static let magic: UInt64 = 0x3130_5944_4F42_524D  // "MRBODY01"
    static let headerSize = 88
    static let partHeaderSize = 16
    /// Plain bytes of all parts but the last.
    static let partSize = 128 << 10

    static func nonce(_ part: UInt64) -> [UInt8] { bytes(part) + [0, 0, 0, 0] }

    static func associated(body: UInt64, part: UInt64, count: Int, flags: RecordFlags) -> [UInt8] {
        bytes(body) + bytes(part) + bytes(UInt32(count)) + bytes(UInt32(flags.rawValue))
    }

    static func bytes<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }

    static func sum(_ header: UnsafeRawBufferPointer, _ stored: UnsafeRawBufferPointer) -> UInt32 {
        martlet_crc32c(martlet_crc32c(0, header.baseAddress, 12), stored.baseAddress, stored.count)
    }
}

/// Writes a body in parts: takes bytes as they come and gives what is to be written.
struct BodyPartWriter {
    private let number: UInt64
    private let cipher: Cipher
    private let compresses: Bool
    private let key: ContentKey?
    private var waiting: [UInt8] = []
    private var part: UInt64 = 0
    private var output: [UInt8]

    init(_ number: UInt64, compresses: Bool, key: SpoolKey?, _ cipher: Cipher) {
        self.number = number
        self.compresses = compresses
        self.cipher = cipher
        let own = key.map { _ in ContentKey(random: ()) }
        self.key = own
        output = [UInt8](repeating: 0, count: BodyParts.headerSize)
        output.withUnsafeMutableBytes { buffer in
            var writer = RecordWriter(buffer: buffer, position: 0)
            writer.integer(BodyParts.magic)
            writer.integer(UInt32(key == nil ? 0 : RecordFlags.encrypted.rawValue))
            guard let key, let own else { return }
            cipher.wrap(
                own, with: key, into: UnsafeMutableRawBufferPointer(rebasing: buffer[16..<16 + Cipher.wrappedSize]))
        }
    }

    /// What is to be written behind all that was given before.
    mutating func append(_ bytes: [UInt8]) -> [UInt8] {
        waiting += bytes
        var start = 0
        while waiting.count - start >= BodyParts.partSize {
            write(waiting[start..<start + BodyParts.partSize])
            start += BodyParts.partSize
        }
        waiting.removeFirst(start)
        defer { output = [] }
        return output
    }

    mutating func finish() -> [UInt8] {
        if !waiting.isEmpty { write(waiting[...]) }
        waiting = []
        defer { output = [] }
        return output
    }

    private mutating func write(_ plain: ArraySlice<UInt8>) {
        let packed = compresses ? plain.withUnsafeBytes { Compression.deflated($0) } : nil
        var stored = packed ?? Array(plain)
        var flags: RecordFlags = packed == nil ? [] : .deflated
        if let key {
            flags.insert(.encrypted)
            let clear = stored
            stored = [UInt8](repeating: 0, count: clear.count + Cipher.tagSize)
            let associated = BodyParts.associated(body: number, part: part, count: plain.count, flags: flags)
            clear.withUnsafeBytes { clear in
                stored.withUnsafeMutableBytes { stored in
                    associated.withUnsafeBytes { associated in
                        BodyParts.nonce(part).withUnsafeBytes { nonce in
                            cipher.encrypt(clear, key: key, nonce: nonce, associated: associated, into: stored)
                        }
                    }
                }
            }
        }
        part += 1
        let header =
            BodyParts.bytes(UInt32(plain.count)) + BodyParts.bytes(UInt32(stored.count))
            + BodyParts.bytes(UInt32(flags.rawValue))
        let sum = header.withUnsafeBytes { header in stored.withUnsafeBytes { BodyParts.sum(header, $0) } }
        output += header
        output += BodyParts.bytes(sum)
        output += stored
    }
}

/// Reads a body in parts, one after the other.
struct BodyPartReader {
    enum Fault: Error {
        case damaged
        case unknownKey(UInt32)
        case system(SystemError)
    }

    private let number: UInt64
    private let file: Int32
    private let calls: any SpoolCalls
    private let cipher: Cipher
    private let key: ContentKey?
    private var position = BodyParts.headerSize
    private var part: UInt64 = 0
    /// Plain bytes of the parts that are behind us.
    private(set) var passed: UInt64 = 0

    init(_ number: UInt64, _ file: Int32, _ calls: any SpoolCalls, _ cipher: Cipher) throws(Fault) {
        self.number = number
        self.file = file
        self.calls = calls
        self.cipher = cipher
        let header = try BodyPartReader.read(calls, file, 0, BodyParts.headerSize)
        let isRight = header.withUnsafeBytes { $0.integer(UInt64.self, at: 0) == BodyParts.magic }
        guard isRight else { throw .damaged }
        guard header[8] & RecordFlags.encrypted.rawValue != 0 else {
            key = nil
            return
        }
        do throws(Cipher.Fault) {
            let wrapped = Array(header[16..<16 + Cipher.wrappedSize])
            key = try BodyPartReader.unwrap(wrapped, cipher)
        } catch {
            throw Fault(error)
        }
    }

    private static func unwrap(_ wrapped: [UInt8], _ cipher: Cipher) throws(Cipher.Fault) -> ContentKey {
        let result: Result<ContentKey, Cipher.Fault> = wrapped.withUnsafeBytes { buffer in
            do throws(Cipher.Fault) { return .success(try cipher.unwrap(buffer)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    static func read(
        _ calls: any SpoolCalls, _ file: Int32, _ offset: Int, _ count: Int
    ) throws(Fault) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let result: Result<Int, SystemError> = bytes.withUnsafeMutableBytes { buffer in
            do throws(SystemError) {
                return .success(try calls.read(file, buffer, at: offset))
            } catch {
                return .failure(error)
            }
        }
        switch result {
        case .failure(let error): throw .system(error)
        case .success(let found): guard found == count else { throw .damaged }
        }
        return bytes
    }

    /// The plain bytes of `range`, which must not lie before the next part; parts before it are not read.
    mutating func bytes(_ range: Range<UInt64>) throws(Fault) -> [UInt8] {
        var bytes: [UInt8] = []
        while passed < range.upperBound {
            let start = passed
            guard let part = try next(unlessBefore: range.lowerBound) else { continue }
            let wanted = range.clamped(to: start..<passed)
            bytes += part[Int(wanted.lowerBound - start)..<Int(wanted.upperBound - start)]
        }
        return bytes
    }

    /// The plain bytes of the next part.
    mutating func next() throws(Fault) -> [UInt8] { try next(unlessBefore: 0) ?? [] }

    /// nil when the next part ends before `first`: it is passed over.
    private mutating func next(unlessBefore first: UInt64) throws(Fault) -> [UInt8]? {
        let header = try BodyPartReader.read(calls, file, position, BodyParts.partHeaderSize)
        let (count, size, flags, sum) = header.withUnsafeBytes { buffer in
            (
                Int(buffer.integer(UInt32.self, at: 0)), Int(buffer.integer(UInt32.self, at: 4)),
                RecordFlags(rawValue: buffer[8]), buffer.integer(UInt32.self, at: 12)
            )
        }
        guard count > 0, count <= BodyParts.partSize, size <= BodyParts.partSize + Cipher.tagSize else {
            throw .damaged
        }
        defer {
            position += BodyParts.partHeaderSize + size
            part += 1
            passed += UInt64(count)
        }
        if passed + UInt64(count) <= first { return nil }
        let stored = try BodyPartReader.read(calls, file, position + BodyParts.partHeaderSize, size)
        let isRight = header.withUnsafeBytes { header in stored.withUnsafeBytes { BodyParts.sum(header, $0) == sum } }
        guard isRight, flags.contains(.encrypted) == (key != nil) else { throw .damaged }
        var plain = stored
        if let key {
            let associated = BodyParts.associated(body: number, part: part, count: count, flags: flags)
            let opened = stored.withUnsafeBytes { stored in
                associated.withUnsafeBytes { associated in
                    BodyParts.nonce(part).withUnsafeBytes { nonce in
                        cipher.decrypt(stored, key: key, nonce: nonce, associated: associated)
                    }
                }
            }
            guard let opened else { throw .damaged }
            plain = opened
        }
        if flags.contains(.deflated) {
            guard let inflated = plain.withUnsafeBytes({ Compression.inflated($0) }) else { throw .damaged }
            plain = inflated
        }
        guard plain.count == count else { throw .damaged }
        return plain
    }
}

extension BodyPartReader.Fault {
    init(_ fault: Cipher.Fault) {
        switch fault {
        case .damaged: self = .damaged
        case .unknownKey(let version): self = .unknownKey(version)
        }
    }
}

extension SpoolError {
    init(_ fault: BodyPartReader.Fault) {
        switch fault {
        case .damaged: self = .damaged
        case .unknownKey(let version): self = .keyMissing(version: version)
        case .system(let error): self = .system(error)
        }
    }
}
