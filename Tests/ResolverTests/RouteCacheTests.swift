// SPDX-License-Identifier: ISC

import IPC
import Mail
import Testing

@testable import Resolver

@MainActor @Suite struct RouteCacheTests {
    private func key(_ text: String) throws -> RouteCache.Key {
        RouteCache.Key(domain: try #require(Domain(text)), isHost: false)
    }

    @Test(arguments: [(UInt32(0), UInt64(5)), (60, 60), (86_400, 3_600)])
    func `a route is kept as long as its records say, within bounds`(lifetime: UInt32, seconds: UInt64) throws {
        var cache = RouteCache()
        let answer = RouteAnswer.found([], isSecure: false, lifetime: lifetime)
        cache.keep(answer, for: try key("example.org"), at: 1_000)
        #expect(cache.answer(try key("EXAMPLE.org"), at: 999 + seconds * 1_000) == answer)
        #expect(cache.answer(try key("example.org"), at: 1_000 + seconds * 1_000) == nil)
    }

    @Test func `a failure is kept for a moment only`() throws {
        var cache = RouteCache()
        let answer = RouteAnswer.failed(Reply(550, nil, "no"))
        cache.keep(answer, for: try key("example.org"), at: 0)
        #expect(cache.answer(try key("example.org"), at: 4_999) == answer)
        #expect(cache.answer(try key("example.org"), at: 5_000) == nil)
    }

    @Test func `a full cache makes room`() throws {
        var cache = RouteCache()
        let answer = RouteAnswer.found([], isSecure: false, lifetime: 60)
        for number in 0...RouteCache.most { cache.keep(answer, for: try key("d\(number).example.org"), at: 0) }
        #expect(cache.answer(try key("d\(RouteCache.most).example.org"), at: 1) == answer)
        #expect(cache.answer(try key("d1.example.org"), at: 1) == nil)
    }
}
