// SPDX-License-Identifier: ISC

public import Mail

/// A part of a message as it will be stored and sent: bytes of ours, or a range of the content as it came.
public enum Piece: Hashable, Sendable {
    case bytes([UInt8])
    case range(Range<Int>)
}

/// Fields that a submitted message gets where it has none (RFC 6409 section 8).
public struct MissingFields: Hashable, Sendable {
    public var date: MailDate
    /// With its angle brackets.
    public var messageID: String

    public init(date: MailDate, messageID: String) {
        self.date = date
        self.messageID = messageID
    }
}

/// Lists what a message is made of: our trace field, fields that were missing, and the content without its Bcc fields.
public enum MessagePieces {
    /// Of all values that submission rewrites, in bytes: with the trace field far below what Queue takes of new content.
    public static let mostRewritten = 192 * 1024

    /// What submission makes of addresses in the header: those without a domain get that of the server, unless it would be
    /// too much; those in From become `author`, where there is one. nil when that cannot be, so that From would not be true.
    public static func rewritten(
        _ findings: HeaderFindings, serverName: Domain, author: Mailbox?
    ) -> [(range: Range<Int>, bytes: [UInt8])]? {
        if author != nil, findings.lacksFrom { return nil }
        var found: [(range: Range<Int>, bytes: [UInt8])] = []
        var left = mostRewritten
        for field in findings.addressFields {
            let truth = field.kind == .from ? author : nil
            let rewriting =
                truth.map { field.masqueraded(as: $0, most: left) } ?? field.completed(with: serverName, most: left)
            switch rewriting {
            case .unchanged:
                break
            case .changed(let bytes):
                left -= bytes.count
                found.append((field.range, bytes))
            case .tooLong:
                if truth != nil { return nil }
            }
        }
        return found
    }

    /// The pieces in order, none empty. `contentCount` is the length of the scanned content in bytes; `missing` is
    /// given where absent fields are to be added.
    /// `replacements` are values of fields with what stands in their place.
    public static func list(
        _ findings: HeaderFindings, contentCount: Int, trace: [UInt8], missing: MissingFields? = nil,
        replacements: [(range: Range<Int>, bytes: [UInt8])] = []
    ) -> [Piece] {
        var added = trace
        if let missing {
            if !findings.hasDate { added.append(contentsOf: "Date: \(missing.date)\r\n".utf8) }
            if !findings.hasMessageID { added.append(contentsOf: "Message-ID: \(missing.messageID)\r\n".utf8) }
        }
        var pieces: [Piece] = added.isEmpty ? [] : [.bytes(added)]
        var start = 0
        let edits = findings.bccRanges.map { (range: $0, bytes: [UInt8]()) } + replacements
        for edit in edits.sorted(by: { $0.range.lowerBound < $1.range.lowerBound }) {
            if edit.range.lowerBound > start { pieces.append(.range(start..<edit.range.lowerBound)) }
            if !edit.bytes.isEmpty { pieces.append(.bytes(edit.bytes)) }
            start = max(start, edit.range.upperBound)
        }
        if contentCount > start { pieces.append(.range(start..<contentCount)) }
        // RFC 5322 section 3.5: only the empty line tells a body, so it stands also where there is none.
        if findings.bodyStart == nil, findings.fault == nil {
            let isCut = findings.isUnterminated && findings.bccRanges.last?.upperBound != contentCount
            pieces.append(.bytes(Array((isCut ? "\r\n\r\n" : "\r\n").utf8)))
        }
        return pieces
    }
}
