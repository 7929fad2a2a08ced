// SPDX-License-Identifier: ISC

import Bytes
public import Mail

/// A moment as the Date and Received fields write it: `Mon, 2 Jan 2006 15:04:05 +0100 (CET)` (RFC 5322 section 3.3).
///
/// The proleptic Gregorian calendar by arithmetic alone; offset and name of the zone are given by who knows them.
public struct MailDate: Hashable, Sendable, CustomStringConvertible {
    public let description: String

    private static let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    // 0001-01-02 and 9999-12-30: the years of four digits, with room for any offset.
    private static let earliest: Int64 = -62_135_510_400
    private static let latest: Int64 = 253_402_214_399
    private static let greatestOffset = 86_399
    private static let longestZone = 16

    /// `offset` is in seconds east of Greenwich; the zone's name is left out when it is empty or not plain.
    public init(_ moment: Timestamp, offset: Int = 0, zone: String = "UTC") {
        let offset = min(max(offset, -Self.greatestOffset), Self.greatestOffset)
        let local = min(max(moment.seconds, Self.earliest), Self.latest) + Int64(offset)
        var (days, second) = local.quotientAndRemainder(dividingBy: 86_400)
        if second < 0 {
            second += 86_400
            days -= 1
        }
        // 1970-01-01 was a Thursday.
        let weekday = Int(((days + 4) % 7 + 7) % 7)
        let (year, month, day) = Self.civil(days)
        let minutes = abs(offset) / 60
        var text = "\(Self.weekdays[weekday]), \(day) \(Self.months[month - 1]) \(Self.padded(year, 4)) "
        text += "\(Self.padded(Int(second / 3600), 2)):\(Self.padded(Int(second / 60 % 60), 2)):"
        text += "\(Self.padded(Int(second % 60), 2)) "
        text += (offset < 0 ? "-" : "+") + Self.padded(minutes / 60, 2) + Self.padded(minutes % 60, 2)
        let isPlain = zone.utf8.allSatisfy { $0.isAlphanumeric || $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "-") }
        if !zone.isEmpty, zone.utf8.count <= Self.longestZone, isPlain { text += " (\(zone))" }
        description = text
    }

    /// The civil date of a day counted from 1970-01-01. Years run from March, so that the leap day is their last.
    private static func civil(_ days: Int64) -> (year: Int, month: Int, day: Int) {
        // 719468 days lie between 0000-03-01 and 1970-01-01; 400 years have 146097 days.
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        // Five months from March have 153 days.
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (Int(yearOfEra + era * 400 + (month <= 2 ? 1 : 0)), Int(month), Int(day))
    }

    private static func padded(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
}
