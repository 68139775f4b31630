/* The proxy: what it carries, and whom it carries nothing to. The enclave is a server of the test's own, by OpenSSL. */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/param_build.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

#include "attest/proxy.h"
#include "support/atls_kit.h"
#include "support/test.h"

enum {
    PATIENCE_MS = 60000,
    BIG = 3 << 20
};

static struct attest_kit kit;
static struct attest_pcrs wanted;
static EVP_PKEY *key;
static struct buf document;

static int setup(void **state)
{
    (void)state;
    kit_shape(&kit);
    kit.now_ms = clock_wall_ms();
    kit_make(&kit);
    wanted = kit_claims(&kit).pcrs;
    wanted.present = 7;
    key = atls_key("P-256");
    atls_document(&kit, key, NULL, &document);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    EVP_PKEY_free(key);
    buf_release(&document);
    kit_free(&kit);
    return 0;
}

/* --- a proxy on a thread of its own ------------------------------------------------------------------------------ */

struct scene {
    struct atls_server server;
    struct atls_policy policy;
    struct attest_proxy_options options;
    struct attest_proxy *proxy;
    pthread_t thread;
    _Atomic bool ending;
    _Atomic bool draining;
    _Atomic bool drained;
    int port;
    int metrics_port;
};

static void *turn(void *arg)
{
    struct scene *scene = arg;
    bool told = false;
    while (!atomic_load(&scene->ending)) {
        assert_int_equal(attest_proxy_turn(scene->proxy, 20).code, 0);
        if (atomic_load(&scene->draining) && !told) {
            attest_proxy_drain(scene->proxy);
            told = true;
        }
        if (told && attest_proxy_open(scene->proxy) == 0)
            atomic_store(&scene->drained, true);
    }
    return NULL;
}

static void endpoint_of(int port, struct endpoint *ret_endpoint)
{
    char text[64];
    (void)snprintf(text, sizeof text, "tcp:127.0.0.1:%d", port);
    assert_int_equal(endpoint_parse(span_str(text), ret_endpoint).code, 0);
}

/* The right policy and endpoints: a test changes them before scene_start(). */
static struct scene right_scene(int signer_port)
{
    struct scene scene = {.policy = {.attest = {.root_der = buf_span(&kit.der[KIT_ROOT]),
                                                .sets = &wanted,
                                                .set_count = 1,
                                                .max_age_ms = 7200000},
                                     .chamber_id = atls_chamber,
                                     .config_digest = atls_config},
                          .options = {.has_metrics = true, .patience_ms = PATIENCE_MS}};
    endpoint_of(0, &scene.options.listen);
    endpoint_of(0, &scene.options.metrics);
    endpoint_of(signer_port, &scene.options.signer);
    return scene;
}

static void scene_start(struct scene *scene)
{
    scene->options.policy = &scene->policy;
    assert_int_equal(attest_proxy_new(&scene->options, &scene->proxy).code, 0);
    scene->port = attest_proxy_port(scene->proxy);
    scene->metrics_port = attest_proxy_metrics_port(scene->proxy);
    assert_int_equal(pthread_create(&scene->thread, NULL, turn, scene), 0);
}

static void scene_end(struct scene *scene)
{
    atomic_store(&scene->ending, true);
    (void)pthread_join(scene->thread, NULL);
    attest_proxy_free(scene->proxy);
}

/* A server with the right certificate. */
static void serve_right(struct atls_server *server, atls_talk *talk, void *context)
{
    X509 *leaf = atls_leaf(key, buf_span(&document), kit.now_ms, &(struct atls_shape){0});
    atls_server_open(server, leaf, key, NULL);
    atls_server_start(server, talk, context);
    X509_free(leaf);
}

/* --- what a client does -------------------------------------------------------------------------------------------- */

static int client(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void say(int fd, const void *data, size_t len)
{
    const char *at = data;
    while (len) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        assert_true(n > 0);
        at += n;
        len -= (size_t)n;
    }
}

