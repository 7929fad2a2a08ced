// SPDX-License-Identifier: ISC

import Mail
import Routing
import Testing

@testable import Lookup

@Suite struct `Survey of credentials` {
    private static let hash = "$2b$12$abcdefghijklmnopqrstuuM4ZNBPCrsDpDSKVUdUvpIJAEeQ2Ec6y"

    /// Keys of made-up passwords, each with a salt of its own.
    private static func keys(_ number: Int, rounds: UInt32 = 8192, saltLength: Int = 12) -> String {
        let part = [UInt8](repeating: UInt8(number), count: 32)
        return ScramVerifier(
            rounds: rounds, salt: Array(part.prefix(saltLength)), storedKey: part, serverKey: part
        ).text
    }

    private static func survey(_ values: [String]) -> CredentialSurvey {
        CredentialSurvey(TableContent(mapping: values.enumerated().map { ("user\($0.offset)", $0.element) }))
    }

    @Test func `who is locked stands for nobody`() {
        let survey = Self.survey(["!locked", "", "*", "!\(Self.hash)", Self.hash, "!"])
        for number in 0..<10 { #expect(survey.standIn(for: "guess\(number)") == Self.hash) }
        #expect(Self.survey(["!locked", "*"]).standIn(for: "guess") == nil)
    }

    @Test func `every kind of credential stands for some`() {
        let values = [Self.hash, "$6$abcdefgh$abc", "$y$j9T$abc$def"]
        let survey = Self.survey(values)
        #expect(Set((0..<30).compactMap { survey.standIn(for: "guess\($0)") }) == Set(values))
    }

    @Test func `what SCRAM says of nobody is what it says of others, and the same at each start`() throws {
        let values = (0..<40).map { Self.keys($0) }
        let (one, other) = (Self.survey(values), Self.survey(values.reversed()))
        var salts: Set<[UInt8]> = []
        for number in 0..<20 {
            let verifier = try #require(one.inventedVerifier(of: "guess\(number)"))
            #expect(verifier == other.inventedVerifier(of: "guess\(number)"))
            #expect(verifier.rounds == 8192 && verifier.salt.count == 12)
            salts.insert(verifier.salt)
        }
        #expect(salts.count == 20)
        let long = try #require(Self.survey([Self.keys(1, saltLength: 32), "!"]).inventedVerifier(of: "guess"))
        #expect(long.salt.count == 32 && ScramVerifier(long.text) == long)
        #expect(Self.survey([Self.hash]).inventedVerifier(of: "guess") == nil)
    }

    @Test func `a new user changes what is said of few others`() {
        let values = (0..<100).map { Self.keys($0) }
        let (one, other) = (Self.survey(values), Self.survey(values + [Self.keys(100)]))
        let changed = (0..<40).filter {
            one.inventedVerifier(of: "guess\($0)") != other.inventedVerifier(of: "guess\($0)")
        }
        #expect(changed.count < 10, "\(changed.count)")
    }
}
