// SPDX-License-Identifier: ISC

import Foundation
import Glibc
import Testing

/// Debian's Postfix as the next hop: takes mail for example.com into one Maildir.
final class PostfixPeer {
    let port: Int
    private let directory: String
    private let program: Program

    private static let queues = [
        "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace",
        "pid",
    ]

    /// `settings` are further lines of its main.cf.
    init(_ instance: Instance, _ settings: [String] = []) throws {
        port = try Host.freePort()
        directory = "\(instance.directory)/postfix"
        let peers = Host.peers ?? ""
        let manager = FileManager.default
        let owner = try #require(Host.account("postfix"))
        let drop = try #require(Host.account("postdrop"))
        for name in ["etc", "data", "queue", "mail"] + Self.queues.map({ "queue/\($0)" }) {
            try manager.createDirectory(atPath: "\(directory)/\(name)", withIntermediateDirectories: true)
        }
        for name in Self.queues where name != "pid" {
            chown("\(directory)/queue/\(name)", owner.uid, 0)
            chmod("\(directory)/queue/\(name)", 0o700)
        }
        for (name, mode) in [("maildrop", mode_t(0o730)), ("public", 0o710)] {
            try manager.createDirectory(atPath: "\(directory)/queue/\(name)", withIntermediateDirectories: true)
            chown("\(directory)/queue/\(name)", owner.uid, drop.gid)
            chmod("\(directory)/queue/\(name)", mode)
        }
        chown("\(directory)/data", owner.uid, owner.gid)
        chown("\(directory)/mail", 2000, 2000)
        let main =
            [
                "compatibility_level = 3.6", "myhostname = postfix.example.com", "mydestination =",
                "inet_interfaces = 127.0.0.1", "inet_protocols = ipv4", "mynetworks = 127.0.0.0/8", "alias_maps =",
                "virtual_mailbox_domains = example.com", "virtual_mailbox_base = \(directory)/mail",
                "virtual_mailbox_maps = static:box/", "virtual_uid_maps = static:2000",
                "virtual_gid_maps = static:2000", "virtual_mailbox_limit = 0",
                "maillog_file = \(directory)/log", "maillog_file_prefixes = \(directory)",
                "daemon_directory = \(peers)/usr/lib/postfix/sbin", "command_directory = \(peers)/usr/sbin",
                "shlib_directory = \(peers)/usr/lib/postfix", "meta_directory = \(directory)/etc",
                "data_directory = \(directory)/data", "queue_directory = \(directory)/queue",
                "setgid_group = postdrop", "smtpd_peername_lookup = no",
                "import_environment = MAIL_CONFIG MAIL_LOGTAG LD_LIBRARY_PATH TZ LANG=C",
            ] + settings
        try (main.joined(separator: "\n") + "\n").write(
            toFile: "\(directory)/etc/main.cf", atomically: true, encoding: .utf8)
        let services = try String(contentsOfFile: "\(peers)/usr/share/postfix/master.cf.dist", encoding: .utf8)
            .split(separator: "\n").filter { !$0.hasPrefix("#") && !$0.hasPrefix("smtp      inet") }
        // Service, type, private, unprivileged, chroot: none of them leaves this directory.
        let lines = services.map { line -> String in
            var words = line.split(separator: " ", omittingEmptySubsequences: true).map(String.init)
            guard !line.hasPrefix(" "), words.count >= 8 else { return String(line) }
            words[4] = "n"
            return words.joined(separator: " ")
        }
        let master =
            ["127.0.0.1:\(port) inet n - n - - smtpd", "postlog unix-dgram n - n - 1 postlogd"]
            + lines.filter { !$0.hasPrefix("postlog ") }
        try (master.joined(separator: "\n") + "\n").write(
            toFile: "\(directory)/etc/master.cf", atomically: true, encoding: .utf8)
        program = try Program(
            ["\(peers)/usr/lib/postfix/sbin/master", "-d", "-c", "\(directory)/etc"],
            environment: [
                "MAIL_CONFIG": "\(directory)/etc",
                "LD_LIBRARY_PATH": "\(peers)/usr/lib/postfix:\(peers)/usr/lib/x86_64-linux-gnu",
            ])
        let port = port
        guard eventually(within: 60, { (try? SMTPClient(port: port)) != nil }) else {
            throw Failure("no Postfix: \(program.errors.text) \(log)")
        }
    }

    deinit {
        program.kill(SIGTERM)
        program.wait(seconds: 10)
        program.kill(SIGKILL)
    }