/* Up to the end, or `room`; -1: it ended with a reset. */
static ssize_t hear(int fd, char *into, size_t room)
{
    size_t len = 0;
    while (len < room) {
        struct pollfd one = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&one, 1, PATIENCE_MS), 1);
        ssize_t n = recv(fd, into + len, room - len, 0);
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

static const char request[] = "GET /upcheck HTTP/1.1\r\nHost: signer\r\n\r\n";
static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";

/* --- what the server says -------------------------------------------------------------------------------------------- */

/* Answers requests without bodies until the client ends. */
static bool talk_http(SSL *ssl, void *context)
{
    char bytes[4096];
    size_t len = 0;
    struct atls_server *server = context;
    for (;;) {
        int n = SSL_read(ssl, bytes + len, (int)(sizeof bytes - len));
        if (n <= 0)
            return true;
        atomic_fetch_add(&server->bytes, (uint64_t)n);
        len += (size_t)n;
        if (len < 4 || memcmp(bytes + len - 4, "\r\n\r\n", 4) != 0)
            continue;
        len = 0;
        if (SSL_write(ssl, answer, sizeof answer - 1) <= 0)
            return false;
    }
}

/* Gives back what it gets, up to the client's end. */
static bool talk_echo(SSL *ssl, void *context)
{
    char bytes[16384];
    (void)context;
    for (;;) {
        int n = SSL_read(ssl, bytes, sizeof bytes);
        if (n <= 0)
            return true;
        if (SSL_write(ssl, bytes, n) <= 0)
            return false;
    }
}

/* Says much to whoever says anything. */
static bool talk_flood(SSL *ssl, void *context)
{
    static char bytes[65536];
    char one;
    (void)context;
    if (SSL_read(ssl, &one, 1) <= 0)
        return true;
    for (size_t sent = 0; sent < BIG; sent += sizeof bytes)
        if (SSL_write(ssl, bytes, sizeof bytes) <= 0)
            return false;
    return true;
}

/* Breaks off in the middle of its answer, as who can cut the line would do it. */
static bool talk_torn(SSL *ssl, void *context)
{
    char bytes[4096];
    (void)context;
    if (SSL_read(ssl, bytes, sizeof bytes) > 0)
        (void)SSL_write(ssl, answer, 10);
    return false;
}

/* --- carrying ---------------------------------------------------------------------------------------------------------- */

static void ask_once(int port)
{
    char bytes[sizeof answer];
    int fd = client(port);
    say(fd, request, sizeof request - 1);
    assert_int_equal(hear(fd, bytes, sizeof answer - 1), sizeof answer - 1);
    assert_memory_equal(bytes, answer, sizeof answer - 1);
    (void)close(fd);
}

static char *metrics_of(const struct scene *scene)
{
    static char text[65536];
    int fd = client(scene->metrics_port);
    say(fd, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 34);
    ssize_t n = hear(fd, text, sizeof text - 1);
    assert_true(n > 0);
    text[n] = 0;
    (void)close(fd);
    return text;
}

static void expect_metric(const struct scene *scene, const char *line)
{
    const char *text = metrics_of(scene);
    char whole[256];
    (void)snprintf(whole, sizeof whole, "\ncontainment_attest_proxy_%s\n", line);
    if (!strstr(text, whole))
        print_message("%s\nlacks %s\n", text, whole);
    assert_non_null(strstr(text, whole));
}

static void test_it_carries_and_counts(void **state)
{
    (void)state;
    struct atls_server server;
    serve_right(&server, talk_http, &server);
    struct scene scene = right_scene(server.port);
    scene_start(&scene);
    for (int i = 0; i < 5; i++)
        ask_once(scene.port);
    expect_metric(&scene, "accepted_total 5");
    expect_metric(&scene, "verified_total 5"); /* each by itself: nothing is resumed */
    expect_metric(&scene, "refused_total{reason=\"ATTEST_PCRS\"} 0");
    expect_metric(&scene, "connections_max 1024");
    assert_non_null(strstr(metrics_of(&scene), "pcr_info{pcr=\"0\",value=\""));
    scene_end(&scene);
    atls_server_close(&server);
}

