// SPDX-License-Identifier: ISC

/// A bare word that the language reserves; in quotes it is a string like any other.
///
/// The set is closed: a word that became reserved would break files that use it as a name.
enum Keyword: String, CaseIterable, Hashable, Sendable {
    case action, admd, alias, any, auth, backup, bounce, bypass, ca, cert, chain, chroot, ciphers, commit,
        compression, connect, data, dhe, disconnect, domain, ehlo, encryption, fcrdns, filter, from, group, helo,
        host, hostname, hostnames, include, inet4, inet6, junk, key, limit, listen, lmtp, local, maildir, masquerade,
        match, mbox, mda, mta, mx, noop, on, phase, pki, port, proc, protocols, queue, quit, rdns, recipient, regex,
        reject, relay, report, rewrite, rset, scheduler, senders, smtp, smtps, socket, src, srs, table, tag, tagged,
        tls, ttl, user, userbase, verify, virtual, wrapper
    case `for`
    case authOptional = "auth-optional"
    case dataLine = "data-line"
    case expandOnly = "expand-only"
    case forwardOnly = "forward-only"
    case heloSrc = "helo-src"
    case mailFrom = "mail-from"
    case maskSrc = "mask-src"
    case maxDeferred = "max-deferred"
    case maxMessageSize = "max-message-size"
    case noDsn = "no-dsn"
    case noVerify = "no-verify"
    case procExec = "proc-exec"
    case proxyV2 = "proxy-v2"
    case rcptTo = "rcpt-to"
    case receivedAuth = "received-auth"
    case smtpIn = "smtp-in"
    case smtpOut = "smtp-out"
    case subAddrDelim = "sub-addr-delim"
    case tlsRequire = "tls-require"
    case warnInterval = "warn-interval"
}
