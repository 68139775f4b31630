#include "attest/tls_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>

#include "base/alloc.h"

#include "crypto/attested_leaf.h"

struct atls_client {
    SSL_CTX *context;
    const struct atls_policy *policy;
};

struct atls_session {
    SSL *ssl;
    const struct atls_policy *policy;
    struct atls_peer peer;
    bool checked; /* the certificate is good; not yet that the other end has its key */
    bool shook_hands;
    cc_err err;
    const char *detail;
};

/* --- the certificate ------------------------------------------------------------------------------------------- */

static cc_err judge(X509_STORE_CTX *store, struct atls_session *session)
{
    const STACK_OF(X509) *shown = X509_STORE_CTX_get0_untrusted(store);
    X509 *leaf = X509_STORE_CTX_get0_cert(store);
    uint8_t *der = NULL;
    if (!leaf || sk_X509_num(shown) != 1)
        return CC_FAIL(ATTEST_LEAF, "the server shows more than one certificate");
    int len = i2d_X509(leaf, &der);
    if (len <= 0)
        return CC_FAIL(NO_MEMORY, "certificate");
    cc_err err = atls_check_leaf(span_of(der, (size_t)len), session->policy, &session->peer);
    OPENSSL_free(der);
    return err;
}

/* In the place of OpenSSL's own look for authorities. */
static int verify(X509_STORE_CTX *store, void *unused)
{
    (void)unused;
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct atls_session *session = SSL_get_app_data(ssl);
    session->err = judge(store, session);
    session->detail = session->err.code ? error_detail() : "";
    session->checked = !session->err.code;
    X509_STORE_CTX_set_error(store,
                             session->checked ? X509_V_OK : X509_V_ERR_APPLICATION_VERIFICATION);
    return session->checked;
}

/* --- the client ------------------------------------------------------------------------------------------------ */

static bool set_options(SSL_CTX *context)
{
    static const unsigned char protocols[] = "\x08http/1.1";
    /* OpenSSL's macros cast const away. */
    char groups[] = "X25519:P-256:P-384";
    char algorithms[] = "ECDSA+SHA256";
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(context, verify, NULL);
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
    (void)SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                        SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_max_cert_list(context, LEAF_DER_MAX + 1024);
    return SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set1_groups_list(context, groups) == 1 &&
           SSL_CTX_set1_sigalgs_list(context, algorithms) == 1 &&
           SSL_CTX_set_alpn_protos(context, protocols, sizeof protocols - 1) == 0;
}

CC_ERR atls_client_new(const struct atls_policy *policy, struct atls_client **ret_client)
{
    struct atls_client *client = cc_alloc(sizeof *client);
    if (!client)
        return CC_FAIL(NO_MEMORY, "attested TLS");
    *client = (struct atls_client){SSL_CTX_new(TLS_client_method()), policy};
    if (!client->context || !set_options(client->context)) {
        atls_client_free(client);
        return CC_FAIL(CRYPTO, "attested TLS can't be set up");
    }
    *ret_client = client;
    return CC_OK;
}

void atls_client_free(struct atls_client *client)
{
    if (!client)
        return;
    SSL_CTX_free(client->context);
    cc_free(client);
}

/* --- a session ------------------------------------------------------------------------------------------------- */

/* RFC 6066: an address is no server name. */
static bool name_server(SSL *ssl, const char *name)
{
    struct in6_addr address;
    char copy[TLSEXT_MAXLEN_host_name + 1]; /* OpenSSL's macro takes no constant text */
    if (!name || !name[0] || inet_pton(AF_INET, name, &address) == 1 ||
        inet_pton(AF_INET6, name, &address) == 1)
        return true;
    int len = snprintf(copy, sizeof copy, "%s", name);
    return len > 0 && (size_t)len < sizeof copy && SSL_set_tlsext_host_name(ssl, copy) == 1;
}

