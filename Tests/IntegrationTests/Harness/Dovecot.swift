// SPDX-License-Identifier: ISC

import Foundation
import Glibc
import Testing

extension Host {
    /// Dovecot where it can be run: unpacked, and seen where it is when it is installed (see etc/setup).
    static let hasDovecot =
        isPrivate && access("/usr/lib/dovecot/lmtp", X_OK) == 0 && access("/usr/bin/doveconf", X_OK) == 0
    static let withoutDovecot = "there is no Dovecot where it could be run"
}

/// A Dovecot that takes mail by LMTP and reads mailboxes.
final class Dovecot {
    let directory: String
    let port: Int
    /// Where another server may ask it for a proof of who somebody is.
    let authenticationPort: Int
    private let program: Program
    private var configuration: String { "\(directory)/dovecot.conf" }
    var socket: String { "\(directory)/lmtp" }

    private static let root = Host.peers ?? ""
    private static let libraries = "\(root)/usr/lib/dovecot:\(root)/usr/lib/x86_64-linux-gnu"
    private static let environment = ["LD_LIBRARY_PATH": libraries]

    /// `location` is where the mail of a user of the system is. With a password, only who proves to know it is anybody.
    init(_ instance: Instance, location: String = "maildir:~/Maildir", password: String? = nil) throws {
        directory = "\(instance.directory)/dovecot"
        port = try Host.freePort()
        authenticationPort = try Host.freePort()
        let source = password.map { "password=\($0)" } ?? "nopassword=y"
        for name in ["", "/base", "/state"] {
            try FileManager.default.createDirectory(atPath: directory + name, withIntermediateDirectories: true)
        }
        try """
        protocols = lmtp
        base_dir = \(directory)/base
        state_dir = \(directory)/state
        libexec_dir = /usr/lib/dovecot
        ssl = no
        log_path = /dev/stderr
        import_environment = LD_LIBRARY_PATH=\(Self.libraries)
        default_internal_user = nobody
        default_login_user = nobody
        default_internal_group = nogroup
        first_valid_uid = 1
        mail_location = \(location)
        mail_privileged_group = mail
        auth_username_format = %n
        userdb {
          driver = passwd
        }
        passdb {
          driver = static
          args = \(source)
        }
        auth_mechanisms = plain login scram-sha-256
        disable_plaintext_auth = no
        service auth {
          inet_listener {
            address = 127.0.0.1
            port = \(authenticationPort)
          }
        }
        service lmtp {
          unix_listener \(directory)/lmtp {
            mode = 0600
          }
          inet_listener lmtp {
            address = 127.0.0.1
            port = \(port)
          }
        }

        """.write(toFile: "\(directory)/dovecot.conf", atomically: true, encoding: .utf8)
        program = try Program(
            ["\(Self.root)/usr/sbin/dovecot", "-F", "-c", "\(directory)/dovecot.conf"], environment: Self.environment)
        let isReady = eventually(within: 60) { (try? SMTPClient(port: port)) != nil }
        guard isReady else { throw Failure("no Dovecot: \(program.errors.text)") }
    }

    deinit {
        program.kill(SIGTERM)
        if program.wait(seconds: 20) == nil { program.kill(SIGKILL) }
    }

    var log: String { program.errors.text }

    /// What Dovecot finds in a mailbox of a user; `fields` as of doveadm-fetch(1).
    func fetch(_ fields: String, of user: String, in mailbox: String = "INBOX") throws -> String {
        let result = try Program.run(
            [
                "\(Self.root)/usr/bin/doveadm", "-c", configuration, "fetch", "-u", user, fields, "mailbox", mailbox,
            ], environment: Self.environment, seconds: 60)
        guard result.status == 0 else { throw Failure("doveadm: \(result.errors)") }
        return result.output
    }

    /// How many messages Dovecot sees, whole ones.
    func count(of user: String, in mailbox: String = "INBOX") throws -> Int {
        try fetch("uid", of: user, in: mailbox).split(separator: "\n").count { $0.hasPrefix("uid: ") }
    }
}
