// SPDX-License-Identifier: ISC

import CUnbound
import DNS
import Mail
import Reactor

/// Why libunbound could not be set up.
struct ResolverFault: Error, CustomStringConvertible {
    let description: String
}

/// One set-up of libunbound: its servers, its cache and its questions under way, all on the loop.
///
/// Answers are not validated yet: that comes with DANE, which alone would use it. So nothing is ever called secure.
final class UnboundContext: QuestionDesk {
    private static let internet: Int32 = 1

    private let context: OpaquePointer
    private var open: [ObjectIdentifier: OpenQuestion] = [:]
    private let counters: QuestionCounter

    /// Asks `servers`, or the host itself when there are none.
    init(_ servers: [ResolverFile.Server], counters: QuestionCounter) throws(ResolverFault) {
        guard let context = ub_ctx_create_event(Loop.eventBase) else {
            throw ResolverFault(description: "libunbound: no context")
        }
        self.context = context
        self.counters = counters
        for (option, value) in Self.options {
            try Self.check(ub_ctx_set_option(context, option, value), option)
        }
        let addresses = servers.map { $0.port == 53 ? "\($0.address)" : "\($0.address)@\($0.port)" }
        for address in addresses.isEmpty ? ["127.0.0.1"] : addresses {
            try Self.check(ub_ctx_set_fwd(context, address), address)
        }
    }

    isolated deinit {
        ub_ctx_delete(context)
        // Libunbound calls back for some of the questions that were open, and forgets the others: what it held for
        // those is ours again.
        for question in open.values {
            question.finish(nil)
            if !question.isReturned { Unmanaged.passUnretained(question).release() }
        }
        counters.open -= open.count
    }

    private static let options = [
        ("module-config:", "iterator"),
        ("do-not-query-localhost:", "no"),
        // Mail within a private network has its names in its own zones.
        ("unblock-lan-zones:", "yes"),
        ("insecure-lan-zones:", "yes"),
        // These two as well: RFC 8375 section 4 leaves the one to the servers of a home, RFC 6761 section 6.2 the other
        // to those of a test. What is never asked for stays so: `invalid.` there (section 6.4), `onion.` by RFC 7686.
        // (The word for that would be nodefault, but set as an option libunbound 1.17 takes it for a part of the name.)
        ("local-zone:", "home.arpa. transparent"),
        ("local-zone:", "test. transparent"),
        // DNS flag day 2020: no fragments.
        ("edns-buffer-size:", "1232"),
        // A library's 16 ports would make a busy server wait.
        ("outgoing-range:", "256"),
        ("outgoing-num-tcp:", "32"),
        ("num-queries-per-thread:", "2048"),
        ("rrset-cache-size:", "8m"),
        ("msg-cache-size:", "4m"),
        ("key-cache-size:", "1m"),
        ("neg-cache-size:", "1m"),
        // A server that was away is asked again soon; by default it would be left alone for a quarter of an hour.
        ("infra-host-ttl:", "60"),
        ("infra-keep-probing:", "yes"),
        ("use-syslog:", "no"),
    ]

    private static func check(_ result: Int32, _ what: String) throws(ResolverFault) {
        guard result == 0 else {
            throw ResolverFault(description: "libunbound: \(what) \(String(cString: ub_strerror(result)))")
        }
    }

    // Said here, since what a protocol asks for is isolated as the protocol has it.
    @MainActor func answer(to name: String, _ type: RecordType, patienceMilliseconds: UInt64) async -> Answer? {
        guard counters.open < QuestionCounter.most, patienceMilliseconds > 0 else { return nil }
        let question = OpenQuestion()
        let packet = await withUnsafeContinuation { continuation in
            question.continuation = continuation
            ask(question, name, type)
            question.limit(patienceMilliseconds)
        }
        guard let packet else { return nil }
        return try? Answer(parsing: packet.span)
    }

    private func ask(_ question: OpenQuestion, _ name: String, _ type: RecordType) {
        let key = ObjectIdentifier(question)
        question.returned = { [weak self] in
            guard let self, open.removeValue(forKey: key) != nil else { return }
            counters.open -= 1
        }
        open[key] = question
        counters.open += 1
        // Libunbound holds the question until it calls back, which may be before this call returns.
        let held = Unmanaged.passRetained(question)
        let result = ub_resolve_event(
            context, name, Int32(type.rawValue), Self.internet, held.toOpaque(),
            { held, _, packet, count, _, _, _ in
                guard let held else { return }
                let question = Unmanaged<OpenQuestion>.fromOpaque(held).takeRetainedValue()
                var bytes: [UInt8]?
                if let packet, count > 0 { bytes = Array(UnsafeRawBufferPointer(start: packet, count: Int(count))) }
                MainActor.assumeIsolated {
                    question.isReturned = true
                    question.returned()
                    question.finish(bytes)
                }
            }, nil)
        if result != 0 {
            question.isReturned = true
            question.returned()
            held.release()
            question.finish(nil)
        }
    }
}

/// How many questions are under way, those of a set-up that is being let go included.
final class QuestionCounter {
    // Each costs memory, and a socket when its turn comes; what is more is told to come back.
    static let most = 2_000

    var open = 0
}

/// A question until its answer comes, or until nobody waits for it any more.
private final class OpenQuestion {
    var continuation: UnsafeContinuation<[UInt8]?, Never>?
    /// Libunbound has let go of it.
    var isReturned = false
    var returned: () -> Void = {}
    private let timer = Timer()
    private var isFinished = false

    func limit(_ milliseconds: UInt64) {
        guard !isFinished else { return }
        timer.start(afterMilliseconds: milliseconds) { [weak self] in self?.finish(nil) }
    }

    func finish(_ packet: [UInt8]?) {
        guard !isFinished else { return }
        isFinished = true
        timer.stop()
        continuation?.resume(returning: packet)
        continuation = nil
    }
}
