// SPDX-License-Identifier: ISC

/// Where a notice about a message goes (RFC 5321 section 4.1.2): a mailbox, or nowhere for a notice itself.
public enum ReversePath: Hashable, Sendable, CustomStringConvertible {
    case null
    case mailbox(Mailbox)

    public var mailbox: Mailbox? {
        switch self {
        case .null: nil
        case .mailbox(let mailbox): mailbox
        }
    }

    /// The address without angle brackets; empty for the null path.
    public var description: String { mailbox?.description ?? "" }

    /// The path that `description` prints.
    public init?(_ text: String) {
        if text.isEmpty {
            self = .null
        } else if let mailbox = Mailbox(text) {
            self = .mailbox(mailbox)
        } else {
            return nil
        }
    }
}

/// Whom a message is for: a mailbox, or the bare `<Postmaster>` that every host must know (RFC 5321 section 4.5.1).
public enum ForwardPath: Hashable, Sendable {
    case postmaster
    case mailbox(Mailbox)

    /// The mailbox meant at the host named `host`.
    public func mailbox(at host: Domain) -> Mailbox {
        switch self {
        case .postmaster: Mailbox(.postmaster, at: host)
        case .mailbox(let mailbox): mailbox
        }
    }
}

extension LocalPart {
    public static let postmaster: LocalPart = {
        guard let name = LocalPart("postmaster") else { preconditionFailure("a constant local part") }
        return name
    }()
}