struct writer {
    int fd;
    const char *data;
};

static void *write_big(void *arg)
{
    const struct writer *writer = arg;
    say(writer->fd, writer->data, BIG);
    assert_int_equal(shutdown(writer->fd, SHUT_WR), 0);
    return NULL;
}

/* Much, both ways at once, through buffers of 16 kB; the client ends its side first, and all comes back. */
static void test_it_carries_much_and_a_half_closed_end(void **state)
{
    (void)state;
    struct atls_server server;
    char *sent = malloc(BIG);
    char *heard = malloc(BIG + 1);
    pthread_t thread;
    for (size_t i = 0; i < BIG; i++)
        sent[i] = (char)(i * 2654435761U >> 13);
    serve_right(&server, talk_echo, NULL);
    struct scene scene = right_scene(server.port);
    scene_start(&scene);
    struct writer writer = {client(scene.port), sent};
    assert_int_equal(pthread_create(&thread, NULL, write_big, &writer), 0);
    assert_int_equal(hear(writer.fd, heard, BIG + 1), BIG);
    (void)pthread_join(thread, NULL);
    assert_memory_equal(sent, heard, BIG);
    (void)close(writer.fd);
    free(sent);
    free(heard);
    scene_end(&scene);
    atls_server_close(&server);
}

static void test_it_carries_many_at_a_time(void **state)
{
    (void)state;
    enum {
        MANY = 60
    };
    struct atls_server server;
    int fds[MANY];
    char bytes[sizeof answer];
    serve_right(&server, talk_http, &server);
    struct scene scene = right_scene(server.port);
    scene_start(&scene);
    for (int i = 0; i < MANY; i++)
        fds[i] = client(scene.port);
    for (int round = 0; round < 2; round++)
        for (int i = MANY - 1; i >= 0; i--) {
            say(fds[i], request, sizeof request - 1);
            assert_int_equal(hear(fds[i], bytes, sizeof answer - 1), sizeof answer - 1);
        }
    expect_metric(&scene, "connections 60");
    for (int i = 0; i < MANY; i++)
        (void)close(fds[i]);
    scene_end(&scene);
    atls_server_close(&server);
}

static void test_further_clients_wait(void **state)
{
    (void)state;
    struct atls_server server;
    char bytes[sizeof answer];
    serve_right(&server, talk_http, &server);
    struct scene scene = right_scene(server.port);
    scene.options.connections = 2;
    scene_start(&scene);
    int one = client(scene.port);
    int two = client(scene.port);
    say(one, request, sizeof request - 1);
    assert_int_equal(hear(one, bytes, sizeof answer - 1), sizeof answer - 1);
    say(two, request, sizeof request - 1);
    assert_int_equal(hear(two, bytes, sizeof answer - 1), sizeof answer - 1);
    int three = client(scene.port);
    say(three, request, sizeof request - 1);
    expect_metric(&scene, "accepted_total 2");
    (void)close(one);
    assert_int_equal(hear(three, bytes, sizeof answer - 1), sizeof answer - 1);
    (void)close(two);
    (void)close(three);
    scene_end(&scene);
    atls_server_close(&server);
}

