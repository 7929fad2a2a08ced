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
