// SPDX-License-Identifier: ISC

import Foundation
import Glibc
import Testing

/// nsd on 127.0.0.1 port 53, serving the zones that it is given; those without text fail.
final class NameServer {
    static let isThere = Host.peers.map { access("\($0)/usr/sbin/nsd", X_OK) == 0 } ?? false
    static let why = "MARTLET_PEERS does not name a directory with nsd in it"

    private let program: Program
    private let directory: String

    init(_ instance: Instance, _ zones: [String: String]) throws {
        directory = "\(instance.directory)/nsd"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        var configuration = """
            server:
              ip-address: 127.0.0.1@53
              username: nsd
              chroot: ""
              database: ""
              zonesdir: "\(directory)"
              pidfile: "\(directory)/pid"
              zonelistfile: "\(directory)/zones"
              xfrdfile: "\(directory)/xfrd"
              xfrdir: "\(directory)"
              server-count: 1
              verbosity: 1
            remote-control:
              control-enable: no

            """
        for (name, records) in zones {
            configuration += "zone:\n  name: \"\(name)\"\n  zonefile: \"\(name).zone\"\n"
            guard !records.isEmpty else { continue }
            let text = "$ORIGIN \(name).\n$TTL 60\n@ SOA ns root 1 60 60 60 60\n@ NS ns\nns A 127.0.0.1\n\(records)\n"
            try text.write(toFile: "\(directory)/\(name).zone", atomically: true, encoding: .utf8)
        }
        try configuration.write(toFile: "\(directory)/nsd.conf", atomically: true, encoding: .utf8)
        if let user = Host.account("nsd") { chown(directory, user.uid, user.gid) }
        let peers = Host.peers ?? ""
        program = try Program(
            ["\(peers)/usr/sbin/nsd", "-d", "-c", "\(directory)/nsd.conf"],
            environment: ["LD_LIBRARY_PATH": "\(peers)/usr/lib/x86_64-linux-gnu"])
        guard program.errors.wait(for: "nsd started") != nil else {
            throw Failure("no name server: \(program.errors.text)")
        }
    }

    deinit { program.kill(SIGKILL) }
}