/* Who doesn't take what he asked for holds up his own connection. */
static void test_a_client_that_does_not_read_holds_up_nobody(void **state)
{
    (void)state;
    enum {
        LAZY = 8
    };
    struct atls_server server;
    int lazy[LAZY];
    char *heard = malloc(BIG + 1);
    serve_right(&server, talk_flood, NULL);
    struct scene scene = right_scene(server.port);
    scene_start(&scene);
    for (int i = 0; i < LAZY; i++) {
        lazy[i] = client(scene.port);
        say(lazy[i], "x", 1);
    }
    for (int i = 0; i < 2; i++) {
        int fd = client(scene.port);
        say(fd, "x", 1);
        assert_int_equal(hear(fd, heard, BIG + 1), BIG);
        (void)close(fd);
    }
    assert_int_equal(hear(lazy[0], heard, BIG + 1), BIG); /* nothing of his was lost either */
    for (int i = 0; i < LAZY; i++)
        (void)close(lazy[i]);
    free(heard);
    scene_end(&scene);
    atls_server_close(&server);
}

static int open_connections(const struct scene *scene)
{
    static const char name[] = "\ncontainment_attest_proxy_connections ";
    const char *at = strstr(metrics_of(scene), name);
    assert_non_null(at);
    return atoi(at + sizeof name - 1);
}

/* At whatever point they go: before the signer is reached, in its handshake, in the middle of a request. */
static void test_clients_that_go_leave_nothing_behind(void **state)
{
    (void)state;
    struct atls_server server;
    serve_right(&server, talk_http, &server);
    struct scene scene = right_scene(server.port);
    scene_start(&scene);
    for (int i = 0; i < 60; i++) {
        const struct linger at_once = {.l_onoff = 1};
        int fd = client(scene.port);
        if (i % 3 == 1)
            say(fd, request, 10);
        if (i % 3 == 2)
            assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
        (void)close(fd);
    }
    ask_once(scene.port);
    for (int i = 0; i < 1000 && open_connections(&scene); i++)
        (void)poll(NULL, 0, 10);
    assert_int_equal(open_connections(&scene), 0);
    scene_end(&scene);
    atls_server_close(&server);
}

/* --- refusing -------------------------------------------------------------------------------------------------------------- */

/* The client gets 502 with the reason, and the server nothing that was the client's. */
static void expect_refusal(struct scene *scene, struct atls_server *server, const char *error)
{
    char bytes[4096];
    char field[64];
    scene_start(scene);
    int fd = client(scene->port);
    say(fd, request, sizeof request - 1);
    ssize_t n = hear(fd, bytes, sizeof bytes - 1);
    assert_true(n > 0);
    bytes[n] = 0;
    (void)close(fd);
    (void)snprintf(field, sizeof field, "\"error\":\"%s\"", error);
    if (!strstr(bytes, field))
        print_message("%s\n", bytes);
    assert_memory_equal(bytes, "HTTP/1.1 502 ", 13);
    assert_non_null(strstr(bytes, field));
    if (strcmp(error, "IO") == 0) {
        expect_metric(scene, "unreachable_total 1");
    } else {
        (void)snprintf(field, sizeof field, "refused_total{reason=\"%s\"} 1", error);
        expect_metric(scene, field);
    }
    expect_metric(scene, "verified_total 0");
    expect_metric(scene, "bytes_total{way=\"up\"} 0");
    scene_end(scene);
    if (server) {
        assert_int_equal(atomic_load(&server->bytes), 0);
        atls_server_close(server);
    }
}

/* A server that is right in all but its leaf. */
static void expect_leaf_refusal(const struct kit_claims *claims,
                                const struct atls_shape *shape,
                                const char *error)
{
    struct atls_server server;
    struct buf other = {0};
    atls_document(&kit, key, claims, &other);
    X509 *leaf = atls_leaf(key, buf_span(&other), kit.now_ms, shape);
    atls_server_open(&server, leaf, key, NULL);
    atls_server_start(&server, talk_http, &server);
    struct scene scene = right_scene(server.port);
    expect_refusal(&scene, &server, error);
    X509_free(leaf);
    buf_release(&other);
}