    var log: String { (try? String(contentsOfFile: "\(directory)/log", encoding: .utf8)) ?? "" }

    var messages: [String] { Maildir("\(directory)/mail/box").messages }

    func waitForMessages(_ count: Int) -> Bool { Maildir("\(directory)/mail/box").waitForMessages(count) }
}

/// Debian's Exim as the next hop: takes mail for example.com into one Maildir.
final class EximPeer {
    let port: Int
    private let directory: String
    private let program: Program

    static let isThere = Host.peers.map { access("\($0)/usr/sbin/exim4", X_OK) == 0 } ?? false
    static let why = "MARTLET_PEERS does not name a directory with Exim in it"

    /// With a certificate of the workshop it offers STARTTLS, and under TLS the mechanism to whoever knows that `bob` has
    /// the password `correct horse`; then it takes mail from nobody else.
    init(
        _ instance: Instance, _ workshop: Workshop? = nil, certificate: String = "hop", mechanism: String = "PLAIN"
    ) throws {
        port = try Host.freePort()
        directory = "\(instance.directory)/exim"
        let peers = Host.peers ?? ""
        let user = try #require(Host.account("Debian-exim"))
        for name in ["spool", "log", "mail"] {
            try FileManager.default.createDirectory(
                atPath: "\(directory)/\(name)", withIntermediateDirectories: true)
            chown("\(directory)/\(name)", user.uid, user.gid)
        }
        var tls = "tls_advertise_hosts ="
        var condition = ""
        var authenticators = ""
        if let workshop {
            // It reads the key as its own user.
            chown(workshop.key(certificate), user.uid, user.gid)
            tls = """
                tls_advertise_hosts = *
                tls_certificate = \(workshop.certificate(certificate))
                tls_privatekey = \(workshop.key(certificate))
                auth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}}
                """
            condition = "authenticated = *"
            let (user, password, prompts) =
                mechanism == "PLAIN" ? ("$auth2", "$auth3", ":") : ("$auth1", "$auth2", "<| Username: | Password:")
            authenticators = """
                begin authenticators
                only:
                  driver = plaintext
                  public_name = \(mechanism)
                  server_prompts = \(prompts)
                  server_condition = ${if and{{eq{\(user)}{bob}}{eq{\(password)}{correct horse}}}}
                  server_set_id = \(user)
                """
        }
        let configuration = """
            exim_user = Debian-exim
            exim_group = Debian-exim
            exim_path = \(peers)/usr/sbin/exim4
            keep_environment = LD_LIBRARY_PATH
            # One that is not set-id delivers as who it is, without being run again.
            deliver_drop_privilege = true
            primary_hostname = exim.example.com
            local_interfaces = <; [127.0.0.1]:\(port)
            spool_directory = \(directory)/spool
            log_file_path = \(directory)/log/%slog
            domainlist local_domains = example.com
            acl_smtp_rcpt = accept_all
            acl_smtp_data = accept_all
            chunking_advertise_hosts = *
            host_lookup =
            rfc1413_query_timeout = 0s
            \(tls)
            message_size_limit = 60M
            begin acl
            accept_all:
              accept
              \(condition)
            begin routers
            all:
              driver = accept
              domains = +local_domains
              transport = box
            begin transports
            box:
              driver = appendfile
              maildir_format
              directory = \(directory)/mail/box
            \(authenticators)

            """
        try configuration.write(toFile: "\(directory)/exim.conf", atomically: true, encoding: .utf8)
        program = try Program(
            ["\(peers)/usr/sbin/exim4", "-C", "\(directory)/exim.conf", "-bdf"],
            environment: ["LD_LIBRARY_PATH": "\(peers)/usr/lib/x86_64-linux-gnu:\(peers)/usr/lib/exim4"])
        let port = port
        guard eventually(within: 60, { (try? SMTPClient(port: port)) != nil }) else {
            throw Failure("no Exim: \(program.errors.text)")
        }
    }

    deinit {
        program.kill(SIGTERM)
        program.wait(seconds: 10)
        program.kill(SIGKILL)
    }

    var log: String {
        ["main", "panic", "reject"].compactMap {
            try? String(contentsOfFile: "\(directory)/log/\($0)log", encoding: .utf8)
        }.joined(separator: "\n")
    }

    func waitForMessages(_ count: Int) -> Bool { Maildir("\(directory)/mail/box").waitForMessages(count) }
    var messages: [String] { Maildir("\(directory)/mail/box").messages }
}
