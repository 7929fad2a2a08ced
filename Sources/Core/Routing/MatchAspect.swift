// SPDX-License-Identifier: ISC

import Configuration
import Mail

/// What of a subject a criterion looks for in a table.
enum MatchAspect: Hashable, Sendable {
    case tag
    case client
    case clientName
    case destinationDomain
    case greeting
    case user
    case sender
    case recipient

    /// The text that is looked for and how; nil where the subject has nothing of the kind.
    func sought(in subject: MatchSubject) -> (key: String, service: TableService)? {
        switch self {
        case .tag: return (subject.origin.tag ?? "", .text)
        case .client: return (subject.client, .networkAddress)
        case .clientName:
            let name = subject.origin.hostName
            return name.isEmpty || name == "<unknown>" ? nil : (name, .domain)
        case .destinationDomain: return (subject.destination.domain.canonical, .domain)
        case .greeting: return (subject.origin.greeting, .domain)
        case .user:
            guard subject.isAuthenticated, let user = subject.origin.user else { return nil }
            return (user, user.utf8.contains(UInt8(ascii: "@")) ? .mailbox : .text)
        case .sender: return (subject.sender.mailbox?.tableKey ?? "@", .mailbox)
        case .recipient: return (subject.destination.tableKey, .mailbox)
        }
    }
}

/// What a rule asks of a table; each rule that asks the same hears the same.
struct TableQuestion: Hashable, Sendable {
    let aspect: MatchAspect
    let pattern: TablePattern

    init(_ aspect: MatchAspect, _ pattern: TablePattern) {
        self.aspect = aspect
        self.pattern = pattern
    }

    func sought(in subject: MatchSubject) -> (key: String, service: TableService)? {
        guard let sought = aspect.sought(in: subject) else { return nil }
        switch pattern.syntax {
        case .ordinary: return sought
        case .regularExpression: return (sought.key, .regularExpression)
        }
    }
}

extension Mailbox {
    /// As tables know it: without quotes.
    fileprivate var tableKey: String { "\(localPart.text)@\(domain.canonical)" }
}
