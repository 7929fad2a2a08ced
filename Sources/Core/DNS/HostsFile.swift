// SPDX-License-Identifier: ISC

import Bytes
public import Mail

/// The names and addresses that the host itself knows, from the text of /etc/hosts (hosts(5)).
public struct HostsFile: Hashable, Sendable {
    // Lines of names to be blocked run to some hundred thousand.
    public static let mostEntries = 200_000
    public static let longestLine = 4096

    private var addressesByName: [Domain: [IPAddress]] = [:]
    private var nameByAddress: [IPAddress: Domain] = [:]

    // entry = address 1*( blank name ) [ "#" comment ]
    /// Lines that are none of these are left out, as every reader of the file does.
    public init(parsing text: Span<UInt8>) {
        var rest = text
        var entries = 0
        while !rest.isEmpty, entries < Self.mostEntries {
            var line = rest.take(while: { $0 != .lineFeed })
            _ = rest.take(byte: .lineFeed)
            guard line.count <= Self.longestLine else { continue }
            line = line.take(while: { $0 != UInt8(ascii: "#") })
            guard let address = line.takeWord().flatMap({ IPAddress($0) }) else { continue }
            while let word = line.takeWord(), entries < Self.mostEntries {
                guard let name = Domain(word), name.form == .name else { continue }
                entries += 1
                if !(addressesByName[name] ?? []).contains(address) {
                    addressesByName[name, default: []].append(address)
                }
                // The first name of the first line is the official one.
                if nameByAddress[address] == nil { nameByAddress[address] = name }
            }
        }
    }

    /// The addresses of `name` in the order of the file; empty when it is not there.
    public func addresses(of name: Domain) -> [IPAddress] { addressesByName[name] ?? [] }

    public func name(of address: IPAddress) -> Domain? { nameByAddress[address] }
}

extension Span where Element == UInt8 {
    /// Takes blanks and the word behind them; nil at the end. CR is a blank, so that a file from elsewhere can be read.
    mutating func takeWord() -> String? {
        _ = take(while: { $0.isBlank || $0 == .carriageReturn })
        let word = take(while: { !$0.isBlank && $0 != .carriageReturn })
        return word.isEmpty ? nil : String(displaying: word)
    }
}
