/* SPDX-License-Identifier: ISC */
/* A provider of OpenSSL 3 for keys of which only the public half is here. Everything but signing is given to the
 * default provider's copy of the public key; a signature is described and waited for. */
#include "CSigner.h"

#include <openssl/core.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <string.h>

static const char *const own = "provider=martlet";
static const char *const others = "provider=default";

struct remote_key {
    EVP_PKEY *public_half;
    uint32_t number;
    int references;
};

/* ---- key management ---- */

static void *key_new(void *provider)
{
    (void)provider;
    struct remote_key *key = OPENSSL_zalloc(sizeof *key);
    if (key != NULL)
        key->references = 1;
    return key;
}

static void key_free(void *data)
{
    struct remote_key *key = data;
    if (key == NULL || --key->references > 0)
        return;
    EVP_PKEY_free(key->public_half);
    OPENSSL_free(key);
}

static int key_has(const void *data, int selection)
{
    const struct remote_key *key = data;
    if ((selection & OSSL_KEYMGMT_SELECT_KEYPAIR) == 0)
        return 1;
    return key->public_half != NULL;
}

static int key_match(const void *left, const void *right, int selection)
{
    (void)selection;
    return EVP_PKEY_eq(((const struct remote_key *)left)->public_half,
               ((const struct remote_key *)right)->public_half) == 1;
}

static int key_import(void *data, int selection, const OSSL_PARAM params[], const char *type)
{
    struct remote_key *key = data;
    (void)selection;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, others);
    EVP_PKEY_free(key->public_half);
    key->public_half = NULL;
    int done = context != NULL && EVP_PKEY_fromdata_init(context) > 0
        && EVP_PKEY_fromdata(context, &key->public_half, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)params) > 0;
    EVP_PKEY_CTX_free(context);
    const OSSL_PARAM *number = OSSL_PARAM_locate_const(params, "martlet-number");
    if (done && number != NULL)
        done = OSSL_PARAM_get_uint32(number, &key->number);
    return done;
}

static int import_rsa(void *data, int selection, const OSSL_PARAM params[])
{
    return key_import(data, selection, params, "RSA");
}

static int import_ec(void *data, int selection, const OSSL_PARAM params[])
{
    return key_import(data, selection, params, "EC");
}

static int import_ed25519(void *data, int selection, const OSSL_PARAM params[])
{
    return key_import(data, selection, params, "ED25519");
}

static const OSSL_PARAM *key_types(int selection)
{
    static const OSSL_PARAM types[] = {
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
        OSSL_PARAM_uint32("martlet-number", NULL),
        OSSL_PARAM_END
    };
    (void)selection;
    return types;
}

/* Never the private half, which is not here: the default provider must not believe that it could sign. */
static int key_export(void *data, int selection, OSSL_CALLBACK *callback, void *argument)
{
    struct remote_key *key = data;
    OSSL_PARAM *params = NULL;
    if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 || key->public_half == NULL)
        return 0;
    int done = EVP_PKEY_todata(key->public_half, EVP_PKEY_PUBLIC_KEY, &params) > 0 && callback(params, argument);
    OSSL_PARAM_free(params);
    return done;
}

static int key_get_params(void *data, OSSL_PARAM params[])
{
    struct remote_key *key = data;
    return key->public_half != NULL && EVP_PKEY_get_params(key->public_half, params);
}

static const OSSL_PARAM *key_gettable(void *provider)
{
    static const OSSL_PARAM known[] = {
        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
        OSSL_PARAM_END
    };
    (void)provider;
    return known;
}

