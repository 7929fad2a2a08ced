// SPDX-License-Identifier: ISC

import CPAM
import Digest
import Glibc
import IPC
import Mail

/// Whether somebody knows a password: by PAM for users of the system, by crypt(3) or SCRAM for credentials of tables.
nonisolated enum Passwords {
    // As the reference names it: a file of this name in /etc/pam.d says what counts.
    private static let service = "smtpd"
    private static let longestPassword = 1023

    static func login(user: String, _ password: [UInt8]) -> PasswordVerdict {
        guard Users.isName(user), isPassword(password) else { return .wrong }
        let conversation = Conversation(password)
        var functions = pam_conv(
            conv: { count, messages, responses, data in
                guard let data else { return PAM_CONV_ERR }
                return Unmanaged<Conversation>.fromOpaque(data).takeUnretainedValue()
                    .answer(count, messages, responses)
            }, appdata_ptr: Unmanaged.passUnretained(conversation).toOpaque())
        var handle: OpaquePointer?
        guard pam_start(service, user, &functions, &handle) == PAM_SUCCESS, let handle else { return .temporaryFailure }
        // Who fails waits at the listener, not in this process, which others need.
        let noDelay: @convention(c) (Int32, UInt32, UnsafeMutableRawPointer?) -> Void = { _, _, _ in }
        _ = pam_set_item(handle, PAM_FAIL_DELAY, unsafeBitCast(noDelay, to: UnsafeRawPointer.self))
        let flags = Int32(bitPattern: UInt32(PAM_SILENT)) | Int32(PAM_DISALLOW_NULL_AUTHTOK)
        var status = pam_authenticate(handle, flags)
        if status == PAM_SUCCESS { status = pam_acct_mgmt(handle, flags) }
        _ = pam_end(handle, status)
        return withExtendedLifetime(conversation) { verdict(status) }
    }

    private static func verdict(_ status: Int32) -> PasswordVerdict {
        switch status {
        case PAM_SUCCESS: .right
        case PAM_AUTH_ERR, PAM_USER_UNKNOWN, PAM_MAXTRIES, PAM_PERM_DENIED, PAM_ACCT_EXPIRED, PAM_NEW_AUTHTOK_REQD,
            PAM_CRED_INSUFFICIENT:
            .wrong
        default: .temporaryFailure
        }
    }

    static func check(_ password: [UInt8], credential text: String) -> PasswordVerdict {
        guard isPassword(password), let credential = StoredCredential(text) else { return .wrong }
        switch credential {
        case .crypt(let hash): return check(password, hash)
        case .scram(let verifier):
            guard let salted = Digest.stretch(password: password, salt: verifier.salt, rounds: Int(verifier.rounds))
            else { return .temporaryFailure }
            let stored = Digest.sha256(Digest.hmac(key: salted, Array("Client Key".utf8)))
            return Digest.areEqual(stored, verifier.storedKey) ? .right : .wrong
        }
    }

    private static func check(_ password: [UInt8], _ hash: String) -> PasswordVerdict {
        var text = password.map { CChar(bitPattern: $0) } + [0]
        defer { for index in text.indices { text[index] = 0 } }
        guard let computed = crypt(text, hash) else { return .temporaryFailure }
        let found = String(cString: computed)
        // `*0` and `*1` stand for a hash that crypt(3) does not know.
        guard !found.hasPrefix("*") else { return .temporaryFailure }
        return Digest.areEqual(Array(found.utf8), Array(hash.utf8)) ? .right : .wrong
    }

    // RFC 5802 section 3: ClientKey := ClientProof XOR ClientSignature; StoredKey must be its digest.
    static func proof(_ proof: [UInt8], message: [UInt8], credential text: String) -> FromAccount {
        guard case .scram(let verifier)? = StoredCredential(text), proof.count == Digest.size else {
            return .verdict(.wrong)
        }
        let signature = Digest.hmac(key: verifier.storedKey, message)
        let key = zip(proof, signature).map { $0 ^ $1 }
        guard Digest.areEqual(Digest.sha256(key), verifier.storedKey) else { return .verdict(.wrong) }
        return .proof(Digest.hmac(key: verifier.serverKey, message))
    }

    private static func isPassword(_ password: [UInt8]) -> Bool {
        // An empty one would fit an account without a password.
        !password.isEmpty && password.count <= longestPassword && !password.contains(0)
    }
}

/// What PAM's modules ask is answered with the one password there is.
private nonisolated final class Conversation {
    private let password: [UInt8]

    init(_ password: [UInt8]) { self.password = password }

    func answer(
        _ count: Int32, _ messages: UnsafeMutablePointer<UnsafePointer<pam_message>?>?,
        _ responses: UnsafeMutablePointer<UnsafeMutablePointer<pam_response>?>?
    ) -> Int32 {
        guard count > 0, count <= PAM_MAX_NUM_MSG, let messages, let responses,
            let answers = calloc(Int(count), MemoryLayout<pam_response>.stride)?
                .bindMemory(to: pam_response.self, capacity: Int(count))
        else { return PAM_CONV_ERR }
        for index in 0..<Int(count) {
            switch messages[index]?.pointee.msg_style {
            case PAM_PROMPT_ECHO_OFF:
                // The module frees it.
                let text = password.map { CChar(bitPattern: $0) } + [0]
                answers[index].resp = strdup(text)
            case PAM_TEXT_INFO, PAM_ERROR_MSG:
                break
            default:
                // A question for anything else, which nobody here could answer.
                for done in 0..<index { free(answers[done].resp) }
                free(answers)
                return PAM_CONV_ERR
            }
        }
        responses.pointee = answers
        return PAM_SUCCESS
    }
}