static void test_T32_another_image_gets_nothing(void **state)
{
    (void)state;
    struct kit_claims claims = kit_claims(&kit);
    claims.pcrs.value[0][0] ^= 1;
    expect_leaf_refusal(&claims, &(struct atls_shape){0}, "ATTEST_PCRS");
}

static void test_T32_debug_mode_gets_nothing(void **state)
{
    (void)state;
    struct kit_claims claims = kit_claims(&kit);
    for (int i = 0; i < 3; i++)
        memset(claims.pcrs.value[i], 0, ATTEST_PCR_SIZE);
    expect_leaf_refusal(&claims, &(struct atls_shape){0}, "ATTEST_DEBUG");
}

static void test_T32_an_expired_certificate_gets_nothing(void **state)
{
    (void)state;
    expect_leaf_refusal(NULL, &(struct atls_shape){.from_s = -7000, .to_s = -7000}, "ATTEST_LEAF");
}

static void test_T32_a_document_that_is_too_old_gets_nothing(void **state)
{
    (void)state;
    struct kit_claims claims = kit_claims(&kit);
    claims.timestamp_ms = kit.now_ms - 7300000;
    expect_leaf_refusal(&claims, &(struct atls_shape){0}, "ATTEST_TIME");
}

static void test_T32_another_chamber_gets_nothing(void **state)
{
    (void)state;
    static const uint8_t other[32] = {9};
    struct atls_server server;
    serve_right(&server, talk_http, &server);
    struct scene scene = right_scene(server.port);
    scene.policy.chamber_id = other;
    expect_refusal(&scene, &server, "ATTEST_BINDING");
}

/* Who has a genuine document, as everybody who connects gets one, puts it into a certificate of his own key. */
static void test_T32_a_genuine_document_under_another_key_gets_nothing(void **state)
{
    (void)state;
    struct atls_server server;
    EVP_PKEY *mine = atls_key("P-256");
    X509 *leaf = atls_leaf(mine, buf_span(&document), kit.now_ms, &(struct atls_shape){0});
    atls_server_open(&server, leaf, mine, NULL);
    atls_server_start(&server, talk_http, &server);
    struct scene scene = right_scene(server.port);
    expect_refusal(&scene, &server, "ATTEST_BINDING");
    X509_free(leaf);
    EVP_PKEY_free(mine);
}

/* A key that claims to belong to another's certificate: its private half is its own. */
static EVP_PKEY *impostor_of(EVP_PKEY *genuine)
{
    EVP_PKEY *own = atls_key("P-256");
    EVP_PKEY *made = NULL;
    BIGNUM *private = NULL;
    uint8_t public[128];
    size_t len = 0;
    assert_int_equal(EVP_PKEY_get_octet_string_param(genuine, "pub", public, sizeof public, &len),
                     1);
    assert_int_equal(EVP_PKEY_get_bn_param(own, "priv", &private), 1);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    assert_int_equal(OSSL_PARAM_BLD_push_utf8_string(build, "group", "P-256", 0), 1);
    assert_int_equal(OSSL_PARAM_BLD_push_octet_string(build, "pub", public, len), 1);
    assert_int_equal(OSSL_PARAM_BLD_push_BN(build, "priv", private), 1);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
    assert_int_equal(EVP_PKEY_fromdata(context, &made, EVP_PKEY_KEYPAIR, params), 1);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_clear_free(private);
    EVP_PKEY_free(own);
    return made;
}

/* The genuine certificate itself, shown by who has not its key: all of it is right, and the handshake alone gives him away. */
static void test_T32_a_replayed_certificate_without_its_key_gets_nothing(void **state)
{
    (void)state;
    struct atls_server server;
    EVP_PKEY *impostor = impostor_of(key);
    X509 *leaf = atls_leaf(key, buf_span(&document), kit.now_ms, &(struct atls_shape){0});
    atls_server_open(&server, leaf, impostor, NULL);
    atls_server_start(&server, talk_http, &server);
    struct scene scene = right_scene(server.port);
    expect_refusal(&scene, &server, "IO");
    X509_free(leaf);
    EVP_PKEY_free(impostor);
}