static const char *signature_of_ec(int operation)
{
    return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

typedef void (*any)(void);

#define KEY_FUNCTIONS(import)                                              \
    {OSSL_FUNC_KEYMGMT_NEW, (any)key_new},                                 \
    {OSSL_FUNC_KEYMGMT_FREE, (any)key_free},                               \
    {OSSL_FUNC_KEYMGMT_HAS, (any)key_has},                                 \
    {OSSL_FUNC_KEYMGMT_MATCH, (any)key_match},                             \
    {OSSL_FUNC_KEYMGMT_IMPORT, (any)import},                               \
    {OSSL_FUNC_KEYMGMT_IMPORT_TYPES, (any)key_types},                      \
    {OSSL_FUNC_KEYMGMT_EXPORT, (any)key_export},                           \
    {OSSL_FUNC_KEYMGMT_EXPORT_TYPES, (any)key_types},                      \
    {OSSL_FUNC_KEYMGMT_GET_PARAMS, (any)key_get_params},                   \
    {OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (any)key_gettable}

static const OSSL_DISPATCH rsa_keys[] = {KEY_FUNCTIONS(import_rsa), {0, NULL}};
static const OSSL_DISPATCH ec_keys[] = {KEY_FUNCTIONS(import_ec),
    {OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, (any)signature_of_ec}, {0, NULL}};
static const OSSL_DISPATCH ed25519_keys[] = {KEY_FUNCTIONS(import_ed25519), {0, NULL}};

/* ---- signatures ---- */

struct signature {
    struct remote_key *key;
    EVP_MD *digest;
    int is_pss;
};

static struct martlet_signing *paused;

struct martlet_signing *martlet_signing_take(void)
{
    struct martlet_signing *taken = paused;
    paused = NULL;
    return taken;
}

void martlet_signing_answer(struct martlet_signing *signing, const unsigned char *bytes, size_t count)
{
    signing->is_answered = 1;
    signing->output_count = 0;
    if (bytes == NULL || count == 0 || count > signing->output_room)
        return;
    memcpy(signing->output, bytes, count);
    signing->output_count = count;
}

/* Suspends the handshake until the answer is there. */
static int wait_for_answer(struct martlet_signing *signing)
{
    /* Without a job there is nothing that could be suspended, and blocking would stop every session. */
    if (ASYNC_get_current_job() == NULL)
        return 0;
    while (!signing->is_answered) {
        paused = signing;
        if (!ASYNC_pause_job())
            return 0;
    }
    return signing->output_count > 0;
}

static void *signature_new(void *provider, const char *properties)
{
    (void)provider;
    (void)properties;
    return OPENSSL_zalloc(sizeof(struct signature));
}

static void signature_free(void *data)
{
    struct signature *signature = data;
    if (signature == NULL)
        return;
    key_free(signature->key);
    EVP_MD_free(signature->digest);
    OPENSSL_free(signature);
}

static int signature_set_params(void *data, const OSSL_PARAM params[])
{
    struct signature *signature = data;
    if (params == NULL)
        return 1;
    const OSSL_PARAM *padding = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
    if (padding != NULL) {
        int number = 0;
        if (padding->data_type == OSSL_PARAM_UTF8_STRING) {
            if (strcmp(padding->data, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0)
                signature->is_pss = 1;
            else if (strcmp(padding->data, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) == 0)
                signature->is_pss = 0;
            else
                return 0;
        } else if (OSSL_PARAM_get_int(padding, &number)) {
            if (number != RSA_PKCS1_PSS_PADDING && number != RSA_PKCS1_PADDING)
                return 0;
            signature->is_pss = number == RSA_PKCS1_PSS_PADDING;
        } else {
            return 0;
        }
    }
    /* RFC 8446 section 4.2.3: the salt is as long as the digest, which is all that is ever asked for. */
    const OSSL_PARAM *salt = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
    if (salt != NULL) {
        int number = 0;
        if (salt->data_type == OSSL_PARAM_UTF8_STRING)
            return strcmp(salt->data, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) == 0;
        return OSSL_PARAM_get_int(salt, &number) && number == RSA_PSS_SALTLEN_DIGEST;
    }
    return 1;
}

static const OSSL_PARAM *signature_settable(void *data, void *provider)
{
    static const OSSL_PARAM known[] = {
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
        OSSL_PARAM_END
    };
    (void)data;
    (void)provider;
    return known;
}

static int signature_init(void *data, const char *digest, void *key, const OSSL_PARAM params[])
{
    struct signature *signature = data;
    if (key != NULL) {
        ((struct remote_key *)key)->references++;
        key_free(signature->key);
        signature->key = key;
    }
    if (signature->key == NULL || signature->key->public_half == NULL)
        return 0;
    EVP_MD_free(signature->digest);
    signature->digest = NULL;
    signature->is_pss = 0;
    if (digest != NULL && *digest != '\0') {
        signature->digest = EVP_MD_fetch(NULL, digest, others);
        if (signature->digest == NULL)
            return 0;
    }
    return signature_set_params(signature, params);
}

static int algorithm_of(const struct signature *signature)
{
    if (EVP_PKEY_is_a(signature->key->public_half, "ED25519"))
        return signature->digest == NULL ? MARTLET_SIGN_ED25519 : 0;
    if (signature->digest == NULL)
        return 0;
    if (EVP_PKEY_is_a(signature->key->public_half, "EC"))
        return MARTLET_SIGN_ECDSA;
    switch (EVP_MD_get_size(signature->digest)) {
    case 32:
        return signature->is_pss ? MARTLET_SIGN_RSA_PSS_SHA256 : MARTLET_SIGN_RSA_PKCS1_SHA256;
    case 48:
        return signature->is_pss ? MARTLET_SIGN_RSA_PSS_SHA384 : MARTLET_SIGN_RSA_PKCS1_SHA384;
    case 64:
        return signature->is_pss ? MARTLET_SIGN_RSA_PSS_SHA512 : MARTLET_SIGN_RSA_PKCS1_SHA512;
    default:
        return 0;
    }
}

static int signature_make(void *data, unsigned char *output, size_t *count, size_t room, const unsigned char *input,
    size_t input_count)
{
    struct signature *signature = data;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int digest_count = 0;
    size_t longest = (size_t)EVP_PKEY_get_size(signature->key->public_half);
    if (output == NULL) {
        *count = longest;
        return 1;
    }
    struct martlet_signing signing = {.key = signature->key->number, .algorithm = algorithm_of(signature),
        .output = output, .output_room = room < longest ? room : longest};
    if (signing.algorithm == 0)
        return 0;
    if (signature->digest == NULL) {
        signing.input = input;
        signing.input_count = input_count;
    } else {
        if (!EVP_Digest(input, input_count, digest, &digest_count, signature->digest, NULL))
            return 0;
        signing.input = digest;
        signing.input_count = digest_count;
    }
    if (!wait_for_answer(&signing))
        return 0;
    *count = signing.output_count;
    return 1;
}

static const OSSL_DISPATCH signatures[] = {
    {OSSL_FUNC_SIGNATURE_NEWCTX, (any)signature_new},
    {OSSL_FUNC_SIGNATURE_FREECTX, (any)signature_free},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (any)signature_init},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN, (any)signature_make},
    {OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, (any)signature_set_params},
    {OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, (any)signature_settable},
    {0, NULL}
};

