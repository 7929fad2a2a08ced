// SPDX-License-Identifier: ISC

import Bytes
import Glibc
import Mail
public import Posix

/// A spool that no process has, as it stands on the disk. Nothing in it is changed: not even what a crash has torn.
///
/// The lock is tried and given back at once, so that a server can start meanwhile; whoever shows what was read asks
/// afterwards whether one has.
public final class IdleSpool {
    private struct Place {
        var location: RecordLocation
        var bodyFile: UInt64
        var bodySize: UInt64
        var bodyForm: BodyForm
    }

    /// Those that are not done, in the order of their positions.
    public let messages: [RecoveredMessage]
    /// What is damaged, or was being written when the machine stopped.
    public let reports: [SpoolReport]
    private let reader: SegmentReader
    private let places: [UInt64: Place]

    private init(_ reader: SegmentReader, _ recovery: Recovery) {
        self.reader = reader
        let found = recovery.found(reader)
        messages = found.messages
        reports =
            recovery.reports + found.reports
            + recovery.unsettled().compactMap { hole, cause in
                switch cause {
                case .corruption: hole.corruption(aside: nil)
                case .tear: .tornTail(segment: hole.segment, bytes: hole.bytes.count)
                case .unread: nil
                }
            }
        places = recovery.messages.mapValues { live in
            Place(
                location: live.location, bodyFile: live.message.bodyFile, bodySize: live.message.bodySize,
                bodyForm: live.message.bodyForm)
        }
    }

    /// Throws `.locked` while a process has the spool.
    public static func read(
        _ directory: consuming FileDescriptor, keys: SpoolKeys = SpoolKeys()
    ) throws(SpoolError) -> IdleSpool {
        let recovery: Recovery
        let reader: SegmentReader
        do throws(SystemError) {
            reader = try SegmentReader(looking: directory, SystemSpoolCalls(), Unsealer(keys))
            if try reader.isTaken() { throw SystemError("flock", EAGAIN) }
            recovery = try reader.readAll()
        } catch {
            throw error.code == EAGAIN ? .locked : .system(error)
        }
        if let version = recovery.missingKey { throw .keyMissing(version: version) }
        return IdleSpool(reader, recovery)
    }

    /// Whether a process has the spool by now, and what was read may be old.
    public func isTaken() throws(SpoolError) -> Bool {
        do throws(SystemError) { return try reader.isTaken() } catch { throw .system(error) }
    }

    /// The bytes of a message as it would be sent, some at a time.
    public func eachPart(of position: SpoolPosition, _ take: ([UInt8]) -> Void) throws(SpoolError) {
        guard let place = places[position.sequenceNumber] else { throw .unknown }
        for piece in try reader.pieces(at: place.location) {
            switch piece {
            case .bytes(let bytes): take(bytes)
            case .body(let offset, let count): try eachPart(of: place, offset..<offset + count, take)
            }
        }
    }

    private func eachPart(of place: Place, _ range: Range<UInt64>, _ take: ([UInt8]) -> Void) throws(SpoolError) {
        guard range.upperBound <= place.bodySize else { throw .damaged }
        do throws(BodyPartReader.Fault) {
            let file: SpoolFile
            do throws(SystemError) { file = try reader.openBody(place.bodyFile) } catch { throw .system(error) }
            switch place.bodyForm {
            case .plain:
                var position = range.lowerBound
                while position < range.upperBound {
                    let count = min(Int(range.upperBound - position), BodyParts.partSize)
                    take(try BodyPartReader.read(reader.calls, file.number, Int(position), count))
                    position += UInt64(count)
                }
            case .parts:
                var parts = try BodyPartReader(place.bodyFile, file.number, reader.calls, reader.unsealer.cipher)
                var position: UInt64 = 0
                while position < range.upperBound {
                    let part = try parts.next()
                    let end = position + UInt64(part.count)
                    let wanted = range.clamped(to: position..<end)
                    if !wanted.isEmpty {
                        take(Array(part[Int(wanted.lowerBound - position)..<Int(wanted.upperBound - position)]))
                    }
                    position = end
                }
            }
        } catch {
            throw SpoolError(error)
        }
    }
}

extension SegmentReader {
    /// For one who changes nothing.
    fileprivate init(
        looking root: consuming FileDescriptor, _ calls: any SpoolCalls, _ unsealer: Unsealer
    ) throws(SystemError) {
        let lock = SpoolFile(try calls.open(root.number, SpoolNames.lock, O_RDONLY), calls)
        let flags = O_RDONLY | O_DIRECTORY
        let journal = SpoolFile(try calls.open(root.number, SpoolNames.journal, flags), calls)
        let bodies = SpoolFile(try calls.open(root.number, SpoolNames.bodies, flags), calls)
        let aside = SpoolFile(try calls.open(root.number, SpoolNames.aside, flags), calls)
        self.init(
            calls: calls,
            directories: SpoolDirectories(root: root, lock: lock, journal: journal, bodies: bodies, aside: aside),
            unsealer: unsealer, purpose: .looking)
    }

    /// The lock is given back with the descriptor.
    fileprivate func isTaken() throws(SystemError) -> Bool {
        let lock = SpoolFile(try calls.open(directories.root.number, SpoolNames.lock, O_RDONLY), calls)
        return try !calls.lock(lock.number)
    }

    fileprivate func readAll() throws(SystemError) -> Recovery {
        var recovery = Recovery(unsealer)
        let names = try calls.list(directories.journal.number)
        for number in names.compactMap({ SpoolNames.number($0, "seg") }).sorted() {
            try read(number, into: &recovery)
        }
        return recovery
    }

    fileprivate func pieces(at location: RecordLocation) throws(SpoolError) -> [SpoolPiece] {
        let bytes: [UInt8]?
        do throws(SystemError) {
            let file = SpoolFile(
                try calls.open(directories.journal.number, SpoolNames.segment(location.segment), O_RDONLY), calls)
            bytes = self.bytes(of: file.number, at: location.offset, location.length)
        } catch {
            throw .system(error)
        }
        let pieces = bytes?.withUnsafeBytes { record -> [SpoolPiece]? in
            guard let header = RecordHeader(in: record, at: 0), header.length == location.length,
                header.type == .message
            else { return nil }
            let message = try? unsealer.withPayload(of: record, header) { MessageRecord($0, .all) }
            return message?.pieces
        }
        guard let found = pieces ?? nil else { throw .damaged }
        return found
    }
}
