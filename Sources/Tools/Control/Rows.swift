// SPDX-License-Identifier: ISC

import Bytes
import IPC
import Mail

/// What the shows print.
nonisolated enum Rows {
    /// An envelope as one line of `show queue`: its fields, separated by `|`, which therefore never stands in one.
    static func queueLine(_ fields: [ControlField]) -> String {
        fields.map { escaped(text($0.value)) }.joined(separator: "|") + "\n"
    }

    /// An envelope as lines of `name: value`, those without a value left out.
    static func envelopeLines(_ fields: [ControlField]) -> String {
        fields.filter { $0.value != .absent }.map { "\($0.name): \(printable(text($0.value)))\n" }.joined()
    }

    /// `place: statement: finding`, or the name of the step where it is about no statement.
    static func explanationLine(_ step: [ControlField]) -> String {
        let name = step.text(of: "step") ?? ""
        let text = step.text(of: "text") ?? ""
        let parts = [
            step.text(of: "at"), text.hasPrefix("\(name) ") ? text : "\(name) \(text)", step.text(of: "finding"),
        ]
        return parts.compactMap { $0.map(printable) }.joined(separator: ": ") + "\n"
    }

    static func statusLines(_ services: [ControlField]) -> String {
        services.map { "\(printable($0.name)) \(printable(text($0.value)))\n" }.joined()
    }

    /// Counters of several daemons as one list, sorted by name; equal names are added up.
    static func merged(_ counters: [[ControlField]], uptime: Int64?) -> [ControlField] {
        var sums: [String: Int64] = [:]
        for field in counters.joined() {
            guard case .number(let number) = field.value else { continue }
            sums[field.name] = sums[field.name, default: 0].addingReportingOverflow(number).partialValue
        }
        var fields = sums.map { ControlField(name: $0.key, value: .number($0.value)) }
        if let uptime {
            fields.append(ControlField(name: "uptime", value: .number(uptime)))
            fields.append(ControlField(name: "uptime.human", value: .text("\(Interval(seconds: uptime))")))
        }
        // By bytes, so that no locale and no normalisation has a say.
        return fields.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    }

    static func statisticsLines(_ fields: [ControlField]) -> String {
        fields.map { "\(printable($0.name))=\(printable(text($0.value)))\n" }.joined()
    }

    /// Content as a file of this host has it: lines end with LF alone.
    static func localLines(_ content: [UInt8]) -> [UInt8] {
        guard content.contains(.carriageReturn) else { return content }
        var output: [UInt8] = []
        output.reserveCapacity(content.count)
        for (index, byte) in content.enumerated() {
            if byte == .carriageReturn, index + 1 < content.count, content[index + 1] == .lineFeed { continue }
            output.append(byte)
        }
        return output
    }

    /// `1 envelope removed`, `2 envelopes removed`
    static func sentence(_ count: UInt64, _ action: EnvelopeAction) -> String {
        "\(count) envelope\(count == 1 ? "" : "s") \(action.participle)\n"
    }

    /// A value as part of a line; what a remote host said may hold anything.
    static func shown(_ value: ControlValue) -> String { printable(text(value)) }

    private static func text(_ value: ControlValue) -> String {
        switch value {
        case .text(let text): text
        case .number(let number): "\(number)"
        case .absent: ""
        }
    }

    // A local part may hold a `|`, and what a remote host said may hold anything.
    private static func escaped(_ text: String) -> String {
        octal(text) { $0.isPrintable && $0 != UInt8(ascii: "|") || $0 >= 0x80 }
    }

    private static func printable(_ text: String) -> String { octal(text) { $0.isPrintable || $0 >= 0x80 } }

    private static func octal(_ text: String, unless isPlain: (UInt8) -> Bool) -> String {
        guard !text.utf8.allSatisfy(isPlain) else { return text }
        var output: [UInt8] = []
        for byte in text.utf8 {
            if isPlain(byte) {
                output.append(byte)
            } else {
                output.append(UInt8(ascii: "\\"))
                for shift: UInt8 in [6, 3, 0] { output.append(0x30 + (byte >> shift) & 7) }
            }
        }
        return String(decoding: output, as: UTF8.self)
    }
}