/* ---- the provider ---- */

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_cache)
{
    static const OSSL_ALGORITHM keys[] = {
        {"RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=martlet", rsa_keys, NULL},
        {"EC:id-ecPublicKey:1.2.840.10045.2.1", "provider=martlet", ec_keys, NULL},
        {"ED25519:1.3.101.112", "provider=martlet", ed25519_keys, NULL},
        {NULL, NULL, NULL, NULL}
    };
    static const OSSL_ALGORITHM signers[] = {
        {"RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=martlet", signatures, NULL},
        {"ECDSA", "provider=martlet", signatures, NULL},
        {"ED25519:1.3.101.112", "provider=martlet", signatures, NULL},
        {NULL, NULL, NULL, NULL}
    };
    (void)provider;
    *no_cache = 0;
    switch (operation) {
    case OSSL_OP_KEYMGMT:
        return keys;
    case OSSL_OP_SIGNATURE:
        return signers;
    default:
        return NULL;
    }
}

static int begin(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **provider)
{
    static const OSSL_DISPATCH functions[] = {{OSSL_FUNC_PROVIDER_QUERY_OPERATION, (any)query}, {0, NULL}};
    static int anything;
    (void)handle;
    (void)in;
    *out = functions;
    *provider = &anything;
    return 1;
}

int martlet_signer_prepare(size_t most_paused)
{
    /* Nothing may be looked for in the file system: there is none where this runs. */
    uint64_t settings = OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_LOAD_SSL_STRINGS
        | OPENSSL_INIT_NO_ATEXIT;
    /* Whoever does not ask for our keys means the others'. */
    return OPENSSL_init_ssl(settings, NULL) && OSSL_PROVIDER_load(NULL, "default") != NULL
        && OSSL_PROVIDER_add_builtin(NULL, "martlet", begin) && OSSL_PROVIDER_load(NULL, "martlet") != NULL
        && EVP_set_default_properties(NULL, "?provider=default") && ASYNC_init_thread(most_paused, 0);
}

EVP_PKEY *martlet_remote_key(X509 *certificate, uint32_t number)
{
    EVP_PKEY *public_half = X509_get0_pubkey(certificate);
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = NULL;
    const char *type = NULL;
    if (public_half == NULL)
        return NULL;
    if (EVP_PKEY_is_a(public_half, "RSA"))
        type = "RSA";
    else if (EVP_PKEY_is_a(public_half, "EC"))
        type = "EC";
    else if (EVP_PKEY_is_a(public_half, "ED25519"))
        type = "ED25519";
    else
        return NULL;
    if (EVP_PKEY_todata(public_half, EVP_PKEY_PUBLIC_KEY, &params) <= 0)
        return NULL;
    OSSL_PARAM numbers[] = {OSSL_PARAM_construct_uint32("martlet-number", &number), OSSL_PARAM_construct_end()};
    OSSL_PARAM *all = OSSL_PARAM_merge(params, numbers);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, own);
    if (all == NULL || context == NULL || EVP_PKEY_fromdata_init(context) <= 0
        || EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, all) <= 0) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    /* Only the array is new; what it points to is that of the two others. */
    OPENSSL_free(all);
    return key;
}
