// SPDX-License-Identifier: ISC

import Bytes
public import Mail

/// What is wrong with a command.
public enum CommandError: Error, Hashable, Sendable {
    case unrecognized
    /// HTTP or another protocol that is not ours.
    case foreignProtocol
    case unexpectedArgument
    /// The same for STARTTLS, whose RFC wants another code.
    case argumentOfTLS
    case missingArgument(Verb)
    case invalidDomain
    case senderSyntax
    case recipientSyntax
    /// The keyword is not one that was offered.
    case unsupportedParameter(String)
    /// The keyword is known; its value is missing, wrong or given twice.
    case invalidParameter(String)
    case neverCombined
    case originalRecipientSyntax
}

/// The extensions that a server may choose to offer; SIZE, 8BITMIME and ENHANCEDSTATUSCODES always are.
public struct ServerExtensions: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// RFC 2920
    public static let pipelining = ServerExtensions(rawValue: 1)
    /// RFC 3461
    public static let deliveryStatus = ServerExtensions(rawValue: 2)
}

/// One command of a client with its arguments as values (RFC 5321 section 4.1).
public enum Command: Hashable, Sendable {
    case helo(String)
    case ehlo(String)
    case startTLS
    case auth
    case mail(ReversePath, MailParameters)
    case recipient(ForwardPath, RecipientParameters)
    case data
    case reset
    case noop
    case quit
    case help
    case verify
    case expand
    case wizard

    /// The command that a line, without its end, spells. `serverName` is put behind a local part that stands alone.
    public init(
        parsing line: Span<UInt8>, serverName: Domain, extensions: ServerExtensions
    ) throws(CommandError) {
        var rest = line
        guard let verb = Verb(taking: &rest) else {
            throw Verb.isWebRequest(line) ? .foreignProtocol : .unrecognized
        }
        try self.init(verb, arguments: rest, serverName: serverName, extensions: extensions)
    }

    /// `arguments`: what stands behind the verb, without blanks at either end.
    init(
        _ verb: Verb, arguments: Span<UInt8>, serverName: Domain, extensions: ServerExtensions
    ) throws(CommandError) {
        switch verb {
        case .helo: self = .helo(try Self.greeting(arguments, of: verb))
        case .ehlo: self = .ehlo(try Self.greeting(arguments, of: verb))
        case .mail:
            var rest = arguments
            guard let path = rest.takeReversePath(defaultDomain: serverName), rest.isEmpty || rest[0] == .space else {
                throw .senderSyntax
            }
            self = .mail(path, try MailParameters(parsing: rest, extensions: extensions))
        case .recipient:
            var rest = arguments
            guard let path = rest.takeForwardPath(defaultDomain: serverName), rest.isEmpty || rest[0] == .space else {
                throw .recipientSyntax
            }
            self = .recipient(path, try RecipientParameters(parsing: rest, extensions: extensions))
        case .data: self = try Self.bare(.data, arguments)
        case .reset: self = try Self.bare(.reset, arguments)
        case .quit: self = try Self.bare(.quit, arguments)
        case .help: self = try Self.bare(.help, arguments)
        case .wizard: self = try Self.bare(.wizard, arguments)
        // RFC 5321 section 4.1.1.9: whatever NOOP carries is ignored.
        case .noop: self = .noop
        // RFC 3207 section 4: 501 for a parameter.
        case .startTLS:
            guard arguments.isEmpty else { throw .argumentOfTLS }
            self = .startTLS
        case .auth: self = .auth
        case .verify: self = try Self.asking(.verify, arguments, of: verb)
        case .expand: self = try Self.asking(.expand, arguments, of: verb)
        }
    }

    private static func bare(_ command: Command, _ arguments: Span<UInt8>) throws(CommandError) -> Command {
        guard arguments.isEmpty else { throw .unexpectedArgument }
        return command
    }

    private static func asking(
        _ command: Command, _ arguments: Span<UInt8>, of verb: Verb
    ) throws(CommandError) -> Command {
        guard !arguments.isEmpty else { throw .missingArgument(verb) }
        return command
    }

    // ehlo = "EHLO" SP ( Domain / address-literal ) CRLF
    private static func greeting(_ arguments: Span<UInt8>, of verb: Verb) throws(CommandError) -> String {
        guard !arguments.isEmpty else { throw .missingArgument(verb) }
        guard let domain = Domain(parsing: arguments) else { throw .invalidDomain }
        return domain.text
    }
}
