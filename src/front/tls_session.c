/* One session: what it may use, and whose certificate the client has shown. */
#include <arpa/inet.h>
#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"

#include "codec/hex.h"
#include "core/report.h"
#include "crypto/sha256.h"
#include "front/tls_inside.h"

#define CIPHERS "+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:+AEAD:"
#define GROUPS  "+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:"
#define REST    "+COMP-NULL:+CTYPE-X509:%SERVER_PRECEDENCE"

/* No static RSA, no CBC, no SHA-1 but where TLS itself needs it; the order is the server's. */
static const char file_priorities[] =
    "NONE:+VERS-TLS1.3:+VERS-TLS1.2:+ECDHE-ECDSA:+ECDHE-RSA:" CIPHERS GROUPS
    "+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-ECDSA-SECP384R1-SHA384:+SIGN-ECDSA-SHA256:+SIGN-ECDSA-SHA384:"
    "+SIGN-EDDSA-ED25519:+SIGN-RSA-PSS-RSAE-SHA256:+SIGN-RSA-PSS-RSAE-SHA384:+SIGN-RSA-PSS-RSAE-SHA512:"
    "+SIGN-RSA-PSS-SHA256:+SIGN-RSA-PSS-SHA384:+SIGN-RSA-PSS-SHA512:"
    "+SIGN-RSA-SHA256:+SIGN-RSA-SHA384:+SIGN-RSA-SHA512:" REST;
static const char attested_priorities[] =
    "NONE:+VERS-TLS1.3:+ECDHE-ECDSA:" CIPHERS GROUPS "+SIGN-ECDSA-SECP256R1-SHA256:" REST;

const char *tls_priorities(const struct tls *tls)
{
    return tls->attested ? attested_priorities : file_priorities;
}

/* --- reading a certificate ----------------------------------------------------------------------------------------------------- */

struct leaf {
    gnutls_x509_crt_t certificate;
};

static void leaf_release(struct leaf *leaf)
{
    if (leaf->certificate)
        gnutls_x509_crt_deinit(leaf->certificate);
}

/* A name with a zero inside, or one that doesn't fit, is none. */
static bool is_name(const char *text, size_t len)
{
    return len > 0 && len < TLS_NAME_MAX && !memchr(text, 0, len);
}

static bool
common_name_at(gnutls_x509_crt_t certificate, unsigned index, char *ret_name, size_t *len)
{
    *len = TLS_NAME_MAX;
    return gnutls_x509_crt_get_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, index, 0,
                                         ret_name, len) >= 0;
}

static void read_common_name(gnutls_x509_crt_t certificate, char ret_name[static TLS_NAME_MAX])
{
    char name[TLS_NAME_MAX];
    char other[TLS_NAME_MAX];
    size_t len;
    size_t other_len;
    ret_name[0] = 0;
    if (!common_name_at(certificate, 0, name, &len) || !is_name(name, len) ||
        common_name_at(certificate, 1, other, &other_len))
        return;
    memcpy(ret_name, name, len);
    ret_name[len] = 0;
}

static bool
read_alternative(gnutls_x509_crt_t certificate, unsigned index, char *ret_name, bool *ret_end)
{
    char text[TLS_NAME_MAX];
    size_t len = sizeof text;
    int type = gnutls_x509_crt_get_subject_alt_name(certificate, index, text, &len, NULL);
    *ret_end = type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE;
    if (type == GNUTLS_SAN_IPADDRESS && (len == 4 || len == 16))
        return inet_ntop(len == 4 ? AF_INET : AF_INET6, text, ret_name, TLS_NAME_MAX) != NULL;
    if ((type != GNUTLS_SAN_DNSNAME && type != GNUTLS_SAN_RFC822NAME && type != GNUTLS_SAN_URI) ||
        !is_name(text, len))
        return false;
    memcpy(ret_name, text, len);
    ret_name[len] = 0;
    return true;
}

static void read_alternatives(gnutls_x509_crt_t certificate,
                              struct tls_certificate *ret_certificate)
{
    bool end = false;
    for (unsigned i = 0; i < TLS_ALTERNATIVES_MAX && !end; i++)
        if (read_alternative(certificate, i,
                             ret_certificate->alternatives[ret_certificate->alternative_count],
                             &end))
            ret_certificate->alternative_count++;
}

