#include "front/tls.h"

#include <gnutls/x509.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"

#include "front/tls_inside.h"
#include "secret/wipe.h"
#include "secret/wiping_heap.h"

enum {
    PASSWORD_MAX = 1024,
    RSA_BITS_MIN = 2048,
    SOON_SECONDS = 7 * 86400
};

/* --- the life of an identity -------------------------------------------------------------------------------------------- */

struct tls_identity *tls_identity_new(void)
{
    struct tls_identity *identity = cc_alloc(sizeof *identity);
    if (!identity)
        return NULL;
    *identity = (struct tls_identity){.references = 1};
    if (gnutls_certificate_allocate_credentials(&identity->credentials) < 0) {
        cc_free(identity);
        return NULL;
    }
    return identity;
}

void tls_identity_release(struct tls_identity *identity)
{
    if (!identity || atomic_fetch_sub(&identity->references, 1) > 1)
        return;
    gnutls_certificate_free_credentials(identity->credentials);
    if (identity->ticket_key.data)
        wipe(identity->ticket_key.data, identity->ticket_key.size);
    gnutls_free(identity->ticket_key.data);
    tls_known_release(&identity->known);
    cc_free(identity);
}

void tls_identity_releasep(struct tls_identity **identity)
{
    tls_identity_release(*identity);
}

CC_ERR tls_new(const struct config_text_list *rows, bool attested, struct tls **ret_tls)
{
    struct tls *tls = cc_alloc(sizeof *tls);
    if (!tls)
        return CC_FAIL(NO_MEMORY, "TLS");
    *tls = (struct tls){.rows = rows, .attested = attested};
    /* What GnuTLS frees holds keys, passwords, and what was decrypted: requests and tokens. */
    gnutls_free = wiping_free;
    gnutls_realloc = wiping_realloc;
    cc_assert(pthread_mutex_init(&tls->current_lock, NULL) == 0);
    *ret_tls = tls;
    return CC_OK;
}

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    tls_identity_release(tls->current);
    (void)pthread_mutex_destroy(&tls->current_lock);
    cc_free(tls);
}

/* --- reading the files ----------------------------------------------------------------------------------------------------- */

struct password {
    char text[PASSWORD_MAX];
    bool has;
};

static void password_wipep(struct password *password)
{
    wipe(password, sizeof *password);
}

static gnutls_datum_t datum_of(struct span s)
{
    return (gnutls_datum_t){(unsigned char *)(uintptr_t)s.data, (unsigned)s.len};
}

static cc_err take_password(const struct tls_files *files, struct password *ret_password)
{
    struct span text = files->files[TLS_PASSWORD];
    if (!files->has[TLS_PASSWORD])
        return CC_OK;
    const uint8_t *end = text.len ? memchr(text.data, '\n', text.len) : NULL;
    if (end)
        text.len = (size_t)(end - text.data);
    if (text.len && text.data[text.len - 1] == '\r')
        text.len--;
    if (text.len >= PASSWORD_MAX || (text.len && memchr(text.data, 0, text.len)))
        return CC_FAIL(CONFIG, "the password is too long, or no text");
    if (text.len)
        memcpy(ret_password->text, text.data, text.len);
    ret_password->has = true;
    return CC_OK;
}

/* GnuTLS's own words are static texts without input. */
static cc_err refused(int code, bool has_password)
{
    log_error("GnuTLS does not take the certificate or its key",
              KV_STR("says", gnutls_strerror(code)));
    switch (code) {
    case GNUTLS_E_MEMORY_ERROR:
        return CC_FAIL(NO_MEMORY, "TLS");
    case GNUTLS_E_CERTIFICATE_KEY_MISMATCH:
        return CC_FAIL(CONFIG, "the private key does not belong to the certificate");
    case GNUTLS_E_DECRYPTION_FAILED:
    case GNUTLS_E_MAC_VERIFY_FAILED:
    case GNUTLS_E_PK_SIGN_FAILED:
        return CC_FAIL(CONFIG, has_password ? "the password is wrong" : "a password is needed");
    default:
        return CC_FAIL(CONFIG, "the certificate or its private key can't be read");
    }
}

static cc_err load_pair(struct tls_identity *identity, const struct tls_files *files)
{
    CC_CLEANUP(password_wipep) struct password password = {0};
    CC_TRY(take_password(files, &password));
    const char *given = password.has ? password.text : NULL;
    gnutls_datum_t both = datum_of(files->files[TLS_PKCS12]);
    gnutls_datum_t certificate = datum_of(files->files[TLS_CERTIFICATE]);
    gnutls_datum_t key = datum_of(files->files[TLS_KEY]);
    int code;
    if (files->has[TLS_PKCS12])
        code = gnutls_certificate_set_x509_simple_pkcs12_mem(
            identity->credentials, &both, GNUTLS_X509_FMT_DER, given ? given : "");
    else if (files->has[TLS_CERTIFICATE] && files->has[TLS_KEY])
        code = gnutls_certificate_set_x509_key_mem2(identity->credentials, &certificate, &key,
                                                    GNUTLS_X509_FMT_PEM, given, 0);
    else
        return CC_FAIL(CONFIG, "there is no certificate, or no private key");
    return code < 0 ? refused(code, password.has) : CC_OK;
}

