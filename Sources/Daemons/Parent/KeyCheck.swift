// SPDX-License-Identifier: ISC

import Configuration
import Host
import IPC
import Posix
import TLS

/// What `martletd -n` says of the files of `pki` and `ca`: everything that is wrong, each in a line.
///
/// Only here does martletd read what is in them; a server gives their descriptors away unread.
enum KeyCheck {
    static func faults(of configuration: ServerConfiguration) -> [String] {
        var faults: [String] = []
        do throws(TLSFault) {
            try TLSLibrary.prepare()
        } catch {
            return ["\(error)"]
        }
        let bundle = KeyFiles.systemBundles.first { FileFacts(at: $0) != nil }
        do throws(StartFailure) {
            let files = try KeyFiles(configuration, bundle: bundle)
            for file in files.all {
                if let fault = fault(in: file, files) { faults.append(fault) }
            }
        } catch {
            faults.append(error.reason)
        }
        faults += settingFaults(configuration)
        var seen: Set<String> = []
        return faults.filter { seen.insert($0).inserted }
    }

    private static func fault(in file: KeyFile, _ files: KeyFiles) -> String? {
        do throws(StartFailure) {
            let descriptor = try file.open()
            do throws(TLSFault) {
                switch file.purpose {
                case .certificate:
                    let chain = try CertificateChain(descriptor)
                    return chain.fault(at: SystemClock.now()).map { "pki \(file.name): \(file.path): \($0)" }
                case .authorities:
                    _ = try TrustAnchors(descriptor)
                case .serverKey, .clientKey:
                    return try mismatch(descriptor, file, files)
                case .table, .tableProgram:
                    break
                }
            } catch {
                return "\(file.path): \(error)"
            }
        } catch {
            return error.reason
        }
        return nil
    }

    private static func mismatch(
        _ descriptor: consuming FileDescriptor, _ file: KeyFile, _ files: KeyFiles
    ) throws(TLSFault) -> String? {
        let key = try PrivateKeyFile.fingerprint(descriptor)
        let other = (files.listener + files.relay).first { $0.purpose == .certificate && $0.name == file.name }
        guard let other, let certificate = try? other.open() else { return nil }
        guard let chain = try? CertificateChain(certificate), chain.keyFingerprint != key else { return nil }
        return "pki \(file.name): key \(file.path) does not belong to certificate \(other.path)"
    }

    private static func settingFaults(_ configuration: ServerConfiguration) -> [String] {
        var faults: [String] = []
        func check(_ ciphers: String?, _ location: SourceLocation) {
            var settings = TLSSettings()
            settings.ciphers = ciphers
            if let fault = settings.fault() { faults.append("\(location): \(fault)") }
        }
        for listener in configuration.listeners where listener.encryption != .none {
            check(listener.ciphers ?? configuration.smtp.ciphers, listener.location)
        }
        for action in configuration.actions {
            if case .relay(let relay) = action.kind, relay.ciphers != nil { check(relay.ciphers, action.location) }
        }
        return faults
    }
}
