// SPDX-License-Identifier: ISC

import Bytes
import Mail

/// What a server session says of itself. The words behind the codes are those that users' tools look for.
extension Reply {
    static let done = Reply(250, EnhancedStatus(2, 0, 0), "Ok")
    // RFC 6710 section 10 wants the new priority in front of all words.
    static let priorityChanged = Reply(250, EnhancedStatus(2, 3, 6), "0 is the priority that you may give a message")
    static let wasReset = Reply(250, EnhancedStatus(2, 0, 0), "Reset state")
    static let recipientDone = Reply(250, EnhancedStatus(2, 1, 5), "Destination address valid: Recipient ok")
    static let startContent = Reply(354, nil, "Enter mail, end with \".\" on a line by itself")
    static let bye = Reply(221, EnhancedStatus(2, 0, 0), "Bye")
    // RFC 5321 section 3.5.3
    static let cannotVerify = Reply(
        252, EnhancedStatus(2, 0, 0), "Cannot VRFY user, but will accept message and attempt delivery")
    static let help = Reply(
        214, EnhancedStatus(2, 0, 0),
        lines: [
            "This is Martlet",
            "Commands: HELO EHLO STARTTLS MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT",
            "A message is taken with MAIL FROM:<path>, RCPT TO:<path> and DATA or BDAT",
            "End of HELP info",
        ])

    static func accepted(_ id: MessageID) -> Reply {
        Reply(250, EnhancedStatus(2, 0, 0), "\(id) Message accepted for delivery")
    }

    static func received(_ count: Int) -> Reply { Reply(250, EnhancedStatus(2, 0, 0), "\(count) bytes received") }

    // The session as a whole
    static let idleTooLong = Reply(421, EnhancedStatus(4, 4, 2), "Timeout")
    static let shuttingDown = Reply(421, EnhancedStatus(4, 3, 2), "Service shutting down")
    static let internalError = Reply(421, EnhancedStatus(4, 3, 0), "Internal server error")

    // Commands
    static let notHere = invalid("Command not allowed at this point.")
    static let notSupported = invalid("Command not supported")
    static let notImplemented = Reply(502, EnhancedStatus(5, 5, 1), "Invalid command: Command not implemented")
    static let pipeliningNotSupported = Reply(
        500, EnhancedStatus(5, 5, 1), "Invalid command: Pipelining not supported")
    static let wizard = Reply(
        500, EnhancedStatus(5, 5, 1), "Invalid command: this feature is not supported yet ;-)")
    static let announcedTooBig = Reply(
        552, EnhancedStatus(5, 3, 4), "Message too big for system: Announced size exceeds the limit")
    static let holdTooLong = Reply(
        501, EnhancedStatus(5, 5, 4), "Invalid command arguments: Time of release is too far away")
    static let needsChunks = Reply(
        503, EnhancedStatus(5, 5, 1), "Invalid command: BODY=BINARYMIME needs BDAT")
    static let claimRefused = Reply(550, EnhancedStatus(5, 7, 0), "Insufficient authorization")
    static let chunkTooLarge = Reply(
        552, EnhancedStatus(5, 3, 4), "Message too big for system: Chunk exceeds the limit")
    // RFC 4954 section 6
    static let authenticated = Reply(235, EnhancedStatus(2, 7, 0), "Authentication succeeded")
    static let notAuthentic = Reply(535, EnhancedStatus(5, 7, 8), "Authentication failed")
    static let cancelled = Reply(501, EnhancedStatus(5, 7, 0), "Authentication cancelled")
    static let notBase64 = Reply(501, EnhancedStatus(5, 5, 2), "Syntax error: Invalid base64")
    static let noMessageOfMechanism = Reply(501, EnhancedStatus(5, 5, 2), "Syntax error: Syntax error")
    static let alreadyAuthenticated = invalid("Already authenticated")
    static let mustAuthenticate = Reply(
        530, EnhancedStatus(5, 5, 1), "Invalid command: Must issue an AUTH command first")

