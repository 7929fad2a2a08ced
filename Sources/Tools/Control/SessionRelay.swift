// SPDX-License-Identifier: ISC

import Glibc
import Posix

/// Carries bytes between standard input and output and a socket, both ways, until the server has closed.
nonisolated enum SessionRelay {
    private static let pieceSize = 64 * 1024

    /// True when the server ended the session.
    static func run(_ server: borrowing FileDescriptor) -> Bool {
        var toServer: [UInt8] = []
        var fromServer: [UInt8] = []
        var isInputOpen = true
        var isServerOpen = true
        while isServerOpen || !fromServer.isEmpty {
            // Of each direction one piece is held at most: who does not read is not read from either.
            var polls = [
                pollfd(fd: isInputOpen && toServer.isEmpty ? 0 : -1, events: Int16(POLLIN), revents: 0),
                pollfd(fd: fromServer.isEmpty ? -1 : 1, events: Int16(POLLOUT), revents: 0),
                pollfd(
                    fd: isServerOpen ? server.number : -1,
                    events: Int16(fromServer.isEmpty ? POLLIN : 0) | Int16(toServer.isEmpty ? 0 : POLLOUT), revents: 0),
            ]
            let ready = FileDescriptor.retrying { Int(poll(&polls, nfds_t(polls.count), -1)) }
            guard ready >= 0 else { return false }
            if polls[0].revents != 0 {
                toServer = take(0) ?? []
                if toServer.isEmpty {
                    isInputOpen = false
                    shutdown(server.number, Int32(SHUT_WR))
                }
            }
            if polls[1].revents != 0, !give(1, &fromServer) { return false }
            if polls[2].revents & Int16(POLLOUT) != 0, !give(server.number, &toServer) { toServer = [] }
            if polls[2].revents & ~Int16(POLLOUT) != 0, fromServer.isEmpty {
                switch take(server.number) {
                case nil: break
                case .some(let bytes):
                    fromServer = bytes
                    if bytes.isEmpty { isServerOpen = false }
                }
            }
        }
        return true
    }

    /// What can be read; empty at the end and after a failure, nil when nothing is there now.
    private static func take(_ number: Int32) -> [UInt8]? {
        var isWaiting = false
        let bytes = [UInt8](unsafeUninitializedCapacity: pieceSize) { buffer, count in
            let result = FileDescriptor.retrying { read(number, buffer.baseAddress, buffer.count) }
            isWaiting = result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)
            count = max(0, result)
        }
        return isWaiting ? nil : bytes
    }

    /// Writes what can be written; false when nothing ever can again.
    private static func give(_ number: Int32, _ bytes: inout [UInt8]) -> Bool {
        let result = bytes.withUnsafeBytes { buffer in
            FileDescriptor.retrying { write(number, buffer.baseAddress, buffer.count) }
        }
        if result < 0 { return errno == EAGAIN || errno == EWOULDBLOCK }
        bytes.removeFirst(result)
        return true
    }
}
