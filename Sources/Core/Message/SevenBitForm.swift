// SPDX-License-Identifier: ISC

import Bytes

/// What a first reading of a message finds out for its conversion to seven bits.
public struct EightBitFindings: Hashable, Sendable {
    /// Why it cannot be converted.
    public enum Fault: Hashable, Sendable {
        /// In a header, where no encoding could be undone by whoever reads it.
        case header
        /// In a part that says that it is encoded, or of a type that must not be (RFC 2046 section 5.2).
        case part
        case headerTooLarge
        case tooManyParts
    }

    /// Of each part that is no container, in their order: its bytes, and those of them beyond seven bits.
    struct Leaf: Hashable, Sendable {
        var bytes = 0
        var eightBit = 0
    }

    public internal(set) var fault: Fault?
    public internal(set) var hasEightBit = false
    var leaves: [Leaf] = []
}

/// Reads a message line by line as MIME has it (RFC 2045, RFC 2046), and writes it again with no byte beyond seven bits:
/// texts as quoted-printable, everything else as base64 (RFC 6152 section 3).
///
/// Twice the same way: without findings to make them, and with findings to write what they call for. Lines end with CRLF;
/// containers stay what they are, down to any depth, and a part that is plain or encoded already is not touched.
public struct SevenBitForm: Sendable {
    public static let largestHeader = 256 << 10
    public static let mostParts = 10_000
    // RFC 2046 section 5.1.1: 70 characters.
    static let longestBoundary = 70
    public static let deepestNesting = 100
    // Longer lines are handled in pieces; what stands at their end decides nothing.
    static let longestPiece = 2048

    private enum Place {
        case header
        /// Between the parts of a container: nobody reads it.
        case filling
        case leaf(Encoding)
    }

    enum Encoding {
        case none
        case quotedPrintable
        case base64
    }

    private let plan: EightBitFindings?
    public private(set) var findings = EightBitFindings()
    private var place = Place.header
    private var boundaries: [[UInt8]] = []
    // The type of a part that says none, and whether the header is the outermost.
    private var isInDigest: [Bool] = []
    private var isOutermost = true
    private var header: [UInt8] = []
    private var leafCount = 0
    private var line: [UInt8] = []
    private var isLineStart = true
    private var printer = QuotedPrintableWriter()
    private var coder = Base64Writer()

    /// A first reading, which finds out what there is.
    public init() { plan = nil }

    /// The conversion of the message that `findings` were made of.
    public init(_ findings: EightBitFindings) { plan = findings }

    /// Takes the next bytes of the message; appends what they become, in a conversion.
    public mutating func take(_ bytes: Span<UInt8>, into output: inout [UInt8]) {
        var rest = bytes
        while !rest.isEmpty {
            let room = Self.longestPiece - line.count
            let window = rest.extracting(first: min(room, rest.count))
            if let end = window.firstIndex(of: .lineFeed) {
                line.append(window.extracting(first: end + 1))
                rest = rest.extracting(droppingFirst: end + 1)
                endPiece(isLineEnd: true, into: &output)
            } else {
                line.append(window)
                rest = rest.extracting(droppingFirst: window.count)
                if line.count == Self.longestPiece { endPiece(isLineEnd: false, into: &output) }
            }
        }
    }

    /// The message has ended.
    public mutating func finish(into output: inout [UInt8]) {
        if !line.isEmpty { endPiece(isLineEnd: false, into: &output) }
        if case .header = place { endHeader(into: &output) }
        endLeaf(isBeforeBoundary: false, into: &output)
    }

    private mutating func endPiece(isLineEnd: Bool, into output: inout [UInt8]) {
        let piece = line
        line.removeAll(keepingCapacity: true)
        let isStart = isLineStart
        isLineStart = isLineEnd
        if piece.contains(where: { $0 >= 0x80 }) { findings.hasEightBit = true }
        if isStart, piece.count >= 2, piece[0] == UInt8(ascii: "-"), piece[1] == UInt8(ascii: "-"),
            let (depth, isLast) = boundary(piece)
        {
            if case .header = place { endHeader(into: &output) }
            endLeaf(isBeforeBoundary: true, into: &output)
            if plan != nil { output += piece }
            boundaries.removeLast(boundaries.count - depth - (isLast ? 0 : 1))
            isInDigest.removeLast(isInDigest.count - depth - (isLast ? 0 : 1))
            place = isLast ? .filling : .header
            return
        }
        switch place {
        case .header:
            if isStart, piece == [.carriageReturn, .lineFeed] || piece == [.lineFeed] {
                endHeader(into: &output)
                // The container's own lines, or the header of the message inside, may have come into place.
                if plan != nil { output += [.carriageReturn, .lineFeed] }
            } else if header.count + piece.count > Self.largestHeader {
                findings.fault = findings.fault ?? .headerTooLarge
            } else {
                header += piece
            }
        case .filling:
            if plan != nil { output += piece.map { $0 < 0x80 ? $0 : UInt8(ascii: "?") } }
        case .leaf(let encoding):
            take(leafPiece: piece, encoding, into: &output)
        }
    }

