// SPDX-License-Identifier: ISC

import Foundation
import Glibc
import Synchronization

/// What the tests find on the host on which they run.
enum Host {
    static func variable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The top of the tree, which may be seen at another place than where it was built.
    static let root: String = {
        var built = URL(fileURLWithPath: #filePath)
        for _ in 0..<4 { built.deleteLastPathComponent() }
        let places = [variable("MARTLET_ROOT"), built.path].compactMap(\.self)
        return places.first { access("\($0)/Tests/Support/Peers/sink.py", R_OK) == 0 } ?? built.path
    }()

    /// Where the programs under test are.
    static let programs: String = {
        let places = [variable("MARTLET_BIN"), "\(root)/.build/release", "\(root)/.build/debug"].compactMap(\.self)
        return places.first { access("\($0)/martletd", X_OK) == 0 } ?? places[0]
    }()

    static func program(_ name: String) -> String { "\(programs)/\(name)" }

    static let hasPrograms = access(program("martletd"), X_OK) == 0

    /// Root, in namespaces of its own, with the users of Martlet and with people: see etc/setup.
    static let isPrivate = geteuid() == 0 && variable("MARTLET_TEST_PRIVATE") == "1" && account("gilles") != nil

    static let why = "needs root in namespaces of its own, as etc/setup test makes them"

    /// The tools of Postfix, unpacked.
    static let peers = variable("MARTLET_PEERS")
    static let hasPostfix = peers.map { access("\($0)/usr/sbin/smtp-source", X_OK) == 0 } ?? false
    static let withoutPostfix = "MARTLET_PEERS does not name a directory with Postfix in it"

    static func postfix(_ name: String) -> String { "\(peers ?? "")/usr/sbin/\(name)" }
    static let postfixEnvironment = ["LD_LIBRARY_PATH": "\(peers ?? "")/usr/lib/postfix"]

    /// A script of Tests/Support/Peers.
    static func support(_ name: String) -> String { "\(root)/Tests/Support/Peers/\(name)" }

    struct Account: Hashable, Sendable {
        let name: String
        let uid: uid_t
        let gid: gid_t
        let home: String
    }

    static func account(_ name: String) -> Account? {
        guard let entry = getpwnam(name) else { return nil }
        return Account(
            name: name, uid: entry.pointee.pw_uid, gid: entry.pointee.pw_gid,
            home: String(cString: entry.pointee.pw_dir))
    }

    /// A TCP port on which nobody listened a moment ago.
    static func freePort(_ address: String = "127.0.0.1") throws -> Int {
        for _ in ports {
            let port = nextPort.withLock { next in
                next = next + 1 < ports.upperBound ? next + 1 : ports.lowerBound
                return next
            }
            if isFree(address, port) { return port }
        }
        throw Failure("no free port")
    }

    // Below those that the system gives to clients: one of them could take a port before its server does.
    private static let ports = 10_000..<32_000
    private static let nextPort = Mutex(Int.random(in: ports))

    private static func isFree(_ address: String, _ port: Int) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        var name = sockaddr_in(address, port: port)
        return withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, __CONST_SOCKADDR_ARG(__sockaddr__: address), socklen_t(MemoryLayout<sockaddr_in>.size))
                    == 0
            }
        }
    }
}

extension sockaddr_in {
    init(_ address: String, port: Int) {
        self.init()
        sin_family = sa_family_t(AF_INET)
        sin_port = UInt16(truncatingIfNeeded: port).bigEndian
        _ = inet_pton(AF_INET, address, &sin_addr)
    }
}

/// Why a story cannot go on: one sentence.
struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A moment after which nobody waits any longer.
struct Deadline {
    private let end: Int64

    static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }

    init(seconds: Double) { end = Deadline.now + Int64(seconds * 1000) }

    var isOver: Bool { Deadline.now >= end }
    var milliseconds: Int32 { Int32(clamping: max(0, end - Deadline.now)) }
    var date: Date { Date(timeIntervalSinceNow: Double(milliseconds) / 1000) }
}

/// Whether `condition` holds before the time is over; asked every few milliseconds.
func eventually(within seconds: Double = 60, _ condition: () throws -> Bool) rethrows -> Bool {
    let deadline = Deadline(seconds: seconds)
    while true {
        if try condition() { return true }
        if deadline.isOver { return false }
        poll(nil, 0, 10)
    }
}
