// SPDX-License-Identifier: ISC

import Glibc
public import Posix

/// A copy in memory of a body that stands compressed or encrypted on the disk, made a slice at a time: nobody has to wait
/// until all of a large one is there.
public final class BodyCopy {
    // A mebibyte in a turn of the loop: some milliseconds.
    private static let partsAtOnce = 8

    private let calls: any SpoolCalls
    private let file: FileDescriptor
    private var reader: BodyPartReader
    private let size: UInt64
    private var memory: FileDescriptor?

    init(_ live: DiskSpool.Live, _ spool: DiskSpool) throws(SpoolError) {
        calls = spool.calls
        size = live.bodySize
        do throws(SystemError) {
            file = try spool.openBody(live.bodyFile)
            memory = FileDescriptor(
                owning: try SystemError.check("memfd_create", memfd_create("body", UInt32(MFD_CLOEXEC))))
        } catch {
            throw .system(error)
        }
        do throws(BodyPartReader.Fault) {
            reader = try BodyPartReader(live.bodyFile, file.number, calls, spool.unsealer.cipher)
        } catch {
            throw SpoolError(error)
        }
    }

    /// Copies a slice; false while there is more.
    public func step() throws(SpoolError) -> Bool {
        do throws(BodyPartReader.Fault) {
            for _ in 0..<Self.partsAtOnce where reader.passed < size {
                let offset = Int(reader.passed)
                try write(try reader.next(), at: offset)
            }
        } catch {
            throw SpoolError(error)
        }
        return reader.passed >= size
    }

    /// The copy, once.
    public func take() -> FileDescriptor? { memory.take() }

    private func write(_ bytes: [UInt8], at offset: Int) throws(BodyPartReader.Fault) {
        guard let number = memory?.number else { throw .damaged }
        var failure: SystemError?
        bytes.withUnsafeBytes { buffer in
            do throws(SystemError) { try calls.write(number, buffer, at: offset) } catch { failure = error }
        }
        if let failure { throw .system(failure) }
    }
}