static void test_T32_a_chain_of_two_gets_nothing(void **state)
{
    (void)state;
    struct atls_server server;
    X509 *leaf = atls_leaf(key, buf_span(&document), kit.now_ms, &(struct atls_shape){0});
    atls_server_open(&server, leaf, key, leaf);
    atls_server_start(&server, talk_http, &server);
    struct scene scene = right_scene(server.port);
    expect_refusal(&scene, &server, "ATTEST_LEAF");
    X509_free(leaf);
}

static void test_T32_tls_1_2_gets_nothing(void **state)
{
    (void)state;
    struct atls_server server;
    X509 *leaf = atls_leaf(key, buf_span(&document), kit.now_ms, &(struct atls_shape){0});
    atls_server_open(&server, leaf, key, NULL);
    assert_int_equal(SSL_CTX_set_min_proto_version(server.context, TLS1_2_VERSION), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(server.context, TLS1_2_VERSION), 1);
    atls_server_start(&server, talk_http, &server);
    struct scene scene = right_scene(server.port);
    expect_refusal(&scene, &server, "IO");
    X509_free(leaf);
}

static void test_T32_an_ordinary_certificate_gets_nothing(void **state)
{
    (void)state;
    expect_leaf_refusal(NULL, &(struct atls_shape){.documents = -1}, "ATTEST_LEAF");
}

static int listener_on(struct sockaddr_in *address)
{
    socklen_t len = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)address, &len), 0);
    return fd;
}

static void test_nobody_there(void **state)
{
    (void)state;
    struct sockaddr_in address;
    int fd = listener_on(&address); /* bound, and not listening */
    struct scene scene = right_scene(ntohs(address.sin_port));
    expect_refusal(&scene, NULL, "IO");
    (void)close(fd);
}

static void test_somebody_who_says_nothing(void **state)
{
    (void)state;
    struct sockaddr_in address;
    int fd = listener_on(&address);
    assert_int_equal(listen(fd, 8), 0);
    struct scene scene = right_scene(ntohs(address.sin_port));
    scene.options.patience_ms = 300;
    expect_refusal(&scene, NULL, "IO");
    (void)close(fd);
}

static void test_T32_a_server_without_tls_gets_nothing(void **state)
{
    (void)state;
    struct sockaddr_in address;
    char bytes[4096];
    int fd = listener_on(&address);
    assert_int_equal(listen(fd, 8), 0);
    struct scene scene = right_scene(ntohs(address.sin_port));
    scene_start(&scene);
    int one = client(scene.port);
    say(one, request, sizeof request - 1);
    int two = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    say(two, answer, sizeof answer - 1); /* a plain answer, in the place of a handshake */
    ssize_t n = hear(one, bytes, sizeof bytes);
    assert_true(n > 13);
    assert_memory_equal(bytes, "HTTP/1.1 502 ", 13);
    n = recv(two, bytes, sizeof bytes, 0);
    assert_null(n > 0 ? memmem(bytes, (size_t)n, "upcheck", 7) : NULL);
    (void)close(one);
    (void)close(two);
    scene_end(&scene);
    (void)close(fd);
}

/* --- ends ------------------------------------------------------------------------------------------------------------------- */

static void test_what_is_torn_is_torn_for_the_client(void **state)
{
    (void)state;
    struct atls_server server;
    char bytes[64];
    serve_right(&server, talk_torn, NULL);
    struct scene scene = right_scene(server.port);
    scene_start(&scene);
    int fd = client(scene.port);
    say(fd, request, sizeof request - 1);
    assert_int_equal(hear(fd, bytes, sizeof bytes), -1);
    assert_int_equal(errno, ECONNRESET);
    (void)close(fd);
    scene_end(&scene);
    atls_server_close(&server);
}

