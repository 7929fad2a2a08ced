// SPDX-License-Identifier: ISC

import Foundation
import Glibc

/// Debian's haproxy before listeners of an instance: gives each connection on, and says by PROXY v2 whose it is.
final class HAProxy {
    static let isThere = Host.peers.map { access("\($0)/usr/sbin/haproxy", X_OK) == 0 } ?? false
    static let why = "MARTLET_PEERS does not name a directory with haproxy in it"

    /// Where clients connect to, one for each of `listeners`.
    let ports: [Int]
    private let program: Program

    init(_ instance: Instance, before listeners: [Int]) throws {
        ports = try listeners.map { _ in try Host.freePort() }
        var configuration = """
            defaults
              mode tcp
              timeout connect 30s
              timeout client 60s
              timeout server 60s

            """
        for (port, listener) in zip(ports, listeners) {
            configuration += """
                listen to\(listener)
                  bind 127.0.0.1:\(port)
                  server martlet 127.0.0.1:\(listener) send-proxy-v2

                """
        }
        let path = "\(instance.directory)/haproxy.cfg"
        try configuration.write(toFile: path, atomically: true, encoding: .utf8)
        let peers = Host.peers ?? ""
        program = try Program(
            ["\(peers)/usr/sbin/haproxy", "-db", "-f", path],
            environment: ["LD_LIBRARY_PATH": "\(peers)/usr/lib/x86_64-linux-gnu"])
        let ports = ports
        guard eventually(within: 60, { (try? SMTPClient(port: ports[0])) != nil }) else {
            throw Failure("no haproxy: \(program.errors.text)")
        }
    }

    deinit { program.kill(SIGKILL) }
}
