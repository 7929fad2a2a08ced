// SPDX-License-Identifier: ISC

public import Channel
public import IPC
import Reactor

/// The private keys, which are in Keys: every signature is asked for over its edge.
public final class RemoteKeys: Signer {
    // A Keys that does not answer for 30 seconds is replaced; its successor is asked then.
    private static let patienceMilliseconds: UInt64 = 45_000
    private static let attempts = 3

    public let slot = PeerSlot<FromKeys, ToKeys>()
    private let purpose: KeyPurpose
    /// By their numbers. One entry for each certificate that was ever used.
    private var names: [KeyName] = []
    /// Why a signature could not be had.
    public var refused: (String) -> Void = { _ in }

    public init(for purpose: KeyPurpose) { self.purpose = purpose }

    /// The identity of a pki name with this certificate.
    public func identity(_ pki: String, _ chain: CertificateChain) -> ServerContext.Identity {
        let name = KeyName(pki: pki, fingerprint: chain.keyFingerprint)
        if let known = names.firstIndex(of: name) { return ServerContext.Identity(chain, key: UInt32(known)) }
        names.append(name)
        return ServerContext.Identity(chain, key: UInt32(names.count - 1))
    }

    /// Why Keys would not sign for this certificate; nil when it would.
    public func fault(_ pki: String, _ chain: CertificateChain) async -> String? {
        let name = KeyName(pki: pki, fingerprint: chain.keyFingerprint)
        do {
            switch try await slot.request(
                .holds(name, purpose: purpose), timeoutMilliseconds: Self.patienceMilliseconds)
            {
            case .held: return nil
            case .refused(let reason): return reason
            case .signature: return "an answer to another question"
            }
        } catch {
            return "the keys cannot be asked now"
        }
    }

    public func sign(key: UInt32, algorithm: UInt8, _ input: [UInt8]) async -> [UInt8] {
        guard Int(key) < names.count, let algorithm = SignatureAlgorithm(rawValue: algorithm) else { return [] }
        let name = names[Int(key)]
        let request = ToKeys.sign(name, purpose: purpose, algorithm: algorithm, input)
        for _ in 0..<Self.attempts {
            do {
                switch try await slot.request(request, timeoutMilliseconds: Self.patienceMilliseconds) {
                case .signature(let signature): return signature
                case .refused(let reason):
                    refused("pki \(name.pki): \(reason)")
                    return []
                case .held: return []
                }
            } catch .gone {
                // Its successor knows the same keys, and signing twice does no harm.
                continue
            } catch {
                break
            }
        }
        refused("pki \(name.pki): no answer")
        return []
    }
}