static bool is_in_time(gnutls_x509_crt_t certificate)
{
    time_t now = (time_t)(clock_wall_ms() / 1000);
    time_t begin = gnutls_x509_crt_get_activation_time(certificate);
    time_t end = gnutls_x509_crt_get_expiration_time(certificate);
    return begin != (time_t)-1 && begin <= now && (end == (time_t)-1 || now < end);
}

/* --- whose it is -------------------------------------------------------------------------------------------------------------------- */

static bool is_signed_by_authority(gnutls_session_t session)
{
    char purpose[] = GNUTLS_KP_TLS_WWW_CLIENT;
    gnutls_typed_vdata_st data = {GNUTLS_DT_KEY_PURPOSE_OID, (unsigned char *)purpose, 0};
    unsigned status = ~0U;
    return gnutls_certificate_verify_peers(session, &data, 1, &status) >= 0 && status == 0;
}

/* The fingerprint is what an operator needs to let such a client in; names are only what it says of itself. */
static cc_err refuse_certificate(const uint8_t fingerprint[static TLS_FINGERPRINT_SIZE],
                                 const char *why)
{
    static struct report_budget budget;
    char digits[2 * TLS_FINGERPRINT_SIZE + 1] = "";
    uint32_t held_back = 0;
    hex_encode(fingerprint, TLS_FINGERPRINT_SIZE, digits);
    if (report_may_log(&budget, &held_back))
        log_warn("a client certificate is refused", KV_STR("reason", why), KV_STR("sha256", digits),
                 KV_NUM("lines_held_back", held_back));
    return CC_FAIL(UNAUTHENTICATED, why);
}

/* Decides about the certificate that the session's client has shown, or has shown when the ticket was made. */
static cc_err judge(gnutls_session_t session, const gnutls_datum_t *shown, struct tls_peer *peer)
{
    const struct tls_identity *identity = peer->identity;
    CC_CLEANUP(leaf_release) struct leaf leaf = {NULL};
    struct tls_certificate certificate;
    certificate.alternative_count = 0;
    if (gnutls_x509_crt_init(&leaf.certificate) < 0)
        return CC_FAIL(NO_MEMORY, "client certificate");
    if (gnutls_x509_crt_import(leaf.certificate, shown, GNUTLS_X509_FMT_DER) < 0)
        return CC_FAIL(UNAUTHENTICATED, "the client certificate can't be read");
    sha256(span_of(shown->data, shown->size), certificate.fingerprint);
    if (!is_in_time(leaf.certificate))
        return refuse_certificate(certificate.fingerprint, "it has expired, or is not valid yet");
    read_common_name(leaf.certificate, certificate.name);
    read_alternatives(leaf.certificate, &certificate);
    bool vouched = tls_known_has(&identity->known, &certificate) ||
                   (identity->has_authority && is_signed_by_authority(session));
    uint16_t row = tls_row_of(identity->rows, &certificate, vouched);
    if (!vouched && !row)
        return refuse_certificate(certificate.fingerprint,
                                  "neither an authority nor a list knows it");
    peer->certificate = row;
    memcpy(peer->fingerprint, certificate.fingerprint, sizeof peer->fingerprint);
    return CC_OK;
}

static cc_err identify(gnutls_session_t session, struct tls_peer *peer)
{
    unsigned count = 0;
    const gnutls_datum_t *shown = gnutls_certificate_get_peers(session, &count);
    if (peer->identity->client_auth == TLS_CLIENT_NONE)
        return CC_OK;
    if (shown && count)
        return judge(session, shown, peer);
    return peer->identity->client_auth == TLS_CLIENT_REQUIRED
               ? CC_FAIL(UNAUTHENTICATED, "a client certificate is required")
               : CC_OK;
}

/* In the handshake, which ends when this is not 0. A resumed session doesn't come here. */
static int verify(gnutls_session_t session)
{
    struct tls_peer *peer = gnutls_session_get_ptr(session);
    bool good = !identify(session, peer).code;
    if (!good)
        metric_add(METRIC_TLS_CLIENTS_REFUSED, 0, 0, 1);
    peer->identified = good;
    return good ? 0 : -1;
}