static cc_err load_clients(struct tls_identity *identity, const struct tls_files *files)
{
    if (files->has[TLS_CLIENT_CA]) {
        gnutls_datum_t authority = datum_of(files->files[TLS_CLIENT_CA]);
        if (gnutls_certificate_set_x509_trust_mem(identity->credentials, &authority,
                                                  GNUTLS_X509_FMT_PEM) <= 0)
            return CC_FAIL(CONFIG, "the clients' authorities can't be read");
        identity->has_authority = true;
    }
    if (files->has[TLS_KNOWN_CLIENTS]) {
        uint32_t line;
        cc_err err = tls_known_parse(files->files[TLS_KNOWN_CLIENTS], &identity->known, &line);
        if (err.code)
            log_error("the file of known clients is refused", KV_NUM("line", line), KV_ERR(err));
        CC_TRY(err);
    }
    identity->client_auth = files->client_auth;
    bool any =
        identity->has_authority || files->has[TLS_KNOWN_CLIENTS] || tls_rows_pin(identity->rows);
    if (identity->client_auth != TLS_CLIENT_NONE && !any)
        return CC_FAIL(CONFIG,
                       "clients are asked for a certificate, but nothing says which are accepted");
    return CC_OK;
}

/* --- what is in them -------------------------------------------------------------------------------------------------------- */

struct chain {
    gnutls_x509_crt_t *certificates;
    unsigned count;
};

static void chain_release(struct chain *chain)
{
    for (unsigned i = 0; i < chain->count; i++)
        gnutls_x509_crt_deinit(chain->certificates[i]);
    gnutls_free(chain->certificates);
}

static bool is_weak(gnutls_x509_crt_t certificate)
{
    unsigned bits = 0;
    int algorithm = gnutls_x509_crt_get_pk_algorithm(certificate, &bits);
    bool rsa = algorithm == GNUTLS_PK_RSA || algorithm == GNUTLS_PK_RSA_PSS;
    return rsa && bits < RSA_BITS_MIN;
}

static void format_time(time_t when, char ret_text[static 32])
{
    struct tm parts;
    if (!gmtime_r(&when, &parts) || strftime(ret_text, 32, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        ret_text[0] = 0;
}

static cc_err check_pair(const struct tls_identity *identity, time_t *ret_expiry)
{
    CC_CLEANUP(chain_release) struct chain chain = {0};
    if (gnutls_certificate_get_x509_crt(identity->credentials, 0, &chain.certificates,
                                        &chain.count) < 0 ||
        chain.count == 0)
        return CC_FAIL(CONFIG, "the file holds no certificate with its private key");
    gnutls_x509_crt_t leaf = chain.certificates[0];
    time_t now = (time_t)(clock_wall_ms() / 1000);
    time_t begin = gnutls_x509_crt_get_activation_time(leaf);
    *ret_expiry = gnutls_x509_crt_get_expiration_time(leaf);
    if (*ret_expiry != (time_t)-1 && *ret_expiry <= now)
        return CC_FAIL(CONFIG, "the certificate has expired");
    if (is_weak(leaf))
        return CC_FAIL(CONFIG, "the RSA key has less than 2048 bits");
    if (begin != (time_t)-1 &&
        begin > now) /* clocks differ, and a new certificate may be seconds old */
        log_warn("the certificate is not valid yet by this machine's clock, going on");
    return CC_OK;
}

static void tell_of(time_t expiry)
{
    char text[32];
    uint64_t now = clock_wall_ms() / 1000;
    uint64_t seconds = expiry > 0 ? (uint64_t)expiry : UINT64_MAX / UINT64_C(1000000000);
    format_time(expiry, text);
    if (seconds < now + SOON_SECONDS)
        log_warn("the TLS certificate expires soon", KV_STR("expires", text));
    log_notice("TLS certificate in use", KV_STR("expires", text));
    if (seconds > UINT64_MAX / UINT64_C(1000000000))
        seconds = UINT64_MAX / UINT64_C(1000000000);
    metric_set(METRIC_TLS_EXPIRY, 0, seconds * UINT64_C(1000000000));
}

static cc_err
load_all(struct tls_identity *identity, const struct tls_files *files, time_t *ret_expiry)
{
    CC_TRY(load_pair(identity, files));
    CC_TRY(check_pair(identity, ret_expiry));
    CC_TRY(load_clients(identity, files));
    gnutls_certificate_set_verify_flags(identity->credentials,
                                        GNUTLS_PROFILE_TO_VFLAGS(GNUTLS_PROFILE_MEDIUM));
    if (gnutls_session_ticket_key_generate(&identity->ticket_key) < 0)
        return CC_FAIL(CRYPTO, "the key of session tickets");
    return CC_OK;
}

struct tls_identity *tls_put(struct tls *tls, struct tls_identity *identity)
{
    (void)pthread_mutex_lock(&tls->current_lock);
    struct tls_identity *before = tls->current;
    tls->current = identity;
    (void)pthread_mutex_unlock(&tls->current_lock);
    return before;
}

void tls_forget(struct tls *tls)
{
    tls_identity_release(tls_put(tls, NULL));
}

bool tls_is_ready(struct tls *tls)
{
    if (!tls)
        return true;
    (void)pthread_mutex_lock(&tls->current_lock);
    bool ready = tls->current != NULL;
    (void)pthread_mutex_unlock(&tls->current_lock);
    return ready;
}

CC_ERR tls_load(struct tls *tls, const struct tls_files *files)
{
    time_t expiry = 0;
    CC_CLEANUP(tls_identity_releasep) struct tls_identity *identity = tls_identity_new();
    if (!identity)
        return CC_FAIL(NO_MEMORY, "TLS");
    identity->rows = tls->rows;
    CC_TRY(load_all(identity, files, &expiry));
    identity = tls_put(tls, identity);
    tell_of(expiry);
    return CC_OK;
}
