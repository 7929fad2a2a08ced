/* SPDX-License-Identifier: ISC */
/* Macros of OpenSSL, and what it calls back for during a handshake. */
#include "CSigner.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <string.h>

struct tickets {
    unsigned char keys[MARTLET_TICKET_KEYS_MAX][MARTLET_TICKET_KEY_SIZE];
    size_t count;
};

static void free_tickets(void *parent, void *data, CRYPTO_EX_DATA *all, int index, long number, void *pointer)
{
    (void)parent;
    (void)all;
    (void)index;
    (void)number;
    (void)pointer;
    OPENSSL_clear_free(data, sizeof(struct tickets));
}

static int tickets_index(void)
{
    static int index = -1;
    if (index < 0)
        index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_tickets);
    return index;
}

int martlet_context_prepare(SSL_CTX *context, int least_version, int greatest_version)
{
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE
            | SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CLEANSE_PLAINTEXT);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
            | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    /* One call of the system for a record and not two. */
    SSL_CTX_set_read_ahead(context, 1);
    return SSL_CTX_set_min_proto_version(context, least_version)
        && SSL_CTX_set_max_proto_version(context, greatest_version);
}

void martlet_context_set_store(SSL_CTX *context, X509_STORE *store)
{
    X509_STORE_up_ref(store);
    SSL_CTX_set_cert_store(context, store);
}

int martlet_context_add_chain(SSL_CTX *context, X509 *certificate)
{
    return (int)SSL_CTX_add1_chain_cert(context, certificate);
}

int martlet_context_set_signatures(SSL_CTX *context, const char *names)
{
    return (int)SSL_CTX_set1_sigalgs_list(context, names);
}

void martlet_context_set_dh(SSL_CTX *context, int is_used)
{
    SSL_CTX_set_dh_auto(context, is_used);
}

/* Another protocol's client was led here by somebody (ALPACA): RFC 7301 section 3.2 has an alert for it. */
static int choose_protocol(SSL *ssl, const unsigned char **chosen, unsigned char *count, const unsigned char *offered,
    unsigned int offered_count, void *argument)
{
    static const unsigned char smtp[] = {4, 's', 'm', 't', 'p'};
    (void)ssl;
    (void)argument;
    for (unsigned int at = 0; at < offered_count; at += 1u + offered[at]) {
        if (offered[at] == 4 && at + 5 <= offered_count && memcmp(offered + at, smtp, 5) == 0) {
            *chosen = offered + at + 1;
            *count = 4;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

void martlet_context_require_smtp(SSL_CTX *context)
{
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
}

static int ticket_key(SSL *ssl, unsigned char *name, unsigned char *vector, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
    int is_new)
{
    const struct tickets *tickets = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), tickets_index());
    if (tickets == NULL || tickets->count == 0)
        return 0;
    size_t index = 0;
    if (is_new) {
        memcpy(name, tickets->keys[0], 16);
        if (RAND_bytes(vector, 16) <= 0)
            return -1;
    } else {
        while (index < tickets->count && memcmp(name, tickets->keys[index], 16) != 0)
            index++;
        if (index == tickets->count)
            return 0;
    }
    unsigned char *key = (unsigned char *)tickets->keys[index];
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key + 48, 32),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, "SHA256", 0),
        OSSL_PARAM_construct_end()
    };
    if (EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key + 16, vector, is_new) <= 0
        || EVP_MAC_CTX_set_params(mac, params) <= 0)
        return -1;
    /* 2: taken, and to be replaced by one of the newest key. */
    return index == 0 ? 1 : 2;
}

int martlet_context_set_ticket_keys(SSL_CTX *context, const unsigned char *keys, size_t count)
{
    struct tickets *tickets = SSL_CTX_get_ex_data(context, tickets_index());
    if (count > MARTLET_TICKET_KEYS_MAX)
        return 0;
    if (tickets == NULL) {
        tickets = OPENSSL_zalloc(sizeof *tickets);
        if (tickets == NULL || !SSL_CTX_set_ex_data(context, tickets_index(), tickets))
            return 0;
    }
    OPENSSL_cleanse(tickets, sizeof *tickets);
    memcpy(tickets->keys, keys, count * MARTLET_TICKET_KEY_SIZE);
    tickets->count = count;
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_timeout(context, MARTLET_TICKET_SECONDS);
    return SSL_CTX_set_tlsext_ticket_key_evp_cb(context, ticket_key) > 0;
}

struct siblings {
    SSL_CTX *const *contexts;
    size_t count;
};

/* The first context whose certificate has the name that the client wants; else the one that the listener begins with. */
static int choose_context(SSL *ssl, int *alert, void *argument)
{
    const struct siblings *siblings = argument;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    (void)alert;
    if (name == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    for (size_t index = 0; index < siblings->count; index++) {
        X509 *certificate = SSL_CTX_get0_certificate(siblings->contexts[index]);
        if (certificate != NULL && X509_check_host(certificate, name, 0, 0, NULL) == 1) {
            SSL_set_SSL_CTX(ssl, siblings->contexts[index]);
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_NOACK;
}

static void free_siblings(void *parent, void *data, CRYPTO_EX_DATA *all, int index, long number, void *pointer)
{
    (void)parent;
    (void)all;
    (void)index;
    (void)number;
    (void)pointer;
    OPENSSL_free(data);
}

static int siblings_index(void)
{
    static int index = -1;
    if (index < 0)
        index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_siblings);
    return index;
}

int martlet_context_set_siblings(SSL_CTX *context, SSL_CTX *const *contexts, size_t count)
{
    struct siblings *siblings = OPENSSL_zalloc(sizeof *siblings);
    if (siblings == NULL || !SSL_CTX_set_ex_data(context, siblings_index(), siblings)) {
        OPENSSL_free(siblings);
        return 0;
    }
    siblings->contexts = contexts;
    siblings->count = count;
    return SSL_CTX_set_tlsext_servername_callback(context, choose_context)
        && SSL_CTX_set_tlsext_servername_arg(context, siblings);
}

void martlet_ssl_set_async(SSL *ssl, int is_on)
{
    if (is_on)
        SSL_set_mode(ssl, SSL_MODE_ASYNC);
    else
        SSL_clear_mode(ssl, SSL_MODE_ASYNC);
}

int martlet_ssl_set_host_name(SSL *ssl, const char *name)
{
    return (int)SSL_set_tlsext_host_name(ssl, name);
}

const char *martlet_ssl_cipher(const SSL *ssl, int *bits)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    *bits = cipher == NULL ? 0 : SSL_CIPHER_get_bits(cipher, NULL);
    return cipher == NULL ? "" : SSL_CIPHER_get_name(cipher);
}

int martlet_ssl_has_extended_secret(SSL *ssl)
{
    return SSL_version(ssl) >= TLS1_3_VERSION || SSL_get_extms_support(ssl) == 1;
}
