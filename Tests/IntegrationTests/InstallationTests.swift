// SPDX-License-Identifier: ISC

import Foundation
import Testing

extension WholeHouse.Private {
    /// `etc/setup install` and `uninstall`, over layers that nobody else sees.
    struct Installations {
        private static let layers = """
            set -eu
            mount --make-rprivate /
            mount -t tmpfs tmpfs "$1"
            for part in usr etc; do
                mkdir "$1/$part" "$1/$part.work"
                mount -t overlay -o "lowerdir=/$part,upperdir=$1/$part,workdir=$1/$part.work" overlay "/$part" || exit 77
            done
            for part in lib spool; do mount -t tmpfs tmpfs "/var/$part"; done
            cd "$2"
            """

        /// Runs lines of shell where installing changes nothing; nil where the kernel has no such layers.
        private func run(_ instance: Instance, _ script: String) throws -> Program.Result? {
            let layers = "\(instance.directory)/layers"
            try FileManager.default.createDirectory(atPath: layers, withIntermediateDirectories: true)
            let result = try Program.run(
                ["unshare", "--mount", "sh", "-c", "\(Self.layers)\n\(script)", "sh", layers, Host.root],
                environment: ["MARTLET_INSTALL_FROM": Host.programs], seconds: 120)
            return result.status == 77 ? nil : result
        }

        @Test func `install brings the service of PAM, and uninstall takes it away unless it was changed`() throws {
            let instance = try Instance()
            let result = try run(
                instance,
                """
                etc/setup install --replace >&2
                cmp /etc/pam.d/smtpd etc/martlet.pam && test -x /usr/local/sbin/martletd && echo there
                etc/setup install >&2
                etc/setup uninstall >&2
                test -e /etc/pam.d/smtpd || test -e /usr/local/sbin/martletd || echo gone
                etc/setup install >&2
                echo 'account required pam_deny.so' >>/etc/pam.d/smtpd
                etc/setup install >&2
                etc/setup uninstall >&2
                grep -c pam_deny /etc/pam.d/smtpd
                etc/setup install >&2
                etc/setup uninstall >&2
                grep -c pam_deny /etc/pam.d/smtpd
                """)
            guard let result else { return }
            #expect(
                result.status == 0 && result.lines == ["there", "gone", "1", "1"], "\(result.output)\(result.errors)")
        }

        // With Debian's register of diversions, and on a host that has none.
        @Test(arguments: ["mkdir -p /var/lib/dpkg && : >/var/lib/dpkg/status", "rm -f /usr/bin/dpkg-divert"])
        func `the sendmail of another is displaced by replace only, kept, and brought back`(host: String) throws {
            let instance = try Instance()
            let result = try run(
                instance,
                """
                \(host)
                rm -f /usr/sbin/sendmail /usr/lib/sendmail /usr/bin/mailq
                printf '#!/bin/sh\\necho "$0" of another\\n' | tee /usr/sbin/sendmail >/usr/bin/mailq
                chmod 750 /usr/sbin/sendmail /usr/bin/mailq
                ln -s ../sbin/sendmail /usr/lib/sendmail
                etc/setup install >&2 || echo refused
                test -e /usr/local/sbin/martletd || mailq
                etc/setup install --replace >&2
                readlink /usr/sbin/sendmail /usr/lib/sendmail /usr/bin/mailq
                sh /usr/sbin/sendmail.displaced-by-martlet
                # An upgrade, which finds nothing of another's any more.
                etc/setup install >&2
                etc/setup uninstall >&2
                sendmail
                stat -c '%a %n' /usr/sbin/sendmail /usr/bin/mailq
                readlink /usr/lib/sendmail
                ls /usr/sbin /usr/lib /usr/bin | grep -c displaced-by-martlet || :
                """)
            guard let result else { return }
            let ours = "/usr/local/sbin/martletctl"
            #expect(
                result.status == 0
                    && result.lines == [
                        "refused", "/usr/bin/mailq of another", ours, ours, ours,
                        "/usr/sbin/sendmail.displaced-by-martlet of another", "/usr/sbin/sendmail of another",
                        "750 /usr/sbin/sendmail", "750 /usr/bin/mailq", "../sbin/sendmail", "0",
                    ], "\(result.output)\(result.errors)")
        }

        @Test func `a host without aliases gets ours, and is not refused for want of them`() throws {
            let instance = try Instance()
            let result = try run(
                instance,
                """
                rm -f /etc/aliases
                etc/setup install --replace >&2
                cmp /etc/aliases etc/aliases && echo there
                """)
            guard let result else { return }
            #expect(result.status == 0 && result.lines == ["there"], "\(result.output)\(result.errors)")
        }
    }
}
