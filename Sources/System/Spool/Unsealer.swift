// SPDX-License-Identifier: ISC

/// Makes of what stands on the disk what was to be kept.
struct Unsealer {
    let cipher: Cipher

    init(_ keys: SpoolKeys = SpoolKeys()) { cipher = Cipher(keys) }

    /// Calls `body` with the payload of a record whose sum was right; nil when it, or its flags, make no sense.
    func withPayload<Value>(
        of record: UnsafeRawBufferPointer, _ header: RecordHeader, _ body: (UnsafeRawBufferPointer) -> Value?
    ) throws(Cipher.Fault) -> Value? {
        let stored = UnsafeRawBufferPointer(rebasing: record[RecordLayout.headerSize..<header.length])
        if header.flags.isEmpty { return body(stored) }
        guard header.flags.contains(.encrypted) else {
            return Compression.inflated(stored)?.withUnsafeBytes(body)
        }
        let associated = UnsafeRawBufferPointer(rebasing: record[RecordHeader.associated])
        let plain = try cipher.open(stored, associated: associated)
        guard header.flags.contains(.deflated) else { return plain.withUnsafeBytes(body) }
        return plain.withUnsafeBytes { Compression.inflated($0) }?.withUnsafeBytes(body)
    }
}