CC_ERR atls_session_new(const struct atls_client *client,
                        int fd,
                        const char *name,
                        struct atls_session **ret_session)
{
    struct atls_session *session = cc_alloc(sizeof *session);
    if (!session)
        return CC_FAIL(NO_MEMORY, "attested TLS");
    *session = (struct atls_session){
        .ssl = SSL_new(client->context), .policy = client->policy, .detail = ""};
    if (!session->ssl || SSL_set_fd(session->ssl, fd) != 1 || !name_server(session->ssl, name)) {
        atls_session_free(session);
        return CC_FAIL(CRYPTO, "attested TLS can't be set up");
    }
    (void)SSL_set_app_data(session->ssl, session);
    SSL_set_connect_state(session->ssl);
    *ret_session = session;
    return CC_OK;
}

void atls_session_free(struct atls_session *session)
{
    if (!session)
        return;
    SSL_free(session->ssl);
    cc_free(session);
}

static enum atls_progress fail(struct atls_session *session, cc_err err)
{
    if (!session->err.code) {
        session->err = err;
        session->detail = error_detail();
    }
    return ATLS_FAILED;
}

/* After a call that gave `result`. */
static enum atls_progress progress_of(struct atls_session *session, int result)
{
    switch (SSL_get_error(session->ssl, result)) {
    case SSL_ERROR_NONE:
        return ATLS_DONE;
    case SSL_ERROR_WANT_READ:
        return ATLS_WANTS_TO_READ;
    case SSL_ERROR_WANT_WRITE:
        return ATLS_WANTS_TO_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return ATLS_ENDED;
    default:
        return fail(session, session->shook_hands
                                 ? CC_FAIL(IO, "the connection to the enclave broke")
                                 : CC_FAIL(IO, "the TLS handshake with the enclave failed"));
    }
}

enum atls_progress atls_session_shake_hands(struct atls_session *session)
{
    ERR_clear_error();
    enum atls_progress progress = progress_of(session, SSL_do_handshake(session->ssl));
    if (progress != ATLS_DONE)
        return progress == ATLS_ENDED
                   ? fail(session, CC_FAIL(IO, "the TLS handshake with the enclave failed"))
                   : progress;
    /* The handshake has ended well only if verify() was asked: what a mistake in the set-up might leave out. */
    if (!session->checked || SSL_get_verify_result(session->ssl) != X509_V_OK ||
        SSL_version(session->ssl) != TLS1_3_VERSION || SSL_session_reused(session->ssl))
        return fail(session, CC_FAIL(ATTEST_LEAF, "the handshake has left out a check"));
    session->shook_hands = true;
    return ATLS_DONE;
}

const struct atls_peer *atls_session_peer(const struct atls_session *session)
{
    cc_assert(session->shook_hands);
    return &session->peer;
}

const struct atls_peer *atls_session_refused_peer(const struct atls_session *session)
{
    return &session->peer;
}

cc_err atls_session_error(const struct atls_session *session)
{
    return session->err;
}

const char *atls_session_detail(const struct atls_session *session)
{
    return session->detail;
}

enum atls_progress
atls_session_read(struct atls_session *session, void *into, size_t room, size_t *ret_len)
{
    cc_assert(session->shook_hands);
    ERR_clear_error();
    return progress_of(session, SSL_read_ex(session->ssl, into, room, ret_len) == 1 ? 1 : 0);
}

enum atls_progress
atls_session_write(struct atls_session *session, const void *data, size_t len, size_t *ret_len)
{
    cc_assert(session->shook_hands);
    ERR_clear_error();
    return progress_of(session, SSL_write_ex(session->ssl, data, len, ret_len) == 1 ? 1 : 0);
}

enum atls_progress atls_session_end(struct atls_session *session)
{
    cc_assert(session->shook_hands);
    ERR_clear_error();
    int result = SSL_shutdown(session->ssl);
    return result >= 0 ? ATLS_DONE : progress_of(session, result);
}
