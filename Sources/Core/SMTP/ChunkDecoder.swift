// SPDX-License-Identifier: ISC

public import Bytes
public import Mail

/// Looks at the content that comes in chunks (RFC 3030), which ends by count and not by a dot.
///
/// What holds for the lines behind DATA holds here too: a CR or LF by itself and a NUL are violations, and so the next
/// host sees the message that we saw. Only the body of a message that was announced as binary may hold any byte. Behind a
/// violation nothing is written. Chunks may be cut anywhere, within a line end too.
public struct ChunkDecoder: Sendable {
    private let isBinary: Bool
    private let limit: ByteCount
    private let maximumHops: Int
    private var header = HeaderWatch()
    private var followsReturn = false
    public private(set) var findings = ContentFindings(size: ByteCount(0))

    /// `limit`: most bytes of content; `maximumHops`: as many `Received:` fields are a loop.
    public init(_ body: MessageRequest.Body?, limit: ByteCount, maximumHops: Int) {
        switch body {
        case .binaryMIME: isBinary = true
        case .sevenBit, .eightBitMIME, nil: isBinary = false
        }
        self.limit = limit
        self.maximumHops = maximumHops
    }

    /// Appends the next content to `output`.
    public mutating func decode(_ input: Span<UInt8>, into output: inout [UInt8]) {
        guard findings.violation == nil else { return }
        findings.size.value += input.count
        guard findings.size <= limit else { return note(.tooBig) }
        check(input)
        if findings.violation == nil { output.append(input) }
    }

    /// The last chunk has ended.
    public mutating func finish() {
        if followsReturn { note(.strayLineEnd) }
    }

    private var isFree: Bool { isBinary && header.isOver }

    private mutating func check(_ input: Span<UInt8>) {
        var start = 0
        var index = 0
        while index < input.count, !isFree {
            if followsReturn {
                guard input[index] == .lineFeed else { return note(.strayLineEnd) }
                followsReturn = false
                index += 1
                observe(input.extracting(start..<index))
                start = index
                guard findings.violation == nil else { return }
                continue
            }
            index = input.indexOfLineControl(from: index)
            guard index < input.count else { break }
            switch input[index] {
            case .carriageReturn: followsReturn = true
            case .lineFeed: return note(.strayLineEnd)
            default: return note(.nul)
            }
            index += 1
        }
        if start < input.count { observe(input.extracting(start...)) }
    }

    private mutating func observe(_ content: Span<UInt8>) {
        guard !header.isOver else { return }
        header.observe(content)
        findings.hops = header.hops
        if header.isMalformed { note(.malformed) }
        if header.hops >= maximumHops { note(.loop) }
    }

    private mutating func note(_ violation: ContentViolation) {
        if findings.violation == nil { findings.violation = violation }
    }
}
