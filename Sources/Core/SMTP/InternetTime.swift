// SPDX-License-Identifier: ISC

import Bytes
import Mail

extension Timestamp {
    // date-time = 4DIGIT "-" 2DIGIT "-" 2DIGIT "T" 2DIGIT ":" 2DIGIT ":" 2DIGIT [ "." 1*DIGIT ] ( "Z" / offset )
    /// The moment that an Internet date and time names (RFC 3339 section 5.6); a part of a second is left out.
    init?(internet text: Span<UInt8>) {
        var rest = text
        guard let year = rest.takeNumber(4), rest.take(byte: UInt8(ascii: "-")), let month = rest.takeNumber(2),
            rest.take(byte: UInt8(ascii: "-")), let day = rest.takeNumber(2), rest.take(keyword: "T"),
            let hour = rest.takeNumber(2), rest.take(byte: .colon), let minute = rest.takeNumber(2),
            rest.take(byte: .colon), let second = rest.takeNumber(2),
            (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second <= 60
        else { return nil }
        if rest.take(byte: .dot), rest.take(while: \.isDigit).isEmpty { return nil }
        var offset: Int64 = 0
        if !rest.take(keyword: "Z") {
            let isWest = rest.take(byte: UInt8(ascii: "-"))
            guard isWest || rest.take(byte: UInt8(ascii: "+")), let hours = rest.takeNumber(2),
                rest.take(byte: .colon), let minutes = rest.takeNumber(2), hours < 24, minutes < 60
            else { return nil }
            offset = Int64(hours * 60 + minutes) * (isWest ? -60 : 60)
        }
        guard rest.isEmpty else { return nil }
        // Years run from March, so that the leap day is their last; see MailDate.
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted >= 0 ? shifted / 400 : (shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = Int64(era * 146_097 + dayOfEra - 719_468)
        self.init(seconds: days * 86_400 + Int64(hour * 3600 + minute * 60 + second) - offset)
    }

    /// As RFC 3339 writes it, in UTC.
    var internetText: String {
        // The days of MailDate, without its words: both count years from March.
        let (days, second) = (seconds.flooredQuotient(86_400), seconds - seconds.flooredQuotient(86_400) * 86_400)
        let shifted = days + 719_468
        let era = shifted.flooredQuotient(146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        func padded(_ number: Int64, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
        }
        return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))T\(padded(second / 3600, 2)):"
            + "\(padded(second / 60 % 60, 2)):\(padded(second % 60, 2))Z"
    }
}

extension Span where Element == UInt8 {
    /// Takes a number of exactly `count` digits.
    fileprivate mutating func takeNumber(_ count: Int) -> Int? {
        guard self.count >= count else { return nil }
        return take(count).decimal.map { Int(clamping: $0) }
    }
}

extension Int64 {
    /// Rounded towards the past.
    fileprivate func flooredQuotient(_ divisor: Int64) -> Int64 {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}
