/* SPDX-License-Identifier: ISC */
/* What Swift cannot say to OpenSSL: macros, callbacks inside a handshake, and a provider whose private keys are
 * elsewhere. A signature pauses the handshake's ASYNC job here, so that no frame of Swift is ever on its stack. */
#ifndef MARTLET_CSIGNER_H
#define MARTLET_CSIGNER_H

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/async.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stddef.h>
#include <stdint.h>

/* ---- keys that are elsewhere (provider.c) ---- */

/* Numbers of SignatureAlgorithm (Core/IPC). */
enum {
    MARTLET_SIGN_RSA_PSS_SHA256 = 2,
    MARTLET_SIGN_RSA_PKCS1_SHA256 = 3,
    MARTLET_SIGN_ECDSA = 4,
    MARTLET_SIGN_ED25519 = 5,
    MARTLET_SIGN_RSA_PSS_SHA384 = 6,
    MARTLET_SIGN_RSA_PSS_SHA512 = 7,
    MARTLET_SIGN_RSA_PKCS1_SHA384 = 8,
    MARTLET_SIGN_RSA_PKCS1_SHA512 = 9
};

/* A signature that somebody else is to make; it belongs to the paused handshake and lives until it is answered and the
 * handshake was driven on. */
struct martlet_signing {
    uint32_t key;
    int algorithm;
    const unsigned char *input;
    size_t input_count;
    unsigned char *output;
    size_t output_room;
    size_t output_count;
    int is_answered;
};

/* Makes OpenSSL ready without a configuration or any file, with at most so many paused handshakes. 1 when it is. */
int martlet_signer_prepare(size_t most_paused);

/* A key whose public half is that of `certificate` and whose signatures are asked for under the number `key`. */
EVP_PKEY *martlet_remote_key(X509 *certificate, uint32_t key);

/* The signature that the handshake waits for which has just paused; NULL when none does. */
struct martlet_signing *martlet_signing_take(void);
/* Answers it; no bytes are a refusal. */
void martlet_signing_answer(struct martlet_signing *signing, const unsigned char *bytes, size_t count);

/* ---- contexts (context.c) ---- */

/* Both sides: what every context of ours has. 1 when all of it could be set. */
int martlet_context_prepare(SSL_CTX *context, int least_version, int greatest_version);
void martlet_context_set_store(SSL_CTX *context, X509_STORE *store);
int martlet_context_add_chain(SSL_CTX *context, X509 *certificate);
int martlet_context_set_signatures(SSL_CTX *context, const char *names);
void martlet_context_set_dh(SSL_CTX *context, int is_used);
/* Server: ALPN is absent or `smtp`. */
void martlet_context_require_smtp(SSL_CTX *context);

#define MARTLET_TICKET_KEYS_MAX 2
#define MARTLET_TICKET_KEY_SIZE 80
/* A ticket is good for so long; less than the time in which its key is kept. */
#define MARTLET_TICKET_SECONDS 3600

/* Server: the keys of tickets, the newest first, each a name of 16 bytes, 32 for AES and 32 for HMAC. */
int martlet_context_set_ticket_keys(SSL_CTX *context, const unsigned char *keys, size_t count);
/* Server: the contexts among which the name that the client wants decides. The array must live as long as `context`. */
int martlet_context_set_siblings(SSL_CTX *context, SSL_CTX *const *siblings, size_t count);

/* ---- one connection ---- */

void martlet_ssl_set_async(SSL *ssl, int is_on);
int martlet_ssl_set_host_name(SSL *ssl, const char *name);
const char *martlet_ssl_cipher(const SSL *ssl, int *bits);
int martlet_ssl_has_extended_secret(SSL *ssl);

#endif
