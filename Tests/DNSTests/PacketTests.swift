// SPDX-License-Identifier: ISC

import Bytes
import Chance
import DNS
import Mail
import Testing

/// Writes packets as a server would, and as none would.
struct PacketWriter {
    var bytes: [UInt8]

    init(_ question: String, _ type: RecordType, answers: Int, flags: UInt16 = 0x8180) {
        bytes = [0x12, 0x34]
        number(flags)
        number(1)
        number(UInt16(answers))
        number(0)
        number(0)
        name(question)
        number(type.rawValue)
        number(1)
    }

    mutating func number(_ value: UInt16) { bytes += [UInt8(value >> 8), UInt8(value & 0xFF)] }

    mutating func name(_ text: String) {
        for label in text.split(separator: ".") { bytes += [UInt8(label.utf8.count)] + Array(label.utf8) }
        bytes.append(0)
    }

    /// A record for the name at `offset`, by default that of the question.
    mutating func record(_ type: RecordType, life: UInt32 = 300, at offset: UInt16 = 12, _ data: [UInt8]) {
        number(0xC000 | offset)
        number(type.rawValue)
        number(1)
        number(UInt16(life >> 16))
        number(UInt16(life & 0xFFFF))
        number(UInt16(data.count))
        bytes += data
    }

    static func wire(_ text: String) -> [UInt8] {
        text.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0]
    }
}

@Suite struct PacketTests {
    static func name(_ text: String) -> Name { Name(text: text) ?? .root }

    static var addresses: [UInt8] {
        var writer = PacketWriter("Mail.example.org", .address, answers: 3)
        writer.record(.address, life: 60, [192, 0, 2, 1])
        writer.record(RecordType(rawValue: 46), [1, 2, 3])
        writer.record(.address, [192, 0, 2, 2])
        return writer.bytes
    }

    static var exchanges: [UInt8] {
        var writer = PacketWriter("example.org", .mailExchange, answers: 2)
        // mx.<example.org by pointer>
        writer.record(.mailExchange, [0, 10, 2, 0x6D, 0x78, 0xC0, 12])
        writer.record(.mailExchange, [0, 20] + PacketWriter.wire("MX2.example.org"))
        return writer.bytes
    }

    static var aliases: [UInt8] {
        var writer = PacketWriter("www.example.org", .address6, answers: 3)
        writer.record(.canonicalName, life: 30, PacketWriter.wire("a.example.org"))
        let second = UInt16(writer.bytes.count - PacketWriter.wire("a.example.org").count)
        writer.record(.canonicalName, at: second, PacketWriter.wire("b.example.org"))
        let third = UInt16(writer.bytes.count - PacketWriter.wire("b.example.org").count)
        writer.record(.address6, at: third, [0x20, 1, 0xD, 0xB8] + [UInt8](repeating: 0, count: 11) + [1])
        return writer.bytes
    }

    static var others: [UInt8] {
        var writer = PacketWriter("1.2.0.192.in-addr.arpa", .pointer, answers: 3)
        writer.record(.pointer, PacketWriter.wire("mail.example.org"))
        writer.record(.text, [3, 0x61, 0x62, 0x63, 0, 1, 0x64])
        writer.record(.tlsa, [3, 1, 1, 0xAA, 0xBB])
        return writer.bytes
    }

    static var good: [[UInt8]] { [addresses, exchanges, aliases, others] }

    @Test func `of too many exchangers the best are kept, and the alias that leads to them`() throws {
        // Compression pointers: the question's name at 12, the alias's target behind the question.
        var packet: [UInt8] = [0, 1, 0x81, 0x80, 0, 1, 0x03, 0xE8, 0, 0, 0, 0]
        packet += [1, 0x61, 0] + [0, 15, 0, 1]
        for number in 0..<999 {
            let preference = UInt16(2000 - number)
            packet += [1, 0x62, 0, 0, 15, 0, 1, 0, 0, 0, 60, 0, 5, UInt8(preference >> 8), UInt8(preference & 0xFF)]
            packet += [1, 0x63, 0]
        }
        packet += [0xC0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 3, 1, 0x62, 0]
        let answer = try Answer(parsing: packet.span)
        #expect(answer.canonicalName == Name(text: "b"))
        let preferences = answer.contents.compactMap { content in
            if case .mailExchange(let preference, _) = content { Int(preference) } else { nil }
        }
        #expect(preferences.sorted() == Array(1002...1100))
    }

