// SPDX-License-Identifier: ISC

import Glibc
import Posix

/// Large bodies: written once as they come, synced before the record that names them.
extension Journal {
    private static let writeOutSize = 1 << 20

    func makeBody(_ number: UInt64) {
        do throws(SystemError) {
            guard hasRoom(for: segmentSize) else { throw SystemError("fstatvfs", ENOSPC) }
            let file = try calls.open(
                directories.bodies.number, SpoolNames.body(number), O_WRONLY | O_CREAT | O_EXCL)
            bodies[number] = OpenBody(file: file)
        } catch {
            bodies[number] = OpenBody(file: -1, failure: Journal.reason(error))
        }
    }

    /// The reason when the body cannot be kept; everything about it fails from then on.
    func appendBody(_ number: UInt64, _ bytes: [UInt8], at offset: UInt64) -> SpoolError? {
        guard var body = bodies[number] else { return .unknown }
        if let failure = body.failure { return failure }
        do throws(SystemError) {
            try Journal.write(bytes, body.file, Int(offset), calls)
        } catch {
            body.failure = Journal.reason(error)
        }
        body.waiting += bytes.count
        // Begun now, the writing is done when the commit asks for the sync, and other mail does not wait for it.
        if body.waiting >= Journal.writeOutSize {
            let end = Int(offset) + bytes.count
            calls.startWriting(body.file, at: end - body.waiting, body.waiting)
            body.waiting = 0
        }
        bodies[number] = body
        return body.failure
    }

    func removeBody(_ number: UInt64) {
        if let body = bodies.removeValue(forKey: number), body.file >= 0 { calls.close(body.file) }
        do throws(SystemError) {
            try calls.unlink(directories.bodies.number, SpoolNames.body(number))
        } catch {
            if error.code != ENOENT { events.append(.report("\(SpoolNames.body(number)) is not removed: \(error)")) }
        }
    }

    /// Syncs the bodies of all pending messages, then their names; messages whose body is not safe are refused.
    func syncBodies() {
        var refused: [Int: SpoolError] = [:]
        var synced: [Int] = []
        for index in pending.indices {
            guard case .message(let message) = pending[index].content, message.bodyFile != 0 else { continue }
            if let error = syncBody(message.bodyFile) { refused[index] = error } else { synced.append(index) }
        }
        if !synced.isEmpty {
            do throws(SystemError) {
                try calls.sync(directories.bodies.number)
            } catch {
                for index in synced { refused[index] = .system(error) }
            }
        }
        if refused.isEmpty { return }
        for (index, error) in refused { refuse(pending[index], error) }
        pending = pending.indices.filter { refused[$0] == nil }.map { pending[$0] }
    }

    private func syncBody(_ number: UInt64) -> SpoolError? {
        guard let body = bodies[number] else { return .unknown }
        if let failure = body.failure { return failure }
        do throws(SystemError) {
            try calls.syncData(body.file)
        } catch {
            return .system(error)
        }
        calls.close(body.file)
        bodies[number] = nil
        return nil
    }

    private static func reason(_ error: SystemError) -> SpoolError {
        error.code == ENOSPC || error.code == EDQUOT ? .full : .system(error)
    }

    private static func write(
        _ bytes: [UInt8], _ file: Int32, _ offset: Int, _ calls: any SpoolCalls
    ) throws(SystemError) {
        let result: Result<Void, SystemError> = bytes.withUnsafeBytes { buffer in
            do throws(SystemError) {
                return .success(try calls.write(file, buffer, at: offset))
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }
}
