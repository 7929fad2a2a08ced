// SPDX-License-Identifier: ISC

/// Text that a remote party chose, made fit for one line of a log: control characters, quotes and
/// backslashes are escaped, so that no line and no field can be forged.
public struct VisibleText: Sendable, CustomStringConvertible {
    public let description: String

    /// At most `limit` bytes of `text`, each byte outside printable ASCII as `\ooo`.
    public init(_ text: some Sequence<UInt8>, limit: Int = 512) {
        var output: [UInt8] = []
        for byte in text.prefix(limit) {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                output.append(UInt8(ascii: "\\"))
                output.append(byte)
            case 0x20..<0x7F:
                output.append(byte)
            default:
                output.append(UInt8(ascii: "\\"))
                for shift in [6, 3, 0] { output.append(0x30 + (byte >> UInt8(shift)) & 7) }
            }
        }
        description = String(decoding: output, as: UTF8.self)
    }

    public init(_ text: String, limit: Int = 512) { self.init(text.utf8, limit: limit) }
}
