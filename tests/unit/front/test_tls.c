/* TLS through the front's own loops, with GnuTLS as the client too: what is loaded, handshakes that stop half-way, and sets of
 * files that change while connections begin. Certificates are made here.
 */
#include <gnutls/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/metric.h"

#include "support/front_loops.h"
#include "support/test.h"

enum {
    LOOPS = 3,
    CLIENTS = 6,
    ROUNDS = 25,
    PEM_MAX = 4096
};

struct pair {
    char certificate[PEM_MAX];
    char key[PEM_MAX];
};

static struct front_loops loops;
static struct tls *tls;

/* --- certificates ------------------------------------------------------------------------------------------- */

static void make_pair(struct pair *out, int days)
{
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t crt;
    time_t now = time(NULL);
    size_t size = sizeof out->certificate;
    size_t key_size = sizeof out->key;
    const unsigned char serial[] = {1, 2, 3};
    memset(out, 0, sizeof *out);
    assert_int_equal(gnutls_x509_privkey_init(&key), 0);
    assert_int_equal(gnutls_x509_crt_init(&crt), 0);
    assert_int_equal(gnutls_x509_privkey_generate(
                         key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
                     0);
    assert_int_equal(gnutls_x509_crt_set_version(crt, 3), 0);
    assert_int_equal(gnutls_x509_crt_set_key(crt, key), 0);
    assert_int_equal(gnutls_x509_crt_set_serial(crt, serial, sizeof serial), 0);
    assert_int_equal(gnutls_x509_crt_set_activation_time(crt, now - 100 * 86400), 0);
    assert_int_equal(gnutls_x509_crt_set_expiration_time(crt, now + days * 86400), 0);
    assert_int_equal(gnutls_x509_crt_set_dn(crt, "CN=signer", NULL), 0);
    assert_int_equal(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0), 0);
    assert_int_equal(gnutls_x509_crt_export(crt, GNUTLS_X509_FMT_PEM, out->certificate, &size), 0);
    assert_int_equal(gnutls_x509_privkey_export(key, GNUTLS_X509_FMT_PEM, out->key, &key_size), 0);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
}

static struct tls_files files_of(const char *certificate, const char *key)
{
    struct tls_files files = {.client_auth = TLS_CLIENT_NONE};
    files.has[TLS_CERTIFICATE] = certificate != NULL;
    files.has[TLS_KEY] = key != NULL;
    if (certificate)
        files.files[TLS_CERTIFICATE] = span_str(certificate);
    if (key)
        files.files[TLS_KEY] = span_str(key);
    return files;
}

/* --- the server ----------------------------------------------------------------------------------------------- */

static int open_all(void **state)
{
    (void)state;
    static struct pair first;
    front_loops_defaults(&loops);
    make_pair(&first, 30);
    const struct tls_files files = files_of(first.certificate, first.key);
    assert_int_equal(tls_new(&loops.config.auth.certificates, false, &tls).code, 0);
    assert_int_equal(tls_load(tls, &files).code, 0);
    front_loops_open(&loops, LOOPS, tls);
    front_loops_start_core(&loops);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    front_loops_close(&loops);
    tls_free(tls);
    return 0;
}

/* --- a client ----------------------------------------------------------------------------------------------------- */

struct client {
    gnutls_session_t session;
    gnutls_certificate_credentials_t credentials;
    int fd;
};

/* The certificates are signed by themselves, so it checks nothing: this is a test. */
static bool client_open(struct client *c)
{
    int code;
    c->fd = rig_connect(loops.port);
    assert_int_equal(gnutls_init(&c->session, GNUTLS_CLIENT), 0);
    assert_int_equal(gnutls_certificate_allocate_credentials(&c->credentials), 0);
    assert_int_equal(gnutls_set_default_priority(c->session), 0);
    assert_int_equal(gnutls_credentials_set(c->session, GNUTLS_CRD_CERTIFICATE, c->credentials), 0);
    gnutls_transport_set_int(c->session, c->fd);
    do
        code = gnutls_handshake(c->session);
    while (code < 0 && !gnutls_error_is_fatal(code));
    return code == 0;
}

static void client_close(struct client *c)
{
    gnutls_deinit(c->session);
    gnutls_certificate_free_credentials(c->credentials);
    (void)close(c->fd);
}

/* The status of one request whose answer ends before the connection does. */
static int client_ask(struct client *c)
{
    static const char request[] = "GET /upcheck HTTP/1.1\r\nHost: localhost\r\n\r\n";
    char answer[1024];
    size_t len = 0;
    int status = 0;
    if (gnutls_record_send(c->session, request, sizeof request - 1) < 0)
        return 0;
    do {
        ssize_t n = gnutls_record_recv(c->session, answer + len, sizeof answer - 1 - len);
        if (n == 0 || (n < 0 && gnutls_error_is_fatal((int)n)))
            return 0;
        len += n > 0 ? (size_t)n : 0; /* a ticket came, and is none of the answer */
        answer[len] = 0;
    } while (!strstr(answer, "\r\n\r\nOK"));
    return sscanf(answer, "HTTP/1.1 %d", &status) == 1 ? status : 0;
}

