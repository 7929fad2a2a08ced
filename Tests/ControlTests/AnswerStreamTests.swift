// SPDX-License-Identifier: ISC

import CEvent
import Channel
import IPC
import Mail
import Posix
import Testing

@testable import Reactor

@MainActor @Suite(.serialized) struct AnswerStreamTests {
    private typealias Client = Peer<ControlAnswer, ControlRequest>
    private typealias Server = Peer<ControlRequest, ControlAnswer>

    private final class Ends {
        var client: Client?
        var server: Server?
        var heard: [ControlAnswer] = []
        var result: Result<Void, PeerError>?
        var besides = 0
    }

    private func join(_ answer: @escaping (Ends, Correlation, ControlRequest) -> Void) throws -> Ends {
        let ends = Ends()
        try FileDescriptor.streamPair().split { left, right in
            ends.client = Client(
                left, greeting: EdgeGreeting(role: .control, generation: 0), expecting: .queue,
                handle: { _, _, _ in ends.besides += 1 }, ended: { _ in })
            ends.server = Server(
                right, greeting: EdgeGreeting(role: .queue, generation: 0), expecting: .control,
                handle: { request, correlation, _ in answer(ends, correlation, request) }, ended: { _ in })
        }
        return ends
    }

    private func ask(_ ends: Ends, _ request: ControlRequest) {
        Task {
            do throws(PeerError) {
                try await ends.client?.requestStream(request, timeoutMilliseconds: 3_600_000) { part in
                    ends.heard.append(part)
                    switch part {
                    case .record, .bytes: return .goesOn
                    case .more, .goesOn, .done, .failed: return .last
                    }
                }
                ends.result = .success(())
            } catch {
                ends.result = .failure(error)
            }
        }
    }

    // The loop of the process belongs to the tests: its events are turned by hand. Turns are counted, not seconds: other
    // tests may have the main actor for long.
    private func turn(_ ends: Ends, until isDone: () -> Bool) async {
        var turns = 100_000
        while !isDone(), turns > 0 {
            turns -= 1
            ends.client?.flushNow()
            ends.server?.flushNow()
            event_base_loop(LoopExecutor.shared.base, EVLOOP_ONCE | EVLOOP_NONBLOCK)
            await Task.yield()
        }
    }

    @Test func `all parts of an answer arrive in order`() async throws {
        let ends = try join { ends, correlation, _ in
            for number in 0..<300 { ends.server?.answer(correlation, .bytes([UInt8(number & 255)])) }
            ends.server?.answer(correlation, .done(count: 300))
            ends.server?.answer(correlation, .done(count: 301))
        }
        ask(ends, .showStatistics)
        await turn(ends) { ends.result != nil }
        guard case .success = ends.result else {
            Issue.record("\(String(describing: ends.result))")
            return
        }
        #expect(ends.heard.count == 301)
        #expect(ends.heard[..<300].enumerated().allSatisfy { $0.element == .bytes([UInt8($0.offset & 255)]) })
        #expect(ends.heard.last == .done(count: 300))
        #expect(ends.besides == 0)
        ends.client?.close()
    }

    @Test func `two requests at once keep their parts apart`() async throws {
        var waiting: [Correlation] = []
        let ends = try join { ends, correlation, _ in
            waiting.append(correlation)
            guard waiting.count == 2 else { return }
            ends.server?.answer(waiting[1], .bytes([1]))
            ends.server?.answer(waiting[0], .done(count: 0))
        }
        ask(ends, .stop)
        ask(ends, .reload)
        await turn(ends) { ends.result != nil && ends.heard.count == 2 }
        #expect(ends.heard.contains(.bytes([1])) && ends.heard.contains(.done(count: 0)))
        guard case .success = ends.result else {
            Issue.record("\(String(describing: ends.result))")
            return
        }
        ends.result = nil
        ends.server?.close()
        await turn(ends) { ends.result != nil }
        guard case .failure(.gone) = ends.result else {
            Issue.record("\(String(describing: ends.result))")
            return
        }
    }

    @Test func `a part may close the edge`() async throws {
        let ends = try join { ends, correlation, _ in
            ends.server?.answer(correlation, .bytes([1]))
            ends.server?.answer(correlation, .bytes([2]))
        }
        Task {
            do throws(PeerError) {
                try await ends.client?.requestStream(.stop, timeoutMilliseconds: 3_600_000) { part in
                    ends.heard.append(part)
                    ends.client?.close()
                    return .goesOn
                }
                ends.result = .success(())
            } catch {
                ends.result = .failure(error)
            }
        }
        await turn(ends) { ends.result != nil }
        #expect(ends.heard == [.bytes([1])])
        guard case .failure(.gone) = ends.result else {
            Issue.record("\(String(describing: ends.result))")
            return
        }
    }
}
