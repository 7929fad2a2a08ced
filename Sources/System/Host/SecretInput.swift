// SPDX-License-Identifier: ISC

import Glibc
import Posix

/// A secret that a person or a program gives at the start.
public enum SecretInput {
    /// One line of standard input, without its end; nil when there is none, or when it is longer than `limit`.
    public static func line(limit: Int) -> [UInt8]? { line(from: STDIN_FILENO, limit: limit) }

    /// Asks on the terminal, which shows nothing of the answer; nil where there is no terminal.
    public static func ask(_ question: String, limit: Int) -> [UInt8]? {
        guard let terminal = try? FileDescriptor.open("/dev/tty", O_RDWR | O_NOCTTY) else { return nil }
        var usual = termios()
        guard tcgetattr(terminal.number, &usual) == 0 else { return nil }
        var silent = usual
        silent.c_lflag &= ~tcflag_t(ECHO)
        guard tcsetattr(terminal.number, TCSAFLUSH, &silent) == 0 else { return nil }
        try? terminal.writeAll(Array(question.utf8))
        let answer = line(from: terminal.number, limit: limit)
        tcsetattr(terminal.number, TCSAFLUSH, &usual)
        try? terminal.writeAll([UInt8(ascii: "\n")])
        return answer
    }

    // Byte by byte: what stands behind the line is not ours.
    private static func line(from number: Int32, limit: Int) -> [UInt8]? {
        var line: [UInt8] = []
        while true {
            var byte: UInt8 = 0
            let count = FileDescriptor.retrying { Glibc.read(number, &byte, 1) }
            if count <= 0 { return line.isEmpty ? nil : line }
            if byte == UInt8(ascii: "\n") { return line }
            if line.count == limit { return nil }
            line.append(byte)
        }
    }
}
