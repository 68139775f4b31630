#include "support/atls_kit.h"

#include <arpa/inet.h>
#include <openssl/ec.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "crypto/attested_leaf.h"
#include "support/test.h"

const uint8_t atls_chamber[ATTEST_CHAMBER_ID_SIZE] = {0xc0, 0xff, 0xee};
const uint8_t atls_config[ATTEST_CONFIG_DIGEST_SIZE] = {0x0c, 0x0d};

EVP_PKEY *atls_key(const char *curve)
{
    EVP_PKEY *key = EVP_EC_gen(curve);
    assert_non_null(key);
    return key;
}

void atls_digest(EVP_PKEY *key, uint8_t ret_digest[static ATTEST_SPKI_DIGEST_SIZE])
{
    uint8_t *der = NULL;
    int len = i2d_PUBKEY(key, &der);
    assert_true(len > 0);
    assert_int_equal(EVP_Digest(der, (size_t)len, ret_digest, NULL, EVP_sha384(), NULL), 1);
    OPENSSL_free(der);
}

static void add_extension(X509 *x, const char *oid, bool critical, struct span value)
{
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
    assert_int_equal(ASN1_OCTET_STRING_set(octets, value.data, (int)value.len), 1);
    X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, object, critical, octets);
    assert_int_equal(X509_add_ext(x, extension, -1), 1);
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(octets);
    ASN1_OBJECT_free(object);
}

X509 *
atls_leaf(EVP_PKEY *key, struct span document, uint64_t now_ms, const struct atls_shape *shape)
{
    static const char strange[] = "1.3.6.1.4.1.99999.1";
    const time_t from = (time_t)(now_ms / 1000) - 300;
    X509 *x = X509_new();
    assert_int_equal(X509_set_version(x, shape->version_1 ? X509_VERSION_1 : X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), 1), 1);
    assert_non_null(ASN1_TIME_set(X509_getm_notBefore(x), from + shape->from_s));
    assert_non_null(ASN1_TIME_set(X509_getm_notAfter(x), from + 7200 - 1 + shape->to_s));
    assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                                                (const uint8_t *)"test", -1, -1, 0),
                     1);
    assert_int_equal(X509_set_issuer_name(x, X509_get_subject_name(x)), 1);
    if (shape->explicit_curve)
        assert_int_equal(EVP_PKEY_set_utf8_string_param(key, "encoding", "explicit"), 1);
    assert_int_equal(X509_set_pubkey(x, key), 1);
    for (int i = 0; i < 1 + shape->documents && !shape->version_1; i++)
        add_extension(x, ATTESTED_LEAF_OID, false, document);
    if (shape->strange || shape->strange_critical)
        add_extension(x, strange, shape->strange_critical, span_of("\x05\x00", 2));
    assert_true(X509_sign(x, shape->signer ? shape->signer : key,
                          shape->sha384 ? EVP_sha384() : EVP_sha256()) > 0);
    return x;
}

void atls_der(X509 *leaf, struct buf *buf)
{
    uint8_t *der = NULL;
    int len = i2d_X509(leaf, &der);
    assert_true(len > 0);
    buf->len = 0;
    buf->max = 1 << 20;
    assert_int_equal(buf_append(buf, der, (size_t)len).code, 0);
    OPENSSL_free(der);
}

void atls_document(const struct attest_kit *kit,
                   EVP_PKEY *key,
                   const struct kit_claims *claims,
                   struct buf *ret_document)
{
    struct attest_binding binding = {.purpose = ATTEST_FOR_TLS};
    struct kit_claims says = claims ? *claims : kit_claims(kit);
    uint8_t user_data[ATTEST_BINDING_MAX];
    atls_digest(key, binding.spki_digest);
    memcpy(binding.chamber_id, atls_chamber, sizeof atls_chamber);
    memcpy(binding.config_digest, atls_config, sizeof atls_config);
    if (!says.user_data.data)
        says.user_data = span_of(user_data, attest_binding_encode(&binding, user_data));
    kit_document(kit, &says, ret_document);
}

/* --- the server ------------------------------------------------------------------------------------------------- */

void atls_server_open(struct atls_server *server, X509 *leaf, EVP_PKEY *key, X509 *more)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    (void)signal(SIGPIPE, SIG_IGN);
    *server = (struct atls_server){.context = SSL_CTX_new(TLS_server_method())};
    assert_int_equal(SSL_CTX_set_min_proto_version(server->context, TLS1_3_VERSION), 1);
    assert_int_equal(SSL_CTX_use_certificate(server->context, leaf), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(server->context, key), 1);
    if (more)
        assert_int_equal(SSL_CTX_add1_chain_cert(server->context, more), 1);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server->listener, 256), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &len), 0);
    server->port = ntohs(address.sin_port);
}

struct visit {
    struct atls_server *server;
    int fd;
};

static void *serve(void *arg)
{
    struct visit visit = *(struct visit *)arg;
    struct atls_server *server = visit.server;
    SSL *ssl = SSL_new(server->context);
    free(arg);
    (void)SSL_set_fd(ssl, visit.fd);
    if (SSL_accept(ssl) == 1) {
        atomic_fetch_add(&server->handshakes, 1);
        if (server->talk(ssl, server->talk_context))
            (void)SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    (void)close(visit.fd);
    atomic_fetch_sub(&server->open, 1);
    return NULL;
}

static void *accept_all(void *arg)
{
    struct atls_server *server = arg;
    while (!atomic_load(&server->ending)) {
        struct pollfd one = {.fd = server->listener, .events = POLLIN};
        if (poll(&one, 1, 20) != 1)
            continue;
        struct visit *visit = malloc(sizeof *visit);
        pthread_t thread;
        *visit = (struct visit){server, accept4(server->listener, NULL, NULL, SOCK_CLOEXEC)};
        atomic_fetch_add(&server->open, 1);
        assert_int_equal(pthread_create(&thread, NULL, serve, visit), 0);
        assert_int_equal(pthread_detach(thread), 0);
    }
    return NULL;
}

void atls_server_start(struct atls_server *server, atls_talk *talk, void *context)
{
    server->talk = talk;
    server->talk_context = context;
    assert_int_equal(pthread_create(&server->thread, NULL, accept_all, server), 0);
}

void atls_server_close(struct atls_server *server)
{
    atomic_store(&server->ending, true);
    if (server->talk)
        (void)pthread_join(server->thread, NULL);
    (void)close(server->listener);
    for (int i = 0; i < 2000 && atomic_load(&server->open); i++)
        (void)poll(NULL, 0, 5);
    assert_int_equal(atomic_load(&server->open), 0);
    SSL_CTX_free(server->context);
}
