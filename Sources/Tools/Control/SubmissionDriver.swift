// SPDX-License-Identifier: ISC

import Bytes
import Host
import Mail
import Posix
import Reactor
import SMTP

/// Drives one dialogue over the submission socket.
final class SubmissionDriver {
    // RFC 5321 sections 4.5.3.2.1 to 4.5.3.2.6: what a reply may take, and the one that ends the content.
    private static let patience: UInt64 = 5 * 60_000
    private static let finalPatience: UInt64 = 10 * 60_000
    private static let farewellPatience: UInt64 = 5_000
    private static let pieceSize = 64 * 1024

    private let connection: Connection
    private let isVerbose: Bool
    private var parser = ReplyParser()

    init(_ places: Places, isVerbose: Bool) throws(SubmissionFailure) {
        self.isVerbose = isVerbose
        do {
            connection = Connection(try Places.connect(Places.submission, in: places.runtime))
        } catch {
            throw .unreachable(error)
        }
    }

    /// Returns when the server has taken the message.
    func run(_ dialogue: SubmissionDialogue, _ content: [UInt8]) async throws(SubmissionFailure) {
        var dialogue = dialogue
        var patience = Self.patience
        defer { connection.close() }
        while true {
            switch dialogue.receive(try await reply(patience)) {
            case .send(let line):
                show(">>> ", line)
                connection.write(line)
            case .sendContent:
                try await send(content)
                patience = Self.finalPatience
            case .finish(let outcome, let farewell):
                if !farewell.isEmpty {
                    show(">>> ", farewell)
                    connection.write(farewell)
                    // A server that is still writing its reply should not find the connection gone.
                    _ = try? await reply(Self.farewellPatience)
                }
                switch outcome {
                case .accepted: return
                case .refused(let reply, let command): throw .refused(reply, to: command)
                }
            }
        }
    }

    private func send(_ content: [UInt8]) async throws(SubmissionFailure) {
        var encoder = DataEncoder()
        var start = 0
        while start < content.count {
            let end = min(content.count, start + Self.pieceSize)
            connection.write { encoder.encode(content.span.extracting(start..<end), into: &$0) }
            start = end
            do {
                try await connection.room(timeoutMilliseconds: Self.patience)
            } catch {
                // The server may have said why before it went.
                return
            }
        }
        connection.write { encoder.finish(into: &$0) }
        show(">>> ", Array(".\r\n".utf8))
    }

    private func reply(_ patience: UInt64) async throws(SubmissionFailure) -> Reply {
        while true {
            let (used, found) = connection.withInput { input in
                var rest = input
                let found = Result { () throws(ReplyParser.Failure) in try parser.next(from: &rest) }
                return (input.count - rest.count, found)
            }
            connection.consume(used)
            switch found {
            case .failure(let failure): throw .lost("\(failure)")
            case .success(let reply?):
                var bytes: [UInt8] = []
                reply.write(to: &bytes)
                show("<<< ", bytes)
                return reply
            case .success(nil): break
            }
            do {
                try await connection.read(timeoutMilliseconds: patience)
            } catch {
                switch error {
                case .ended, .closed: throw .lost("closed by the server")
                case .timedOut: throw .lost("no reply in time")
                case .failed(let error): throw .lost("\(error)")
                case .broken(let reason): throw .lost(reason)
                }
            }
        }
    }

    private func show(_ mark: String, _ lines: [UInt8]) {
        guard isVerbose else { return }
        for line in lines.split(separator: .lineFeed) {
            let text = line.last == .carriageReturn ? line.dropLast() : line
            StandardOutput.write(Array(mark.utf8) + text + [.lineFeed])
        }
    }
}
