// SPDX-License-Identifier: ISC

import Foundation
import Posix
import Testing

@testable import Host

/// A home directory with a ~/.forward in it, read as its owner would be allowed to.
@Suite(.enabled(if: geteuid() == 0, "only root can give files away"))
struct UserFileTests {
    private static let owner: UInt32 = 54_321
    private static let other: UInt32 = 54_322

    private final class Home {
        let top: String
        var path: String { "\(top)/home" }
        var file: String { "\(path)/.forward" }

        init() {
            var template = Array("/tmp/martlet-home.XXXXXX".utf8CString)
            top = mkdtemp(&template).map { String(cString: $0) } ?? "/nonexistent"
            chmod(top, 0o755)
            mkdir(path, 0o700)
            give(path)
        }

        deinit {
            for name in [file, "\(path)/target", path, "\(top)/target", "\(top)/link", top] where unlink(name) != 0 {
                rmdir(name)
            }
        }

        func give(_ name: String, to uid: UInt32 = UserFileTests.owner) { lchown(name, uid, uid) }

        func write(_ text: String, to name: String? = nil, mode: mode_t = 0o600, as uid: UInt32 = UserFileTests.owner) {
            let name = name ?? file
            let descriptor = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
            _ = Array(text.utf8).withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            close(descriptor)
            chmod(name, mode)
            give(name, to: uid)
        }

        func read(_ home: String? = nil) -> UserFile.Answer {
            UserFile.read(
                ".forward", home: home ?? path, uid: UserFileTests.owner, gid: UserFileTests.owner, limit: 4096)
        }
    }

    private func content(_ text: String) -> UserFile.Answer { .content(Array(text.utf8)) }

    private func isInsecure(_ answer: UserFile.Answer) -> Bool {
        if case .insecure = answer { true } else { false }
    }

    private func isTemporary(_ answer: UserFile.Answer) -> Bool {
        if case .temporaryFailure = answer { true } else { false }
    }

    @Test func `a file of the user is read, one that is not there is absent`() {
        let home = Home()
        #expect(home.read() == .absent)
        home.write("alice\n")
        #expect(home.read() == content("alice\n"))
        home.write("", mode: 0o644)
        #expect(home.read() == content(""))
        #expect(home.read("/nonexistent/home") == .absent)
        // Nobody but root is left behind as whoever it was.
        #expect(geteuid() == 0 && getegid() == 0)
    }

    @Test func `a file of root's is read where the user may read it`() {
        let home = Home()
        home.write("alice\n", mode: 0o644, as: 0)
        #expect(home.read() == content("alice\n"))
        home.write("alice\n", mode: 0o600, as: 0)
        #expect(isInsecure(home.read()))
    }

    @Test func `no other thread takes the identity of the user`() throws {
        var identities: [Substring] = []
        let threads = "/proc/self/task"
        let answer = UserFile.withRights(Self.owner, Self.owner) {
            for name in (try? FileManager.default.contentsOfDirectory(atPath: threads)) ?? [] {
                let status = try? FileDescriptor.open("\(threads)/\(name)/status", O_RDONLY)
                let text = (try? status?.readAll(limit: 1 << 16)) ?? []
                let line = String(decoding: text, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("Uid:") }
                if let line { identities.append(line.split(separator: "\t")[2]) }
            }
            return .absent
        }
        #expect(answer == .absent)
        #expect(identities.filter { $0 == "\(Self.owner)" }.count == 1)
        #expect(identities.count > 1)
    }

    @Test(arguments: [0o620, 0o602, 0o666, 0o622] as [mode_t])
    func `a file that others may write is not taken`(mode: mode_t) {
        let home = Home()
        home.write("alice\n", mode: mode)
        #expect(isInsecure(home.read()))
    }

    @Test func `somebody else's file is not taken, nor one that the user may not read`() {
        let home = Home()
        home.write("alice\n", mode: 0o644, as: Self.other)
        #expect(isInsecure(home.read()))
        home.write("alice\n", mode: 0)
        #expect(isInsecure(home.read()))
    }

    @Test func `links, pipes, directories and devices are not taken, and none is waited for`() {
        let home = Home()
        home.write("alice\n", to: "\(home.path)/target")
        #expect(symlink("target", home.file) == 0)
        home.give(home.file)
        #expect(isInsecure(home.read()))
        unlink(home.file)
        #expect(mkfifo(home.file, 0o600) == 0)
        home.give(home.file)
        #expect(isInsecure(home.read()))
        unlink(home.file)
        #expect(mkdir(home.file, 0o700) == 0)
        home.give(home.file)
        #expect(isInsecure(home.read()))
        rmdir(home.file)
        // What a terminal or a disk would be.
        if mknod(home.file, S_IFCHR | 0o600, 0x0103) == 0 {
            home.give(home.file)
            #expect(isInsecure(home.read()))
        }
    }

    @Test func `a second name of somebody else's file is not taken, one of the user's own is`() {
        let home = Home()
        home.write("secret\n", to: "\(home.top)/target", mode: 0o644, as: Self.other)
        #expect(link("\(home.top)/target", home.file) == 0)
        #expect(isInsecure(home.read()))
        unlink(home.file)
        home.write("secret\n", to: "\(home.top)/target", mode: 0o644, as: 0)
        #expect(link("\(home.top)/target", home.file) == 0)
        #expect(isInsecure(home.read()))
        unlink(home.file)
        // A backup may be one.
        home.write("alice\n", to: "\(home.path)/target")
        #expect(link("\(home.path)/target", home.file) == 0)
        #expect(home.read() == content("alice\n"))
    }

    @Test func `a long file is not taken`() {
        let home = Home()
        home.write(String(repeating: "x", count: 4095))
        #expect(home.read() == content(String(repeating: "x", count: 4095)))
        home.write(String(repeating: "x", count: 4096))
        #expect(isInsecure(home.read()))
    }

    @Test func `a sticky home directory holds mail back`() {
        let home = Home()
        home.write("alice\n")
        chmod(home.path, 0o1700)
        #expect(isTemporary(home.read()))
    }

    @Test func `every directory on the way must be the user's or root's, and nobody else's to write`() {
        let home = Home()
        home.write("alice\n")
        chmod(home.path, 0o777)
        #expect(isInsecure(home.read()))
        chmod(home.path, 0o700)
        chmod(home.top, 0o777)
        #expect(isInsecure(home.read()))
        chmod(home.top, 0o755)
        chown(home.top, Self.other, Self.other)
        #expect(isInsecure(home.read()))
        chown(home.top, 0, 0)
        home.give(home.path, to: Self.other)
        #expect(isInsecure(home.read()))
        home.give(home.path)
        #expect(home.read() == content("alice\n"))
        // A link on the way is followed, and what it leads to is checked.
        #expect(symlink(home.path, "\(home.top)/link") == 0)
        #expect(home.read("\(home.top)/link") == content("alice\n"))
    }

    @Test func `a file that is written to while it is read is not taken half`() throws {
        let home = Home()
        home.write("alice\n")
        var before: stat = stat()
        #expect(stat(home.file, &before) == 0)
        let file = try FileDescriptor.open(home.file, O_RDONLY)
        let facts = try file.facts()
        home.write("alice\nbob\n")
        #expect(try !file.isUnchanged(since: facts))
        #expect(try file.isUnchanged(since: file.facts()))
    }
}
