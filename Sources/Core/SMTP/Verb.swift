// SPDX-License-Identifier: ISC

import Bytes

/// The word that a command line begins with.
public enum Verb: String, Hashable, Sendable, CaseIterable {
    case helo = "HELO"
    case ehlo = "EHLO"
    case lhlo = "LHLO"
    case startTLS = "STARTTLS"
    case auth = "AUTH"
    case mail = "MAIL FROM:"
    case recipient = "RCPT TO:"
    case data = "DATA"
    case chunk = "BDAT"
    case reset = "RSET"
    case noop = "NOOP"
    case quit = "QUIT"
    case help = "HELP"
    case verify = "VRFY"
    case expand = "EXPN"
    case wizard = "WIZ"
    case client = "XCLIENT"
    case forward = "XFORWARD"

    /// Takes the verb and the blanks behind it from the front of a line; nil when it begins with none, in any case of
    /// letters. MAIL and RCPT need their colon at once (RFC 5321 section 3.3); any other verb ends at a blank.
    public init?(taking line: inout Span<UInt8>) {
        if line.take(keyword: "MAIL FROM:") {
            self = .mail
        } else if line.take(keyword: "RCPT TO:") {
            self = .recipient
        } else {
            let word = line.take(while: { $0 != .space })
            guard let verb = Self.plain(word) else { return nil }
            self = verb
        }
        line = line.trimmed
    }

    private static func plain(_ word: Span<UInt8>) -> Verb? {
        if word.equalsCaseInsensitively("HELO") { return .helo }
        if word.equalsCaseInsensitively("EHLO") { return .ehlo }
        if word.equalsCaseInsensitively("LHLO") { return .lhlo }
        if word.equalsCaseInsensitively("STARTTLS") { return .startTLS }
        if word.equalsCaseInsensitively("AUTH") { return .auth }
        if word.equalsCaseInsensitively("DATA") { return .data }
        if word.equalsCaseInsensitively("BDAT") { return .chunk }
        if word.equalsCaseInsensitively("RSET") { return .reset }
        if word.equalsCaseInsensitively("NOOP") { return .noop }
        if word.equalsCaseInsensitively("QUIT") { return .quit }
        if word.equalsCaseInsensitively("HELP") { return .help }
        if word.equalsCaseInsensitively("VRFY") { return .verify }
        if word.equalsCaseInsensitively("EXPN") { return .expand }
        if word.equalsCaseInsensitively("WIZ") { return .wizard }
        if word.equalsCaseInsensitively("XCLIENT") { return .client }
        if word.equalsCaseInsensitively("XFORWARD") { return .forward }
        return nil
    }

    /// Whether a session that says nothing else comes to an end of its own: a message, a limit or a refusal.
    var advances: Bool {
        switch self {
        case .startTLS, .auth, .mail, .recipient, .data, .chunk, .quit, .expand, .wizard, .client: true
        case .helo, .ehlo, .lhlo, .reset, .noop, .help, .verify, .forward: false
        }
    }

    /// Whether a line is the request of a web client, which somebody turned against a mail server (ALPACA).
    static func isWebRequest(_ line: Span<UInt8>) -> Bool {
        var rest = line
        let word = rest.take(while: { $0 != .space })
        let methods: [StaticString] = ["GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "DELETE", "PATCH", "PRI"]
        return !rest.isEmpty && methods.contains { word.equalsCaseInsensitively($0) }
    }
}