/* The client's last message of a handshake is here. */
static int on_finished(gnutls_session_t session,
                       unsigned type,
                       unsigned when,
                       unsigned incoming,
                       const gnutls_datum_t *message)
{
    struct tls_peer *peer = gnutls_session_get_ptr(session);
    (void)type, (void)when, (void)message;
    if (incoming && !peer->shook_hands) {
        peer->shook_hands = true;
        metric_add(METRIC_TLS_HANDSHAKES, 0, 0, 1);
        if (gnutls_session_is_resumed(session))
            metric_add(METRIC_TLS_RESUMED, 0, 0, 1);
    }
    return 0;
}

static int no_certificate(gnutls_session_t session,
                          const gnutls_datum_t *authorities,
                          int authority_count,
                          const gnutls_pk_algorithm_t *algorithms,
                          int algorithm_count,
                          gnutls_pcert_st **certificates,
                          unsigned *certificate_count,
                          gnutls_privkey_t *key)
{
    (void)session, (void)authorities, (void)authority_count, (void)algorithms;
    (void)algorithm_count, (void)certificates, (void)certificate_count, (void)key;
    return -1;
}

tls_function *const tls_no_certificate = (tls_function *)no_certificate;

/* --- a session ---------------------------------------------------------------------------------------------------------------------- */

static gnutls_certificate_request_t request_of(uint32_t client_auth)
{
    if (client_auth == TLS_CLIENT_REQUIRED)
        return GNUTLS_CERT_REQUIRE;
    return client_auth == TLS_CLIENT_OPTIONAL ? GNUTLS_CERT_REQUEST : GNUTLS_CERT_IGNORE;
}

static struct tls_identity *take_current(struct tls *tls)
{
    (void)pthread_mutex_lock(&tls->current_lock);
    struct tls_identity *identity = tls->current;
    if (identity)
        (void)atomic_fetch_add(&identity->references, 1);
    (void)pthread_mutex_unlock(&tls->current_lock);
    return identity;
}

bool tls_begin(struct tls *tls, void *gnutls_session, struct tls_peer *peer)
{
    static const gnutls_datum_t protocols[] = {{(unsigned char *)(uintptr_t) "http/1.1", 8}};
    gnutls_session_t session = gnutls_session;
    *peer = (struct tls_peer){.identity = take_current(tls)};
    const struct tls_identity *identity = peer->identity;
    if (!identity)
        return false;
    gnutls_session_set_ptr(session, peer);
    gnutls_certificate_server_set_request(session, request_of(identity->client_auth));
    /* Clients choose by authorities' names, and one that is known by its fingerprint may have none of those. */
    if (identity->known.count || tls_rows_pin(identity->rows))
        gnutls_certificate_send_x509_rdn_sequence(session, 1);
    gnutls_session_set_verify_function(session, verify);
    gnutls_handshake_set_hook_function(session, GNUTLS_HANDSHAKE_FINISHED, GNUTLS_HOOK_POST,
                                       on_finished);
    return gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, identity->credentials) >= 0 &&
           gnutls_alpn_set_protocols(session, protocols, 1, GNUTLS_ALPN_MANDATORY) >= 0 &&
           (identity->attested ||
            gnutls_session_ticket_enable_server(session, &identity->ticket_key) >= 0);
}

bool tls_wants_to_write(void *session)
{
    return gnutls_record_get_direction(session) == 1;
}

CC_ERR tls_identify(void *session, struct tls_peer *peer)
{
    if (peer->identified)
        return CC_OK;
    cc_err err = identify(session, peer);
    if (err.code)
        metric_add(METRIC_TLS_CLIENTS_REFUSED, 0, 0, 1);
    peer->identified = !err.code;
    return err;
}

void tls_end(struct tls_peer *peer)
{
    if (peer->identity && !peer->shook_hands)
        metric_add(METRIC_TLS_FAILED, 0, 0, 1);
    tls_identity_release(peer->identity);
    *peer = (struct tls_peer){0};
}
