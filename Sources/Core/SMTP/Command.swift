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
    /// An address beyond ASCII without SMTPUTF8.
    case internationalSender
    case internationalRecipient
    /// How many bytes follow is not known, and so not where the next command begins.
    case chunkSyntax
    case claimSyntax
}

/// One command of a client with its arguments as values (RFC 5321 section 4.1).
public enum Command: Hashable, Sendable {
    case helo(String)
    case ehlo(String)
    case lhlo(String)
    case startTLS
    /// `initial` is still in base64, or `=` for an empty one (RFC 4954 section 4).
    case auth(mechanism: String, initial: [UInt8]?)
    case mail(ReversePath, MailParameters)
    case recipient(ForwardPath, RecipientParameters)
    case data
    /// So many bytes of content follow at once (RFC 3030 section 2).
    case chunk(size: Int, ChunkPlace)
    case reset
    case noop
    case quit
    case help
    case verify
    case expand
    case wizard
    case client(ClientClaim)
    case forward(ClientClaim)

    public enum ChunkPlace: Hashable, Sendable {
        case middle
        case last
    }

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
        case .lhlo: self = .lhlo(try Self.greeting(arguments, of: verb))
        case .mail:
            var rest = arguments
            guard let path = rest.takeReversePath(defaultDomain: serverName), rest.isEmpty || rest[0] == .space else {
                throw .senderSyntax
            }
            let parameters = try MailParameters(parsing: rest, extensions: extensions)
            guard parameters.request.isInternational || path.mailbox?.isASCII ?? true else {
                throw .internationalSender
            }
            self = .mail(path, parameters)
        case .recipient:
            var rest = arguments
            guard let path = rest.takeForwardPath(defaultDomain: serverName), rest.isEmpty || rest[0] == .space else {
                throw .recipientSyntax
            }
            self = .recipient(path, try RecipientParameters(parsing: rest, extensions: extensions))
        case .data: self = try Self.bare(.data, arguments)
        case .chunk: self = try Self.chunk(arguments)
        case .client: self = .client(try ClientClaim(parsing: arguments))
        case .forward: self = .forward(try ClientClaim(parsing: arguments))
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
        case .auth:
            var rest = arguments
            let name = rest.take(while: { $0 != .space })
            guard !name.isEmpty else { throw .missingArgument(verb) }
            rest = rest.trimmed
            self = .auth(mechanism: String(displaying: name), initial: rest.isEmpty ? nil : rest.array)
        case .verify: self = try Self.asking(.verify, arguments, of: verb)
        case .expand: self = try Self.asking(.expand, arguments, of: verb)
        }
    }

    // bdat-cmd = "BDAT" SP chunk-size [ SP "LAST" ]; chunk-size = 1*DIGIT                (RFC 3030 section 2)
    private static func chunk(_ arguments: Span<UInt8>) throws(CommandError) -> Command {
        var rest = arguments
        let digits = rest.take(while: { $0 != .space })
        // A number that does not fit is larger than any message that is taken.
        guard digits.count <= longestChunkSize, !digits.isEmpty else { throw .chunkSyntax }
        for index in digits.indices where !digits[index].isDigit { throw .chunkSyntax }
        let size = Int(clamping: digits.decimal ?? .max)
        let place = rest.trimmed
        if place.isEmpty { return .chunk(size: size, .middle) }
        guard place.equalsCaseInsensitively("LAST") else { throw .chunkSyntax }
        return .chunk(size: size, .last)
    }

    // As many digits as RFC 1870 section 3 gives to a size.
    private static let longestChunkSize = 20

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
        // RFC 6531 section 3.7.1: a greeting is said before anybody knows of SMTPUTF8, hence in A-labels.
        guard let domain = Domain(parsing: arguments), domain.isASCII else { throw .invalidDomain }
        return domain.text
    }
}
