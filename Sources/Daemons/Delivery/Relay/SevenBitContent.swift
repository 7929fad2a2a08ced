// SPDX-License-Identifier: ISC

import Message

/// What has to be done with content for a server that takes seven bits only.
enum SevenBitContent {
    case plain
    case converted(EightBitFindings, size: UInt64)
    case inconvertible

    /// Reads the content, twice where it has to be converted: its size then is known before it is sent.
    static func examine(_ content: Content) async throws -> SevenBitContent {
        var form = SevenBitForm()
        var nothing: [UInt8] = []
        var reader = Content.Reader(content)
        while let slice = try reader.next() {
            form.take(slice.span, into: &nothing)
            await Task.yield()
        }
        form.finish(into: &nothing)
        let findings = form.findings
        guard findings.hasEightBit else { return .plain }
        guard findings.fault == nil else { return .inconvertible }
        var conversion = SevenBitForm(findings)
        var size: UInt64 = 0
        var output: [UInt8] = []
        reader = Content.Reader(content)
        while let slice = try reader.next() {
            conversion.take(slice.span, into: &output)
            size += UInt64(output.count)
            output.removeAll(keepingCapacity: true)
            await Task.yield()
        }
        conversion.finish(into: &output)
        return .converted(findings, size: size + UInt64(output.count))
    }
}