static bool client_send(struct client *c, const char *data, size_t len)
{
    while (len) {
        ssize_t n = gnutls_record_send(c->session, data, len);
        if (n < 0 && gnutls_error_is_fatal((int)n))
            return false;
        data += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* --- tests ---------------------------------------------------------------------------------------------------------- */

static void test_one_connection_and_many_requests(void **state)
{
    (void)state;
    struct client c = {0};
    uint64_t before = metric_get(METRIC_TLS_HANDSHAKES, 0, 0);
    assert_true(client_open(&c));
    for (int i = 0; i < ROUNDS; i++)
        assert_int_equal(client_ask(&c), 200);
    client_close(&c);
    assert_int_equal(metric_get(METRIC_TLS_HANDSHAKES, 0, 0), before + 1);
}

/* What GnuTLS has read already while the core is asked whether the body may come, no socket tells of any more. */
static void test_bodies_that_wait_for_the_core(void **state)
{
    (void)state;
    static const size_t lengths[] = {65537, 70000, 140000, 400000};
    static char body[400000];
    char head[512];
    struct client c = {0};
    rig_attestation(body, 2048, 5);
    size_t n = strlen(body);
    memset(body + n, ' ', sizeof body - n);
    assert_true(client_open(&c));
    for (size_t i = 0; i < 3 * ARRAY_LEN(lengths); i++) {
        size_t len = lengths[i % ARRAY_LEN(lengths)];
        (void)snprintf(head, sizeof head,
                       "POST /api/v1/eth2/sign/%s HTTP/1.1\r\nHost: localhost\r\n"
                       "Content-Length: %zu\r\n\r\n",
                       rig_key, len);
        uint32_t asked = atomic_load(&loops.core.asked[ASK_ALLOWED]);
        assert_true(client_send(&c, head, strlen(head)) && client_send(&c, body, len));
        static const char next[] = "GET /upcheck HTTP/1.1\r\nHost: localhost\r\n\r\n";
        assert_true(client_send(&c, next, sizeof next - 1));
        /* The status is the signature's, and the end that of the probe behind it. */
        assert_int_equal(client_ask(&c), 200);
        assert_int_equal(atomic_load(&loops.core.asked[ASK_ALLOWED]), asked + 1);
        client_close(&c);
        c = (struct client){0};
        assert_true(client_open(&c));
    }
    client_close(&c);
}

static void test_files_that_are_refused_change_nothing(void **state)
{
    (void)state;
    static struct pair good, other, old;
    make_pair(&good, 30);
    make_pair(&other, 30);
    make_pair(&old, -1);
    const struct tls_files cases[] = {
        files_of(good.certificate, other.key),
        files_of(old.certificate, old.key),
        files_of("", good.key),
        files_of(good.certificate, ""),
        files_of(good.certificate, NULL),
        files_of(NULL, NULL),
        files_of(good.key, good.certificate),
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(tls_load(tls, &cases[i]).code, ERROR_CONFIG);
    struct tls_files asks = files_of(good.certificate, good.key);
    asks.client_auth = TLS_CLIENT_REQUIRED; /* and nothing says whom it accepts */
    assert_int_equal(tls_load(tls, &asks).code, ERROR_CONFIG);
    struct client c = {0};
    assert_true(client_open(&c));
    assert_int_equal(client_ask(&c), 200);
    client_close(&c);
}

static void *run_client(void *wrong)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct client c = {0};
        bool good = client_open(&c) && client_ask(&c) == 200 && client_ask(&c) == 200;
        *(int *)wrong += !good;
        client_close(&c);
    }
    return NULL;
}

static void test_files_change_while_connections_begin(void **state)
{
    (void)state;
    static struct pair pairs[2];
    pthread_t threads[CLIENTS];
    int wrong[CLIENTS] = {0};
    make_pair(&pairs[0], 30);
    make_pair(&pairs[1], 30);
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_client, &wrong[i]), 0);
    for (int i = 0; i < 2 * ROUNDS; i++) {
        const struct tls_files files = files_of(pairs[i % 2].certificate, pairs[i % 2].key);
        assert_int_equal(tls_load(tls, &files).code, 0);
    }
    for (int i = 0; i < CLIENTS; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(wrong[i], 0);
    }
}

/* The server ends while they wait: each is resumed before libmicrohttpd is stopped. */
static void test_T29_handshakes_that_wait_hold_nobody_up(void **state)
{
    (void)state;
    static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    int fds[24];
    struct client c = {0};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = rig_connect(loops.port);
        if (i % 2)
            rig_send(fds[i], hello, sizeof hello - 1);
    }
    assert_true(client_open(&c));
    assert_int_equal(client_ask(&c), 200);
    client_close(&c);
    for (size_t i = 0; i < ARRAY_LEN(fds) / 2; i++)
        (void)close(fds[i]);
    assert_true(client_open(&c));
    assert_int_equal(client_ask(&c), 200);
    client_close(&c);
}

static void test_what_is_no_tls_is_closed(void **state)
{
    (void)state;
    int fd = rig_connect(loops.port);
    rig_say(fd, "GET /upcheck HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_true(rig_is_closed(fd, 20000));
    (void)close(fd);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)
    const struct CMUnitTest tests[] = {
        TEST(test_one_connection_and_many_requests),
        TEST(test_bodies_that_wait_for_the_core),
        TEST(test_files_that_are_refused_change_nothing),
        TEST(test_files_change_while_connections_begin),
        TEST(test_T29_handshakes_that_wait_hold_nobody_up),
        TEST(test_what_is_no_tls_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
