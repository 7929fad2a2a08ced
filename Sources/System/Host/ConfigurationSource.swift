// SPDX-License-Identifier: ISC

public import Configuration
import Posix

extension SourceText {
    /// Of one file, in bytes; a part of a configuration must fit into a frame.
    private static let longest = 4 << 20

    /// What stands in a file of the configuration, or in words why that cannot be read.
    public static func file(_ path: String) -> SourceText {
        do throws(SystemError) {
            // Whoever may write there may have root run what he likes.
            if ThisProcess.isRoot, let facts = FileFacts(at: path), facts.isWritableByEveryone {
                return .unreadable("writable by everyone (chmod o-w \(path))")
            }
            guard let bytes = try FileDescriptor.content(of: path, limit: longest) else {
                return .unreadable("larger than \(longest >> 20) MiB")
            }
            return .bytes(bytes)
        } catch {
            return .unreadable("\(error)")
        }
    }
}
