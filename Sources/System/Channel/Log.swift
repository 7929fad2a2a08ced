// SPDX-License-Identifier: ISC

import Bytes
import Glibc
public import Posix
import Reactor

/// The lines that this process logs, handed over once per turn of the loop.
///
/// Callers write the keys of a line as they are and everything that a remote party chose through `VisibleText`.
public final class Log {
    public enum Level: Int, Sendable {
        case critical = 2
        case warning = 4
        case info = 6
        case debug = 7
    }

    // LOG_MAIL of syslog
    private static let facility = 2 << 3
    // What a log that is not read may cost in memory; lines beyond are counted and dropped.
    private static let mostWaiting = 1 << 20

    private let descriptor: FileDescriptor
    private let isStream: Bool
    private let ident: String
    private let name: String
    public var isVerbose: Bool
    private var lines: [[UInt8]] = []
    private var waiting = 0
    private var dropped = 0
    private var isPlanned = false

    /// `descriptor` is a stream for a person, or a datagram socket of the system's log.
    public init(_ descriptor: consuming FileDescriptor, isStream: Bool, ident: String, name: String, isVerbose: Bool) {
        self.descriptor = descriptor
        self.isStream = isStream
        self.ident = ident
        self.name = name
        self.isVerbose = isVerbose
    }

    public func info(_ text: @autoclosure () -> String) { write(.info, text()) }
    public func warning(_ text: @autoclosure () -> String) { write(.warning, "warn: " + text()) }
    public func critical(_ text: @autoclosure () -> String) { write(.critical, text()) }
    public func debug(_ text: @autoclosure () -> String) { if isVerbose { write(.debug, "debug: " + text()) } }

    private func write(_ level: Level, _ text: String) {
        let line = line(level, text)
        guard waiting + line.count <= Self.mostWaiting else {
            dropped += 1
            return
        }
        waiting += line.count
        lines.append(line)
        guard !isPlanned else { return }
        isPlanned = true
        Loop.atEndOfTurn { [weak self] in self?.flush() }
    }

    private func line(_ level: Level, _ text: String) -> [UInt8] {
        var line: [UInt8] = []
        if isStream {
            if isVerbose { line.append("\(name): ") }
        } else {
            line.append("<\(Self.facility | level.rawValue)>\(ident)[\(getpid())]: ")
        }
        // A line is a line, whatever was put into it.
        line += text.utf8.map { $0 >= 0x20 && $0 != 0x7F ? $0 : UInt8(ascii: "?") }
        if isStream { line.append(.lineFeed) }
        return line
    }

    /// Hands over what has gathered; the log never keeps the process waiting longer than the kernel needs.
    public func flush() {
        isPlanned = false
        if dropped > 0 {
            let count = dropped
            dropped = 0
            lines.append(line(.warning, "warn: \(count) lines of the log were lost"))
        }
        if isStream {
            let all = Array(lines.joined())
            try? descriptor.writeAll(all)
        } else {
            for line in lines {
                line.withUnsafeBytes {
                    _ = Glibc.send(descriptor.number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
            }
        }
        lines.removeAll(keepingCapacity: true)
        waiting = 0
    }
}
