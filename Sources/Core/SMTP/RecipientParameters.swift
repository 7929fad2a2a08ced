// SPDX-License-Identifier: ISC

import Bytes
public import Mail

/// What stands behind the path of RCPT; each recipient has its own.
public struct RecipientParameters: Hashable, Sendable {
    // RFC 3461 section 4.2
    static let longestOriginalRecipient = 500

    public var report: ReportRequest

    public init(report: ReportRequest = ReportRequest()) { self.report = report }

    init(parsing arguments: Span<UInt8>, extensions: ServerExtensions) throws(CommandError) {
        self.init()
        var rest = arguments
        while var parameter = rest.takeParameter() {
            let keyword = parameter.take(while: { $0 != UInt8(ascii: "=") })
            _ = parameter.take(byte: UInt8(ascii: "="))
            if extensions.contains(.deliveryStatus), keyword.equalsCaseInsensitively("NOTIFY") {
                guard report.notify.isEmpty else { throw .invalidParameter("NOTIFY") }
                report.notify = try Self.notify(parameter)
            } else if extensions.contains(.deliveryStatus), keyword.equalsCaseInsensitively("ORCPT") {
                guard report.originalRecipient == nil else { throw .invalidParameter("ORCPT") }
                report.originalRecipient = try Self.originalRecipient(parameter)
            } else {
                throw .unsupportedParameter(String(displaying: keyword))
            }
        }
    }

    // notify-esmtp-value = "NEVER" / 1#notify-list-element
    // notify-list-element = "SUCCESS" / "FAILURE" / "DELAY"
    private static func notify(_ value: Span<UInt8>) throws(CommandError) -> ReportRequest.Notify {
        var notify: ReportRequest.Notify = []
        var rest = value
        repeat {
            let word = rest.take(while: { $0 != UInt8(ascii: ",") })
            if word.equalsCaseInsensitively("SUCCESS") {
                notify.insert(.success)
            } else if word.equalsCaseInsensitively("FAILURE") {
                notify.insert(.failure)
            } else if word.equalsCaseInsensitively("DELAY") {
                notify.insert(.delay)
            } else if word.equalsCaseInsensitively("NEVER") {
                notify.insert(.never)
            } else {
                throw .invalidParameter("NOTIFY")
            }
            if rest.first == UInt8(ascii: ","), rest.count == 1 { throw .invalidParameter("NOTIFY") }
        } while rest.take(byte: UInt8(ascii: ","))
        guard notify == .never || !notify.contains(.never) else { throw .neverCombined }
        return notify
    }

    // original-recipient-address = addr-type ";" xtext; addr-type = atom
    private static func originalRecipient(_ value: Span<UInt8>) throws(CommandError) -> String {
        guard value.count <= longestOriginalRecipient else { throw .originalRecipientSyntax }
        var rest = value
        let type = rest.take(while: \.isAtomText)
        guard !type.isEmpty, rest.take(byte: UInt8(ascii: ";")), !rest.isEmpty, let address = rest.decodedExtendedText
        else { throw .originalRecipientSyntax }
        return String(displaying: type) + ";" + address
    }
}