    @Test func `records become values`() throws {
        let answer = try Answer(parsing: Self.addresses.span)
        #expect(answer.addresses.map(\.description) == ["192.0.2.1", "192.0.2.2"])
        #expect(answer.timeToLive == .seconds(60))
        #expect(answer.canonicalName == Self.name("mail.EXAMPLE.org."))
        #expect(answer.responseCode == .success)

        let mail = try Answer(parsing: Self.exchanges.span)
        let first = Record.Content.mailExchange(preference: 10, exchange: Self.name("mx.example.org"))
        #expect(mail.contents == [first, .mailExchange(preference: 20, exchange: Self.name("mx2.example.org"))])

        let alias = try Answer(parsing: Self.aliases.span)
        #expect(alias.addresses.map(\.description) == ["2001:db8::1"])
        #expect(alias.canonicalName == Self.name("b.example.org"))
        #expect(alias.timeToLive == .seconds(30))

        let packet = try Packet(parsing: Self.others.span)
        #expect(packet.identifier == 0x1234)
        #expect(packet.answers.map(\.content).dropFirst().first == .text(Array("abcd".utf8)))
        let association = packet.answers.last.map { record -> [UInt8] in
            if case .tlsa(let tlsa) = record.content { return tlsa.association }
            return []
        }
        #expect(association == [0xAA, 0xBB])
        #expect(try Answer(packet).pointers.map(\.text) == ["mail.example.org"])
    }

    @Test func `no prefix of a packet is one`() {
        for packet in Self.good {
            for count in 0..<packet.count {
                #expect(throws: PacketFault.self) { try Packet(parsing: packet.span.extracting(first: count)) }
            }
        }
    }

    @Test func `names that lead in a circle, forward or nowhere are refused`() {
        func fault(_ name: [UInt8]) -> PacketFault? {
            let packet: [UInt8] = [0, 1, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0] + name + [0, 1, 0, 1]
            do throws(PacketFault) {
                _ = try Packet(parsing: packet.span)
                return nil
            } catch {
                return error
            }
        }
        #expect(fault([1, 0x61, 0]) == nil)
        #expect(fault([0xC0, 12]) == .badPointer)
        #expect(fault([0xC0, 14]) == .badPointer)
        #expect(fault([1, 0x61, 0xC0, 12]) == .badPointer)
        #expect(fault([0xFF, 0xFF]) == .badPointer)
        #expect(fault([0x40, 0x61]) == .badLabel)
        #expect(fault([0x80, 0x61]) == .badLabel)
        #expect(fault([63]) == .truncated)
        // Into the header: bytes of it read as labels, never beyond the pointer itself.
        #expect(fault([0xC0, 1]) == .badLabel)
        let label = [63] + [UInt8](repeating: 0x61, count: 63)
        #expect(fault(label + label + label + [61] + [UInt8](repeating: 0x61, count: 61) + [0]) == nil)
        #expect(fault(label + label + label + [62] + [UInt8](repeating: 0x61, count: 62) + [0]) == .nameTooLong)
    }

    @Test func `a ladder of pointers is climbed for 128 steps`() {
        // Pointers in the data of records of an unknown type, each to the one before.
        func packet(steps: Int) -> [UInt8] {
            var ladder: [UInt8] = [0]
            var writer = PacketWriter("example.org", .pointer, answers: 2)
            let base = writer.bytes.count + 12
            for step in 0..<steps {
                let target = step == 0 ? base : base + 1 + (step - 1) * 2
                ladder += [0xC0 | UInt8(target >> 8), UInt8(target & 0xFF)]
            }
            writer.record(RecordType(rawValue: 99), ladder)
            let last = base + 1 + (steps - 1) * 2
            writer.record(.pointer, [0xC0 | UInt8(last >> 8), UInt8(last & 0xFF)])
            return writer.bytes
        }
        #expect(throws: Never.self) { try Packet(parsing: packet(steps: 127).span) }
        #expect(throws: PacketFault.badPointer) { try Packet(parsing: packet(steps: 128).span) }
    }