    /// What we do not know may be a secret in the place of a name, and replies are logged.
    static func notOffered(_ mechanism: SASLMechanism?) -> Reply {
        let name = mechanism.map { " \"\($0.rawValue)\"" } ?? ""
        return Reply(
            504, EnhancedStatus(5, 7, 4), "Security features not supported: AUTH method\(name) not supported")
    }

    static func challenge(_ bytes: [UInt8]) -> Reply {
        Reply(334, nil, String(decoding: Base64.encode(bytes.span), as: UTF8.self))
    }

    static let noRecipient = Reply(
        503, EnhancedStatus(5, 5, 4), "Invalid command arguments: No recipient specified")

    private static func invalid(_ text: String) -> Reply {
        Reply(503, EnhancedStatus(5, 5, 1), "Invalid command: \(text)")
    }

    static func violation(_ violation: FramingViolation) -> Reply {
        switch violation {
        case .lineTooLong: Reply(500, EnhancedStatus(5, 5, 2), "Syntax error: Command line too long")
        case .strayLineEnd: Reply(500, EnhancedStatus(5, 5, 2), "Syntax error: Lines must end in CR LF")
        }
    }

    static func violation(_ violation: ContentViolation) -> Reply {
        switch violation {
        case .tooBig:
            Reply(554, EnhancedStatus(5, 3, 4), "Message too big for system: Transaction failed, message too big")
        case .strayLineEnd:
            Reply(550, EnhancedStatus(5, 5, 2), "Syntax error: Bare CR or LF in message")
        case .nul, .malformed:
            Reply(
                550, EnhancedStatus(5, 7, 1),
                "Delivery not authorized, message refused: Message is not RFC 2822 compliant")
        case .loop:
            Reply(500, EnhancedStatus(5, 4, 6), "Routing loop detected: Loop detected")
        }
    }

    static func error(_ error: CommandError) -> Reply {
        let arguments = EnhancedStatus(5, 5, 4)
        switch error {
        case .unrecognized, .foreignProtocol:
            return Reply(500, EnhancedStatus(5, 5, 1), "Invalid command: Command unrecognized")
        case .unexpectedArgument:
            return Reply(500, arguments, "Invalid command arguments: command does not accept arguments.")
        case .argumentOfTLS:
            return Reply(501, arguments, "Invalid command arguments: No parameters allowed")
        case .missingArgument(let verb):
            switch verb {
            case .helo, .ehlo, .lhlo:
                return Reply(501, EnhancedStatus(5, 5, 1), "Invalid command: \(verb.rawValue) requires domain name")
            case .startTLS, .auth, .mail, .recipient, .data, .chunk, .reset, .noop, .quit, .help, .verify, .expand,
                .wizard, .client, .forward:
                return Reply(501, arguments, "Invalid command arguments: \(verb.rawValue) requires an argument")
            }
        case .invalidDomain:
            return Reply(501, arguments, "Invalid command arguments: Invalid domain name")
        case .senderSyntax:
            return Reply(553, EnhancedStatus(5, 1, 0), "Sender address syntax error")
        case .recipientSyntax:
            return Reply(501, EnhancedStatus(5, 1, 3), "Recipient address syntax error")
        case .unsupportedParameter(let keyword):
            return Reply(555, arguments, "Invalid command arguments: Unsupported option \(keyword.prefix(64))")
        case .invalidParameter(let keyword):
            return Reply(501, arguments, "Invalid command arguments: Invalid value of option \(keyword.prefix(64))")
        case .neverCombined:
            return Reply(553, arguments, "NOTIFY option NEVER cannot be combined with other options")
        case .originalRecipientSyntax:
            return Reply(553, arguments, "ORCPT address syntax error")
        case .internationalSender:
            return Reply(553, EnhancedStatus(5, 6, 7), "Sender address beyond ASCII needs SMTPUTF8")
        case .internationalRecipient:
            return Reply(553, EnhancedStatus(5, 6, 7), "Recipient address beyond ASCII needs SMTPUTF8")
        case .chunkSyntax:
            return Reply(501, arguments, "Invalid command arguments: BDAT requires a size")
        case .claimSyntax:
            return Reply(501, arguments, "Invalid command arguments: Invalid attribute")
        }
    }
}