/* The document is as old as it may be in two seconds: then the connection ends, whatever goes on. */
static void test_T32_no_connection_outlives_its_document(void **state)
{
    (void)state;
    struct atls_server server;
    char bytes[sizeof answer];
    struct kit_claims claims = kit_claims(&kit);
    struct buf old = {0};
    const uint64_t began_ms = clock_wall_ms();
    claims.timestamp_ms = began_ms - 58000;
    atls_document(&kit, key, &claims, &old);
    X509 *leaf = atls_leaf(key, buf_span(&old), kit.now_ms, &(struct atls_shape){0});
    atls_server_open(&server, leaf, key, NULL);
    atls_server_start(&server, talk_http, &server);
    struct scene scene = right_scene(server.port);
    scene.policy.attest.max_age_ms = 60000;
    scene_start(&scene);
    int fd = client(scene.port);
    ssize_t n = 1;
    while (n > 0 && clock_wall_ms() < began_ms + 10000) {
        (void)!send(fd, request, sizeof request - 1, MSG_NOSIGNAL);
        n = hear(fd, bytes, sizeof answer - 1);
    }
    assert_true(n <= 0);
    assert_true(clock_wall_ms() >= began_ms + 1500);
    (void)close(fd);
    expect_metric(&scene, "aged_total 1");
    scene_end(&scene);
    atls_server_close(&server);
    X509_free(leaf);
    buf_release(&old);
}

static void test_a_drain_ends_quiet_connections_and_takes_no_more(void **state)
{
    (void)state;
    struct atls_server server;
    char bytes[sizeof answer];
    serve_right(&server, talk_http, &server);
    struct scene scene = right_scene(server.port);
    scene_start(&scene);
    int fd = client(scene.port);
    say(fd, request, sizeof request - 1);
    assert_int_equal(hear(fd, bytes, sizeof answer - 1), sizeof answer - 1);
    atomic_store(&scene.draining, true);
    assert_int_equal(hear(fd, bytes, sizeof bytes), 0);
    (void)close(fd);
    for (int i = 0; i < 1000 && !atomic_load(&scene.drained); i++)
        (void)poll(NULL, 0, 10);
    assert_true(atomic_load(&scene.drained));
    scene_end(&scene);
    atls_server_close(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_carries_and_counts),
        cmocka_unit_test(test_it_carries_much_and_a_half_closed_end),
        cmocka_unit_test(test_it_carries_many_at_a_time),
        cmocka_unit_test(test_further_clients_wait),
        cmocka_unit_test(test_a_client_that_does_not_read_holds_up_nobody),
        cmocka_unit_test(test_clients_that_go_leave_nothing_behind),
        cmocka_unit_test(test_T32_another_image_gets_nothing),
        cmocka_unit_test(test_T32_debug_mode_gets_nothing),
        cmocka_unit_test(test_T32_an_expired_certificate_gets_nothing),
        cmocka_unit_test(test_T32_a_document_that_is_too_old_gets_nothing),
        cmocka_unit_test(test_T32_another_chamber_gets_nothing),
        cmocka_unit_test(test_T32_a_genuine_document_under_another_key_gets_nothing),
        cmocka_unit_test(test_T32_a_replayed_certificate_without_its_key_gets_nothing),
        cmocka_unit_test(test_T32_a_chain_of_two_gets_nothing),
        cmocka_unit_test(test_T32_tls_1_2_gets_nothing),
        cmocka_unit_test(test_T32_an_ordinary_certificate_gets_nothing),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_somebody_who_says_nothing),
        cmocka_unit_test(test_T32_a_server_without_tls_gets_nothing),
        cmocka_unit_test(test_what_is_torn_is_torn_for_the_client),
        cmocka_unit_test(test_T32_no_connection_outlives_its_document),
        cmocka_unit_test(test_a_drain_ends_quiet_connections_and_takes_no_more),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
