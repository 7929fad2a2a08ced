// SPDX-License-Identifier: ISC

import Channel
import IPC
import Mail
import Posix

/// Why a daemon gave no answer.
enum LinkFailure: Error, Hashable {
    /// Nobody listens on its socket.
    case absent
    /// The caller may not ask.
    case forbidden
    case timedOut
    /// It hung up, or said what it may not say.
    case broken(String)

    init(_ error: SystemError) {
        if error.isRefusal {
            self = .forbidden
        } else if error.isAbsent {
            self = .absent
        } else {
            self = .broken("\(error)")
        }
    }
}

/// A connection to the control socket of one daemon; one request at a time.
final class DaemonLink {
    /// How an answer ended.
    enum Ending: Hashable {
        case done(count: UInt64)
        /// There is another page.
        case more
        /// Not all was looked at: ask again behind this envelope.
        case goesOn(after: EnvelopeID, count: UInt64)
        case failed(String)
    }

    private var peer: Peer<ControlAnswer, ControlRequest>?
    private var violation: String?
    private var each: ((ControlAnswer) -> Void)?

    /// `name` is that of the daemon's socket in `places`: its role, with the number of the worker behind a dot.
    init(_ name: String, in places: Places) throws(LinkFailure) {
        guard let role = name.split(separator: ".").first.flatMap({ Role(named: String($0)) }) else { throw .absent }
        let descriptor: FileDescriptor
        do {
            descriptor = try Places.connect(name, in: places.control)
        } catch {
            throw LinkFailure(error)
        }
        peer = Peer(
            descriptor, greeting: EdgeGreeting(role: .control, generation: 0), expecting: role,
            handle: { [weak self] part, _, _ in self?.each?(part) },
            ended: { [weak self] end in
                switch end {
                case .ended: break
                case .violated(let what): self?.violation = what
                }
            })
    }

    /// Asks and hands each record and each piece of content to `part`.
    func ask(
        _ request: ControlRequest, timeoutMilliseconds: UInt64? = nil,
        part: @escaping (ControlAnswer) -> Void = { _ in }
    ) async throws(LinkFailure) -> Ending {
        guard let peer else { throw .absent }
        var ending = Ending.done(count: 0)
        // Parent sends its records beside the answer and not as parts of it.
        each = part
        do {
            try await peer.requestStream(request, timeoutMilliseconds: timeoutMilliseconds ?? request.patience) {
                answer in
                switch answer {
                case .record, .bytes:
                    part(answer)
                    return .goesOn
                case .more: ending = .more
                case .goesOn(let after, let count): ending = .goesOn(after: after, count: count)
                case .done(let count): ending = .done(count: count)
                case .failed(let reason): ending = .failed(reason)
                }
                return .last
            }
        } catch {
            switch error {
            case .gone: throw .broken(violation.map { "nonsense: \($0)" } ?? "connection closed")
            case .timedOut: throw .timedOut
            }
        }
        each = nil
        return ending
    }

    func close() {
        peer?.close()
        peer = nil
    }
}

nonisolated extension ControlRequest {
    /// How long its answer may take, in milliseconds: Lookup may have tables of hundreds of megabytes to read.
    fileprivate var patience: UInt64 {
        switch self {
        case .updateTable, .reload: 660_000
        case .showStatus, .showDelivery, .queue, .pause, .resume, .stop, .showPlan, .lookUp, .explain, .showStatistics,
            .verbose:
            60_000
        }
    }
}
