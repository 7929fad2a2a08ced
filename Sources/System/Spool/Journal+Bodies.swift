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
            var body = OpenBody(file: file)
            if options.isCompressed || options.keys.current != nil {
                body.parts = BodyPartWriter(
                    number, compresses: options.isCompressed, key: options.keys.current, unsealer.cipher)
            }
            bodies[number] = body
        } catch {
            bodies[number] = OpenBody(file: -1, failure: Journal.reason(error))
        }
    }

    /// The reason when the body cannot be kept; everything about it fails from then on.
    func appendBody(_ number: UInt64, _ bytes: [UInt8]) -> SpoolError? {
        guard var body = bodies.removeValue(forKey: number) else { return .unknown }
        defer { bodies[number] = body }
        if let failure = body.failure { return failure }
        write(body.parts?.append(bytes) ?? bytes, to: &body)
        return body.failure
    }

    private func write(_ bytes: [UInt8], to body: inout OpenBody) {
        if bytes.isEmpty { return }
        do throws(SystemError) {
            try Journal.write(bytes, body.file, body.size, calls)
        } catch {
            body.failure = Journal.reason(error)
            return
        }
        body.size += bytes.count
        body.waiting += bytes.count
        // Begun now, the writing is done when the commit asks for the sync, and other mail does not wait for it.
        if body.waiting >= Journal.writeOutSize {
            calls.startWriting(body.file, at: body.size - body.waiting, body.waiting)
            body.waiting = 0
        }
    }

    func removeBody(_ number: UInt64) {
        if let body = bodies.removeValue(forKey: number), body.file >= 0 { calls.close(body.file) }
        do throws(SystemError) {
            try calls.unlink(directories.bodies.number, SpoolNames.body(number))
        } catch {
            if error.code != ENOENT { events.append(.report("\(SpoolNames.body(number)) is not removed: \(error)")) }
        }
    }

    func setBodyAside(_ number: UInt64) {
        let name = SpoolNames.body(number)
        do throws(SystemError) {
            try calls.rename(directories.bodies.number, name, directories.aside.number, name)
            events.append(.report("\(name) is damaged, its message has ended, and it is set aside"))
        } catch {
            events.append(.report("\(name) is not set aside: \(error)"))
        }
    }

    /// Syncs the bodies of all pending messages, then their names; messages whose body is not safe are refused.
    func syncBodies() {
        var refused: [Int: SpoolError] = [:]
        var synced: [Int] = []
        for index in pending.indices {
            guard case .message(var message) = pending[index].content, message.bodyFile != 0 else { continue }
            if let error = syncBody(&message) {
                refused[index] = error
            } else {
                pending[index].content = .message(message)
                synced.append(index)
            }
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

    /// Ends the file, and lets the record tell how it stands there.
    private func syncBody(_ message: inout MessageRecord) -> SpoolError? {
        guard var body = bodies.removeValue(forKey: message.bodyFile) else { return .unknown }
        if body.failure == nil, let rest = body.parts?.finish() {
            message.bodyForm = .parts
            write(rest, to: &body)
        }
        message.bodyStored = UInt64(body.size)
        if body.failure == nil {
            do throws(SystemError) {
                try calls.syncData(body.file)
                calls.close(body.file)
                return nil
            } catch {
                body.failure = .system(error)
            }
        }
        bodies[message.bodyFile] = body
        return body.failure
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