    /// The container whose boundary the line is, by its depth, and whether it is the closing one.
    private func boundary(_ piece: [UInt8]) -> (depth: Int, isLast: Bool)? {
        var end = piece.count
        while end > 2, piece[end - 1].isBlank || piece[end - 1] == .lineFeed || piece[end - 1] == .carriageReturn {
            end -= 1
        }
        let text = piece[2..<end]
        for depth in boundaries.indices.reversed() {
            let name = boundaries[depth]
            if text.elementsEqual(name) { return (depth, false) }
            if text.count == name.count + 2, text.starts(with: name), text.suffix(2).elementsEqual("--".utf8) {
                return (depth, true)
            }
        }
        return nil
    }

    // MARK: Headers

    private mutating func endHeader(into output: inout [UInt8]) {
        let fields = MIMEFields(header)
        header = []
        if fields.hasEightBit { findings.fault = findings.fault ?? .header }
        let isFirst = isOutermost
        isOutermost = false
        let type = fields.type ?? (isInDigest.last == true ? "message/rfc822" : "text/plain")
        if type.hasPrefix("multipart/"), let name = fields.boundary, name.count <= Self.longestBoundary,
            boundaries.count < Self.deepestNesting
        {
            boundaries.append(name)
            isInDigest.append(type == "multipart/digest")
            place = .filling
            if plan != nil { fields.write(encoding: fields.isIdentity ? nil : "7bit", to: &output) }
        } else if type == "message/rfc822" || type == "message/news", fields.isPlain {
            place = .header
            if plan != nil { fields.write(encoding: fields.isIdentity ? nil : "7bit", to: &output) }
        } else {
            let encoding = chooseEncoding(type, fields)
            place = .leaf(encoding)
            guard plan != nil else { return }
            switch encoding {
            case .none:
                fields.write(encoding: fields.isIdentity || !fields.isPlain ? nil : "7bit", to: &output)
            case .quotedPrintable, .base64:
                if isFirst, !fields.hasVersion { output.append("MIME-Version: 1.0\r\n" as StaticString) }
                if fields.type == nil {
                    // RFC 1428 section 3
                    output.append("Content-Type: text/plain; charset=unknown-8bit\r\n" as StaticString)
                }
                fields.write(encoding: encoding == .base64 ? "base64" : "quoted-printable", to: &output)
            }
        }
    }

    private mutating func chooseEncoding(_ type: String, _ fields: MIMEFields) -> Encoding {
        let number = leafCount
        leafCount += 1
        guard let plan else {
            if number == Self.mostParts { findings.fault = findings.fault ?? .tooManyParts }
            if number < Self.mostParts { findings.leaves.append(EightBitFindings.Leaf()) }
            mayEncode = fields.isPlain && !type.hasPrefix("message/") && !type.hasPrefix("multipart/")
            return .none
        }
        guard number < plan.leaves.count, plan.leaves[number].eightBit > 0 else { return .none }
        // Each byte that quoted-printable has to encode costs three, base64 four thirds for all.
        let isMostlyText = plan.leaves[number].eightBit * 6 < plan.leaves[number].bytes
        return type.hasPrefix("text/") || isMostlyText ? .quotedPrintable : .base64
    }

    private var mayEncode = true

    // MARK: Parts

    private mutating func take(leafPiece piece: [UInt8], _ encoding: Encoding, into output: inout [UInt8]) {
        guard plan != nil else {
            let count = piece.reduce(0) { $0 + ($1 >= 0x80 ? 1 : 0) }
            if count > 0, !mayEncode { findings.fault = findings.fault ?? .part }
            guard !findings.leaves.isEmpty, leafCount <= Self.mostParts else { return }
            findings.leaves[findings.leaves.count - 1].bytes += piece.count
            findings.leaves[findings.leaves.count - 1].eightBit += count
            return
        }
        switch encoding {
        case .none: output += piece
        case .quotedPrintable: printer.take(piece, into: &output)
        case .base64: coder.take(piece, into: &output)
        }
    }

    private mutating func endLeaf(isBeforeBoundary: Bool, into output: inout [UInt8]) {
        guard plan != nil, case .leaf(let encoding) = place else { return }
        switch encoding {
        case .none: break
        case .quotedPrintable: printer.finish(into: &output)
        // RFC 2046 section 5.1.1: the line end before a boundary is the boundary's.
        case .base64: coder.finish(dropsLineEnd: isBeforeBoundary, into: &output)
        }
    }
}
