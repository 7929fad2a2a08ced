// SPDX-License-Identifier: ISC

import Bytes
import CFuzzer
import Glibc
import Mail
import SMTP

// The first byte says how the rest is cut; however that is, the same replies must come of it.
func replies(_ bytes: [UInt8], pieces: Int) -> (replies: [Reply], failure: ReplyParser.Failure?) {
    var parser = ReplyParser()
    var found: [Reply] = []
    var start = 0
    while start < bytes.count {
        let end = min(bytes.count, start + pieces)
        let piece = Array(bytes[start..<end])
        var rest = piece.span
        do throws(ReplyParser.Failure) {
            while let reply = try parser.next(from: &rest) { found.append(reply) }
        } catch {
            return (found, error)
        }
        start = end
    }
    return (found, nil)
}

let status = martlet_fuzz(CommandLine.argc, CommandLine.unsafeArgv) { pointer, count in
    let input = Array(UnsafeBufferPointer(start: pointer, count: count))
    let bytes = Array(input.dropFirst())
    let whole = replies(bytes, pieces: max(1, bytes.count))
    let cut = replies(bytes, pieces: Int(input.first ?? 0) % 64 + 1)
    precondition(whole.replies == cut.replies, "the cut makes a difference")
    precondition((whole.failure == nil) == (cut.failure == nil), "the cut makes a difference to the failure")
    for reply in whole.replies {
        precondition((200...599).contains(reply.code), "a code that is none")
        precondition(reply.lines.count <= ReplyParser.mostKeptLines, "too many lines")
        precondition(reply.lines.allSatisfy { $0.utf8.allSatisfy(\.isPrintable) }, "a byte that is not printable")
        _ = PeerOffer(reply)
    }
    return 0
}
exit(status)
