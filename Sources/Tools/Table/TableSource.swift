// SPDX-License-Identifier: ISC

import Routing

/// Why a question was not answered, in words for the log.
nonisolated struct SourceFailure: Error, Hashable, Sendable, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Where the answers of a table come from. Keys of all services but one are in lower case.
protocol TableSource: AnyObject {
    var services: [TableService] { get }
    /// The content has changed; a failure leaves the old one.
    func update() throws(SourceFailure)
    func contains(_ key: String, for service: TableService) throws(SourceFailure) -> Bool
    func value(of key: String, for service: TableService) throws(SourceFailure) -> String?
    func next(for service: TableService) throws(SourceFailure) -> String?
}
