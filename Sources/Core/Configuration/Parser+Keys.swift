// SPDX-License-Identifier: ISC

import Bytes
import Mail

extension Parser {
    // ca = "ca" NAME "cert" STR
    mutating func parseCA(_ location: SourceLocation) throws(Failure) {
        let name = try keyName("ca")
        try expect(.cert)
        let path = try string("a file name")
        let definition = CADefinition(name: name, certificatePath: path.text, location: location)
        if let index = configuration.authorities.firstIndex(where: { $0.name == name }) {
            configuration.authorities[index] = definition
        } else {
            configuration.authorities.append(definition)
        }
    }

    // pki = "pki" NAME { "cert" STR | "key" STR | "dhe" STR }
    mutating func parsePKI(_ location: SourceLocation) throws(Failure) {
        let name = try keyName("pki")
        let known = configuration.pki.firstIndex { $0.name == name }
        var definition = PKIDefinition(name: name, location: location)
        if let known { definition = configuration.pki[known] }
        while true {
            if take(.cert) {
                definition.certificatePath = try string("a file name").text
            } else if take(.key) {
                definition.keyPath = try string("a file name").text
            } else if take(.dhe) {
                let word = try string("none, auto or legacy")
                guard let exchange = PKIDefinition.KeyExchange(rawValue: word.text.asciiLowercased) else {
                    throw Failure(message: "invalid DHE keyword: \(VisibleText(word.text))", location: word.location)
                }
                definition.keyExchange = exchange
            } else {
                break
            }
        }
        if let known {
            configuration.pki[known] = definition
        } else {
            configuration.pki.append(definition)
        }
    }

    /// `*` or a host name, in lower case.
    private mutating func keyName(_ kind: String) throws(Failure) -> String {
        let word = try string("a host name")
        guard word.text == "*" || Domain(word.text)?.form == .name else {
            throw Failure(message: "not a valid \(kind) name: \(VisibleText(word.text))", location: word.location)
        }
        return word.text.asciiLowercased
    }

    /// A name of keys that is used before or behind its definition, in lower case.
    mutating func keyReference() throws(Failure) -> Word {
        var word = try string("a pki or ca name")
        word.text = word.text.asciiLowercased
        return word
    }

    /// The versions of TLS, as written.
    mutating func protocols() throws(Failure) -> String {
        let word = try string("a list of protocols")
        guard TLSProtocols(parsing: word.text) != nil else {
            throw Failure(message: "invalid protocols: \(VisibleText(word.text))", location: word.location)
        }
        return word.text
    }

    func checkPKI(_ name: Word) throws(Failure) {
        guard options.completeness == .partial || configuration.pki.contains(where: { $0.name == name.text }) else {
            throw Failure(message: "pki name not found: \(name.text)", location: name.location)
        }
    }

    func checkCA(_ name: Word) throws(Failure) {
        guard options.completeness == .partial || configuration.authorities.contains(where: { $0.name == name.text })
        else { throw Failure(message: "ca name not found: \(name.text)", location: name.location) }
    }

    /// Relay actions may name keys that are defined further down.
    func missingRelayKeys() -> [Failure] {
        var missing: [Failure] = []
        for action in configuration.actions {
            guard case .relay(let relay) = action.kind else { continue }
            if let name = relay.pki, !configuration.pki.contains(where: { $0.name == name }) {
                missing.append(Failure(message: "pki name not found: \(name)", location: action.location))
            }
            if let name = relay.ca, !configuration.authorities.contains(where: { $0.name == name }) {
                missing.append(Failure(message: "ca name not found: \(name)", location: action.location))
            }
        }
        return missing
    }
}
