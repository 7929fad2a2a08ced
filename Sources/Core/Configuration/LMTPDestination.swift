// SPDX-License-Identifier: ISC

import Bytes
public import Mail

/// Where the server of an `lmtp` action is: `host:port`, `[v6]:port`, or the path of a socket.
///
/// `%{user.username}` may stand in it: one server for each user. No other part of an envelope may, since remote parties
/// choose those and Parent, which makes the connection, hears nothing from them.
public struct LMTPDestination: Hashable, Sendable {
    public enum Place: Hashable, Sendable {
        case host(String, port: UInt16)
        case address(IPAddress, port: UInt16)
        /// An absolute path.
        case socket(path: String)
    }

    public enum SyntaxError: Error, Hashable, Sendable, CustomStringConvertible {
        case invalid(String)
        case foreignToken
        /// A name is looked up once, at the start.
        case hostOfUser
        case format(FormatTemplate.SyntaxError)

        public var description: String {
            switch self {
            case .invalid(let text): "invalid lmtp destination: \(VisibleText(text))"
            case .foreignToken: "in an lmtp destination only %{user.username} may be used"
            case .hostOfUser: "the host of an lmtp destination may not depend on the user"
            case .format(let error): "\(error)"
            }
        }
    }

    private let template: FormatTemplate

    public init(_ text: String) throws(SyntaxError) {
        do throws(FormatTemplate.SyntaxError) {
            template = try FormatTemplate(text, for: .destination)
        } catch {
            throw .format(error)
        }
        for token in template.tokens where token != .userName { throw .foreignToken }
        // Whatever the user's name is, the form must be one of the three.
        switch place(for: "user", delimiters: .plus) {
        case .address, .socket: break
        case .host: guard isConstant else { throw .hostOfUser }
        case nil: throw .invalid(text)
        }
    }

    /// Whether it is the same for all users.
    public var isConstant: Bool { template.isConstant }

    /// The server for this user; nil for a user whose name makes none.
    public func place(for user: String, delimiters: SubaddressDelimiters) -> Place? {
        guard let text = template.expand(userName: user, delimiters: delimiters) else { return nil }
        return Self.place(text)
    }

    // place = "/" path / host ":" port / "[" IPv6-address "]" ":" port
    private static func place(_ text: String) -> Place? {
        if text.begins(with: "/") { return text.utf8.contains(0) ? nil : .socket(path: text) }
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0 else {
            return nil
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            return IPAddress(String(host)).map { .address($0, port: port) }
        }
        if let address = IPAddress(String(host)) { return address.family == .v4 ? .address(address, port: port) : nil }
        guard case .name? = Domain(String(host))?.form else { return nil }
        return .host(String(host), port: port)
    }
}
