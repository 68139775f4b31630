/* Identities whose certificate holds an attestation document. */
#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"

#include "front/tls_inside.h"

/* What becomes the credentials' together, or is ended here. */
struct pair {
    gnutls_pcert_st certificate;
    gnutls_privkey_t key;
};

static void pair_release(struct pair *pair)
{
    if (pair->certificate.pubkey)
        gnutls_pubkey_deinit(pair->certificate.pubkey);
    gnutls_free(pair->certificate.cert.data);
    if (pair->key)
        gnutls_privkey_deinit(pair->key);
}

static cc_err refused(int code)
{
    log_error("GnuTLS does not take the attested certificate",
              KV_STR("says", gnutls_strerror(code)));
    return code == GNUTLS_E_MEMORY_ERROR
               ? CC_FAIL(NO_MEMORY, "TLS")
               : CC_FAIL(CRYPTO, "the attested certificate can't be used");
}

/* GnuTLS can't read the certificate, whose object identifier has a longer number than it takes: so its parts are put together
 * here, and the certificate goes on the wire as it is.
 */
static int fill_pair(const struct tls_attested *attested, struct pair *pair)
{
    gnutls_datum_t key = {(unsigned char *)(uintptr_t)attested->key.data,
                          (unsigned)attested->key.len};
    int code = gnutls_privkey_init(&pair->key);
    if (code >= 0)
        code = gnutls_privkey_import_x509_raw(pair->key, &key, GNUTLS_X509_FMT_DER, NULL, 0);
    if (code >= 0)
        code = gnutls_pubkey_init(&pair->certificate.pubkey);
    if (code >= 0)
        code = gnutls_pubkey_import_privkey(pair->certificate.pubkey, pair->key, 0, 0);
    pair->certificate.type = GNUTLS_CRT_X509;
    pair->certificate.cert.data = gnutls_malloc(attested->certificate.len);
    pair->certificate.cert.size = (unsigned)attested->certificate.len;
    if (!pair->certificate.cert.data)
        return GNUTLS_E_MEMORY_ERROR;
    memcpy(pair->certificate.cert.data, attested->certificate.data, attested->certificate.len);
    return code;
}

static cc_err load(struct tls_identity *identity, const struct tls_attested *attested)
{
    /* A name is given so that GnuTLS does not look for one in the certificate. Whatever a client asks for, it is the only one. */
    const char *names[] = {"containment-chamber"};
    CC_CLEANUP(pair_release) struct pair pair = {0};
    int code = fill_pair(attested, &pair);
    if (code >= 0)
        code = gnutls_certificate_set_key(identity->credentials, names, 1, &pair.certificate, 1,
                                          pair.key);
    if (code < 0)
        return refused(code);
    pair = (struct pair){0}; /* the credentials' now */
    return CC_OK;
}

CC_ERR tls_attest(struct tls *tls, const struct tls_attested *attested)
{
    CC_CLEANUP(tls_identity_releasep) struct tls_identity *identity = tls_identity_new();
    if (!identity)
        return CC_FAIL(NO_MEMORY, "TLS");
    identity->rows = tls->rows;
    identity->client_auth = TLS_CLIENT_NONE;
    identity->attested = true;
    memcpy(identity->spki_digest, attested->spki_digest, sizeof identity->spki_digest);
    CC_TRY(load(identity, attested));
    identity = tls_put(tls, identity);
    metric_set(METRIC_TLS_EXPIRY, 0, attested->end_s * UINT64_C(1000000000));
    return CC_OK;
}

const uint8_t *tls_peer_digest(const struct tls_peer *peer)
{
    return peer->identity && peer->identity->attested ? peer->identity->spki_digest : NULL;
}
