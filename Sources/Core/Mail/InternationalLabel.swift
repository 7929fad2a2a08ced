// SPDX-License-Identifier: ISC

import Bytes

/// Labels of domain names beyond ASCII: U-labels as people write them and A-labels as the DNS has them (RFC 5890).
///
/// A label may hold letters, marks, digits and hyphens, which is what IDNA 2008 allows but for a few exceptions. Capital
/// letters are folded, as RFC 5895 advises; no other mapping is done, so a name must come in its normal form.
enum InternationalLabel {
    // RFC 1035 section 2.3.4; a longer one need not be encoded to be refused.
    private static let mostScalars = 63

    /// The name with each label beyond ASCII as an A-label, in lower case; nil when one cannot be.
    static func asciiName(_ name: String) -> String? {
        var labels: [String] = []
        for label in name.split(separator: ".", omittingEmptySubsequences: false) {
            if label.utf8.allSatisfy({ $0 < 0x80 }) {
                labels.append(String(label).asciiLowercased)
            } else {
                guard let encoded = encode(String(label).lowercased()) else { return nil }
                labels.append("xn--" + encoded)
            }
        }
        return labels.joined(separator: ".")
    }

    private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return UInt8(ascii: scalar).isAlphanumeric || scalar == "-" }
        switch scalar.properties.generalCategory {
        case .lowercaseLetter, .modifierLetter, .otherLetter, .nonspacingMark, .spacingMark, .decimalNumber:
            return true
        case .uppercaseLetter, .titlecaseLetter, .enclosingMark, .letterNumber, .otherNumber, .connectorPunctuation,
            .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation, .finalPunctuation,
            .otherPunctuation, .mathSymbol, .currencySymbol, .modifierSymbol, .otherSymbol, .spaceSeparator,
            .lineSeparator, .paragraphSeparator, .control, .format, .surrogate, .privateUse, .unassigned:
            return false
        @unknown default:
            return false
        }
    }

    // RFC 3492 section 5
    private static let base: UInt32 = 36
    private static let lowest: UInt32 = 1
    private static let highest: UInt32 = 26
    private static let skew: UInt32 = 38
    private static let damp: UInt32 = 700
    private static let initialBias: UInt32 = 72
    private static let initialCode: UInt32 = 128

    /// Punycode (RFC 3492 section 6.3); nil when the label holds what a label must not hold.
    private static func encode(_ label: String) -> String? {
        let scalars = Array(label.unicodeScalars)
        guard scalars.count <= mostScalars, scalars.allSatisfy(isAllowed) else { return nil }
        var output: [UInt8] = scalars.filter(\.isASCII).map { UInt8(ascii: $0) }
        let basic = UInt32(output.count)
        var handled = basic
        if basic > 0 { output.append(UInt8(ascii: "-")) }
        var code = initialCode
        var bias = initialBias
        var delta: UInt32 = 0
        while handled < scalars.count {
            guard let next = scalars.map(\.value).filter({ $0 >= code }).min() else { return nil }
            // At most 63 scalars below 0x110000: nothing here comes near 32 bits.
            delta += (next - code) * (handled + 1)
            code = next
            for scalar in scalars {
                if scalar.value < code { delta += 1 }
                guard scalar.value == code else { continue }
                var rest = delta
                var position = base
                while true {
                    let threshold = position <= bias ? lowest : min(highest, position - bias)
                    if rest < threshold { break }
                    output.append(digit(threshold + (rest - threshold) % (base - threshold)))
                    rest = (rest - threshold) / (base - threshold)
                    position += base
                }
                output.append(digit(rest))
                bias = adapted(delta, handled + 1, isFirst: handled == basic)
                delta = 0
                handled += 1
            }
            delta += 1
            code += 1
        }
        return String(decoding: output, as: UTF8.self)
    }

    private static func digit(_ value: UInt32) -> UInt8 {
        UInt8(truncatingIfNeeded: value < 26 ? value + 0x61 : value - 26 + 0x30)
    }

    private static func adapted(_ delta: UInt32, _ points: UInt32, isFirst: Bool) -> UInt32 {
        var delta = isFirst ? delta / damp : delta / 2
        delta += delta / points
        var steps: UInt32 = 0
        while delta > ((base - lowest) * highest) / 2 {
            delta /= base - lowest
            steps += base
        }
        return steps + (base - lowest + 1) * delta / (delta + skew)
    }
}