    @Test func `counts are bounded`() throws {
        var many = PacketWriter("example.org", .address, answers: 1000)
        for _ in 0..<1000 { many.record(.address, [192, 0, 2, 1]) }
        #expect(try Packet(parsing: many.bytes.span).answers.count == 100)
        let more = PacketWriter("example.org", .address, answers: 1001)
        #expect(throws: PacketFault.tooManyRecords) { try Packet(parsing: more.bytes.span) }
    }

    @Test func `aliases are followed sixteen times`() throws {
        func packet(_ count: Int, isCircle: Bool = false) -> [UInt8] {
            var writer = PacketWriter("n0", .address, answers: count)
            var owner: UInt16 = 12
            for index in 1...count {
                let target = PacketWriter.wire(isCircle && index == count ? "n0" : "n\(index)")
                writer.record(.canonicalName, at: owner, target)
                owner = UInt16(writer.bytes.count - target.count)
            }
            return writer.bytes
        }
        #expect(try Answer(parsing: packet(16).span).canonicalName == Self.name("n16"))
        #expect(throws: PacketFault.tooManyAliases) { try Answer(parsing: packet(17).span) }
        #expect(throws: PacketFault.tooManyAliases) { try Answer(parsing: packet(2, isCircle: true).span) }
    }

    @Test(
        arguments: [
            (RecordType.address, [1, 2, 3]), (.address6, [1, 2, 3, 4]), (.mailExchange, [0, 1]),
            (.mailExchange, [0, 1, 0, 0]),
            (.pointer, []), (.text, [5, 1]), (.tlsa, [1, 2, 3]), (.canonicalName, [1, 0x61, 0, 1]),
        ] as [(RecordType, [UInt8])]) func `data must have the form of their type`(type: RecordType, data: [UInt8])
    {
        var writer = PacketWriter("example.org", type, answers: 1)
        writer.record(type, data)
        writer.bytes += [0, 0, 0, 0]
        #expect(throws: PacketFault.self) { try Packet(parsing: writer.bytes.span) }
    }

    @Test func `times to live are sane`() throws {
        var writer = PacketWriter("example.org", .address, answers: 2)
        writer.record(.address, life: 0x8000_0000, [192, 0, 2, 1])
        writer.record(.address, life: 0x7FFF_FFFF, [192, 0, 2, 1])
        #expect(try Packet(parsing: writer.bytes.span).answers.map(\.timeToLive) == [.seconds(0), .days(7)])
    }

    @Test func `a question is no response, and codes are told`() throws {
        #expect(throws: PacketFault.notAResponse) {
            try Packet(parsing: PacketWriter("example.org", .address, answers: 0, flags: 0x0100).bytes.span)
        }
        for (code, wanted) in [(3, ResponseCode.noSuchName), (2, .serverFailure), (5, .refused), (9, .other(9))] {
            let packet = PacketWriter("example.org", .address, answers: 0, flags: 0x8180 | UInt16(code)).bytes
            #expect(try Answer(parsing: packet.span).responseCode == wanted)
        }
    }

    @Test func `twenty thousand damaged packets do no harm`() {
        var random = TestRandom(seed: 6)
        let good = Self.good
        for round in 0..<20_000 {
            var packet = good[round % good.count]
            for _ in 0..<Int.random(in: 1..<6, using: &random) {
                let index = Int.random(in: 0..<packet.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: packet[index] = UInt8.random(in: 0...255, using: &random)
                case 1: packet[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                case 2: packet[index] = 0xC0
                default: packet.remove(at: index)
                }
            }
            guard let answer = try? Answer(parsing: packet.span) else { continue }
            for pointer in answer.pointers { #expect(Name(pointer) != nil) }
            #expect(answer.canonicalName.description.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F })
        }
    }
}

@Suite struct NameTests {
    @Test func `names of hosts are told from others`() {
        #expect(Name(text: "MX.example.org.")?.domain?.text == "mx.example.org")
        #expect(Name(text: "_25._tcp.mx.example.org")?.domain != nil)
        #expect(Name.root.domain == nil)
        #expect(Name.root.description == ".")
        #expect(Name(text: "a b")?.domain == nil)
        #expect(Name(text: "a b\u{7}")?.description == "a b\\007")
        #expect(Name(text: "a..b") == nil)
        #expect(Name(text: String(repeating: "a", count: 64)) == nil)
        #expect(Name(text: "")?.isRoot == true)
    }
}
