// SPDX-License-Identifier: ISC

import Mail
import Reactor
import SMTP

extension ReplyParser {
    /// The next reply that has come whole.
    mutating func next(in connection: Connection) throws(ReplyParser.Failure) -> Reply? {
        guard connection.available > 0 else { return nil }
        var parser = self
        var result: Result<Reply?, ReplyParser.Failure> = .success(nil)
        let used = connection.withInput { input in
            var rest = input
            do throws(ReplyParser.Failure) {
                result = .success(try parser.next(from: &rest))
            } catch {
                result = .failure(error)
            }
            return input.count - rest.count
        }
        self = parser
        connection.consume(used)
        return try result.get()
    }
}
