// SPDX-License-Identifier: ISC

import IPC
import Mail
import Testing

@Suite struct WireTests {
    private func decode<Value: WireValue>(_ bytes: [UInt8], as _: Value.Type = Value.self) throws(WireError) -> Value {
        var reader = WireReader(bytes, 0..<bytes.count)
        let value: Value = try reader.value()
        try reader.finish()
        return value
    }

    private func encode(_ value: some WireValue) -> [UInt8] {
        var bytes: [UInt8] = []
        value.encode(to: &bytes)
        return bytes
    }

    @Test func `integers are little-endian`() throws {
        #expect(encode(UInt32(0x0102_0304)) == [4, 3, 2, 1])
        #expect(encode(Int64(-2)) == [0xFE] + [UInt8](repeating: 0xFF, count: 7))
        #expect(try decode([0xFE] + [UInt8](repeating: 0xFF, count: 7), as: Int64.self) == -2)
        for value in [UInt64.min, 1, .max, 1 << 63] { #expect(try decode(encode(value)) == value) }
        for value in [Int64.min, -1, 0, .max] { #expect(try decode(encode(value)) == value) }
    }

    @Test func `texts and lists say how long they are`() throws {
        #expect(encode("ab") == [2, 0, 0, 0, 0x61, 0x62])
        #expect(encode([UInt16(1), 2]) == [2, 0, 0, 0, 1, 0, 2, 0])
        #expect(try decode([0, 0, 0, 0], as: String.self).isEmpty)
        #expect(try decode(encode("ä€"), as: String.self) == "ä€")
    }

    @Test func `a list of bytes of a megabyte passes`() throws {
        let bytes = (0..<(1 << 20)).map { UInt8(truncatingIfNeeded: $0) }
        #expect(try decode(encode(bytes)) == bytes)
    }

    @Test(arguments: [UInt32.max, 1 << 31, 1 << 20, 3])
    func `a length beyond what remains is refused before anything is made for it`(length: UInt32) {
        let bytes = encode(length) + [0, 0]
        #expect(throws: WireError.truncated) { try decode(bytes, as: [UInt8].self) }
        #expect(throws: WireError.truncated) { try decode(bytes, as: String.self) }
        #expect(throws: WireError.truncated) { try decode(bytes, as: [UInt64].self) }
        #expect(throws: WireError.truncated) { try decode(bytes, as: [String].self) }
        #expect(throws: WireError.truncated) { try decode(bytes, as: [Envelope].self) }
        #expect(throws: WireError.truncated) { try decode(bytes, as: [[UInt8]].self) }
    }

    @Test func `what has no meaning is refused`() {
        #expect(throws: WireError.valueOutOfRange) { try decode([2], as: Bool.self) }
        #expect(throws: WireError.valueOutOfRange) { try decode([2], as: UInt8?.self) }
        #expect(throws: WireError.valueOutOfRange) { try decode([0], as: Role.self) }
        #expect(throws: WireError.valueOutOfRange) { try decode([1, 0, 0, 0, 0xFF], as: String.self) }
        #expect(throws: WireError.valueOutOfRange) { try decode([5, 1, 2, 3, 4, 5], as: IPAddress.self) }
        #expect(throws: WireError.valueOutOfRange) { try decode(encode("a b"), as: Domain.self) }
        #expect(throws: WireError.valueOutOfRange) { try decode(encode("joe"), as: Mailbox.self) }
        #expect(throws: WireError.valueOutOfRange) { try decode(encode("joe"), as: ReversePath.self) }
        for code in [0, 199, 600, .max] as [UInt16] {
            #expect(throws: WireError.valueOutOfRange) { try decode(encode(code) + [0, 0, 0, 0, 0], as: Reply.self) }
        }
    }

    @Test func `a reader stays inside its range`() throws {
        var reader = WireReader([1, 2, 3, 4], 1..<3)
        #expect(reader.remaining == 2)
        #expect(throws: WireError.truncated) { try reader.integer(UInt32.self) }
        #expect(throws: WireError.truncated) { try reader.bytes(3) }
        #expect(throws: WireError.truncated) { try reader.bytes(-1) }
        #expect(throws: WireError.truncated) { try reader.bytes(.max) }
        #expect(try Array(reader.bytes(2)) == [2, 3])
        try reader.finish()
    }

    @Test func `a reply that came over an edge is as printable as one made here`() throws {
        var bytes = encode(UInt16(550)) + [0]
        bytes += encode(["a\r\nb"])
        #expect(try decode(bytes, as: Reply.self).lines == ["a??b"])
    }
}

@Suite struct TopologyTests {
    @Test func `roles are found by their names and no name is taken twice`() {
        for role in Role.allCases { #expect(Role(named: role.name) == role) }
        #expect(Role(named: "nobody") == nil)
        let users = Role.allCases.compactMap(\.user)
        #expect(Set(users).count == users.count)
    }

    @Test func `every daemon has an edge and an edge stands once`() {
        #expect(Set(Topology.edges).count == Topology.edges.count)
        for edge in Topology.edges {
            #expect(edge.left != edge.right)
            #expect(!Topology.edges.contains(Edge(edge.right, edge.left)))
            #expect(Topology.peers(of: edge.left).contains(edge.right))
            #expect(Topology.peers(of: edge.right).contains(edge.left))
        }
        for role in Topology.daemons { #expect(!Topology.peers(of: role).isEmpty) }
    }

    @Test func `the order of replacement is that of the design`() {
        let order: [Role] = [.queue, .lookup, .keys, .resolver, .relay, .listener]
        for (higher, lower) in zip(order, order.dropFirst()) { #expect(higher.rank > lower.rank) }
        #expect(Role.parent.rank > Role.queue.rank && Role.control.rank < Role.mailbox.rank)
    }
}
