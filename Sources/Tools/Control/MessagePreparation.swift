// SPDX-License-Identifier: ISC

import Bytes

/// A message as a program wrote it, made fit for submission.
///
/// The header ends at the first empty line, or at the first line that can be none of it, before which an empty line is
/// then put. `From ` lines, Return-Path and Bcc are dropped; From and Date are added where they are missing.
nonisolated struct MessagePreparation: Hashable, Sendable {
    /// What the message alone does not tell.
    struct Circumstances: Hashable, Sendable {
        /// The value of -f, with or without angles; nil when the message tells.
        var sender: String?
        /// The name of the user who calls; nil when the uid has none.
        var login: String?
        var fullName = ""
        /// Completes the address of a From field that is added.
        var hostName = ""
        var arguments: [String] = []
        var readsRecipients = false
        /// The value of a Date field.
        var date: String
    }

    enum Mistake: Error, Hashable, Sendable {
        case noRecipients
        case noSender
        case address(AddressList.Mistake)

        var text: String {
            switch self {
            case .noRecipients: "no recipients"
            case .noSender: "the user has no name: use -f"
            case .address(let mistake): mistake.text
            }
        }
    }

    // RFC 5322 section 2.1.1 allows 998; the reference encodes from here on.
    static let longestLine = 989

    /// Without angles; empty for the null path.
    private(set) var sender = ""
    /// Each once, in the order found.
    private(set) var recipients: [String] = []
    /// Lines end with LF.
    private(set) var content: [UInt8] = []
    var hasEightBit: Bool { content.contains { $0 >= 0x80 } }
    /// An address goes beyond ASCII.
    var isInternational: Bool { ([sender] + recipients).contains { $0.utf8.contains { $0 >= 0x80 } } }
    /// The size after line ends became CRLF, doubled dots not counted.
    var wireSize: Int { content.count + content.count { $0 == .lineFeed } }

    init(_ input: [UInt8], _ circumstances: Circumstances) throws(Mistake) {
        let text = Rows.localLines(input)
        let header = HeaderFields(text)
        do {
            try findRecipients(header, text, circumstances)
            sender = try Self.sender(header, text, circumstances)
        } catch let mistake as AddressList.Mistake {
            throw .address(mistake)
        } catch let mistake as Mistake {
            throw mistake
        } catch {
            throw .noSender
        }
        write(header, text, circumstances)
    }

    // MARK: Addresses

    private mutating func findRecipients(
        _ header: HeaderFields, _ text: [UInt8], _ circumstances: Circumstances
    ) throws {
        var found = Set<String>()
        func add(_ list: AddressList) throws(AddressList.Mistake) {
            for address in list.addresses where found.insert(address).inserted { recipients.append(address) }
            if recipients.count > AddressList.mostAddresses { throw .tooMany }
        }
        for argument in circumstances.arguments { try add(try AddressList(argument)) }
        if circumstances.readsRecipients {
            for field in header.fields where field.isAny(of: ["to", "cc", "bcc"]) {
                try add(try AddressList(parsing: text.span.extracting(field.body)))
            }
        }
        guard !recipients.isEmpty else { throw Mistake.noRecipients }
    }

    private static func sender(
        _ header: HeaderFields, _ text: [UInt8], _ circumstances: Circumstances
    ) throws -> String {
        if let given = circumstances.sender {
            let isNull = given.isEmpty || given == "<>"
            guard !isNull else { return "" }
            let list = try AddressList(given)
            guard list.addresses.count == 1 else { throw AddressList.Mistake.invalid("\(VisibleText(given))") }
            return list.addresses[0]
        }
        if let field = header.fields.first(where: { $0.name == "from" }),
            let list = try? AddressList(parsing: text.span.extracting(field.body)), let first = list.addresses.first
        {
            return first
        }
        guard let login = circumstances.login else { throw Mistake.noSender }
        return login
    }

    // MARK: Content

    private mutating func write(_ header: HeaderFields, _ text: [UInt8], _ circumstances: Circumstances) {
        let body = text[header.bodyStart...]
        let isLong = Self.hasLongLine(body)
        content.reserveCapacity(text.count + 512)
        for field in header.fields where !field.isAny(of: ["", "return-path", "bcc", "resent-bcc"]) {
            content += text[field.whole]
            if content.last != .lineFeed { content.append(.lineFeed) }
        }
        if !header.has("from") {
            var address = sender.isEmpty ? circumstances.login ?? "MAILER-DAEMON" : sender
            // Those who read the message elsewhere could not answer a name without a host.
            if !address.utf8.contains(UInt8(ascii: "@")), !circumstances.hostName.isEmpty {
                address += "@\(circumstances.hostName)"
            }
            content.append("From: \(DisplayName(circumstances.fullName).before(address))\n")
        }
        if !header.has("date") { content.append("Date: \(circumstances.date)\n") }
        // The parts of a composite message are encoded one by one or not at all (RFC 2045 section 6.4).
        let encodes = isLong && !header.has("content-transfer-encoding") && !header.isComposite(text)
        if encodes {
            if !header.has("mime-version") { content.append("MIME-Version: 1.0\n") }
            if !header.has("content-type") {
                content.append("Content-Type: text/plain; charset=\(Self.characterSet(body))\n")
            }
            content.append("Content-Transfer-Encoding: quoted-printable\n")
        }
        content.append(.lineFeed)
        if encodes { content += QuotedPrintable.encode(body) } else { content += body }
        if content.last != .lineFeed { content.append(.lineFeed) }
    }

    private static func hasLongLine(_ body: ArraySlice<UInt8>) -> Bool {
        var length = 0
        for byte in body {
            length = byte == .lineFeed ? 0 : length + 1
            if length > longestLine { return true }
        }
        return false
    }

    private static func characterSet(_ body: ArraySlice<UInt8>) -> String {
        if body.allSatisfy({ $0 < 0x80 }) { return "us-ascii" }
        return String(validating: body, as: UTF8.self) == nil ? "unknown-8bit" : "utf-8"
    }
}
