// SPDX-License-Identifier: ISC

import Bytes
import CFuzzer
import DNS
import Glibc
import Mail

let status = martlet_fuzz(CommandLine.argc, CommandLine.unsafeArgv) { pointer, count in
    let bytes = Array(UnsafeBufferPointer(start: pointer, count: count))
    guard let packet = try? Packet(parsing: bytes.span) else { return 0 }
    precondition(packet.answers.count <= Packet.mostRecordsKept, "too many records")
    for record in packet.answers {
        precondition(record.timeToLive <= Packet.longestTimeToLive, "a life that is too long")
        precondition(record.name.description.utf8.allSatisfy(\.isPrintable), "a byte that is not printable")
    }
    guard let answer = try? Answer(packet), let domain = packet.question.name.domain else { return 0 }
    var generator = SystemRandomNumberGenerator()
    switch RouteOrder.plan(domain, answer, ownName: domain, using: &generator) {
    case .route: break
    case .lookUp(let order):
        precondition(order.exchanges.count <= RouteOrder.mostHosts, "too many hosts")
        let findings = order.exchanges.map { _ in RouteOrder.AddressFinding.addresses(answer.addresses) }
        if case .hosts(let hosts) = order.finish(findings, using: &generator) {
            precondition(hosts.allSatisfy { !$0.addresses.isEmpty }, "a host without an address")
            precondition(hosts.allSatisfy { $0.addresses.count <= RouteOrder.mostAddresses }, "too many addresses")
        }
    }
    return 0
}
exit(status)
