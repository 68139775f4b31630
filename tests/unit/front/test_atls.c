/* A front with attested TLS: its core has a document made for it, by the test's authority, and clients verify it. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#include "attest/atls_line.h"
#include "front/atls.h"
#include "front/route.h"
#include "support/atls_kit.h"
#include "support/front_rig.h"
#include "support/test.h"

static struct attest_kit kit;
static struct attest_pcrs wanted;
static struct rig rig;

/* --- the core -------------------------------------------------------------------------------------------------------- */

static struct {
    _Atomic int asked;
    _Atomic int failures; /* so many of the next questions are refused */
    _Atomic bool of_another_key;
    _Atomic bool silent;
    _Atomic int unanswered;             /* for that reason */
    uint8_t digest[A_SPKI_DIGEST_SIZE]; /* of the last question, which has been answered */
} core;

static void make_document(const struct a_attest *ask, struct buf *document)
{
    struct attest_binding binding = {.purpose = ATTEST_FOR_TLS};
    struct kit_claims claims = kit_claims(&kit);
    uint8_t user_data[ATTEST_BINDING_MAX];
    memcpy(binding.spki_digest, ask->spki_digest, sizeof binding.spki_digest);
    if (atomic_load(&core.of_another_key))
        binding.spki_digest[0] ^= 1;
    memcpy(binding.chamber_id, atls_chamber, 32);
    memcpy(binding.config_digest, atls_config, 32);
    claims.user_data = span_of(user_data, attest_binding_encode(&binding, user_data));
    claims.timestamp_ms = clock_wall_ms();
    if (ask->nonce_len)
        claims.nonce = span_of(ask->nonce, ask->nonce_len);
    kit_document(&kit, &claims, document);
}

static void answer_attest(int door, const struct a_attest *ask)
{
    static struct a_attested answer;
    struct buf document = {0};
    answer = (struct a_attested){.id = ask->id};
    if (atomic_load(&core.silent)) {
        atomic_fetch_add(&core.unanswered, 1);
        return;
    }
    if (atomic_load(&core.failures) > 0) {
        atomic_fetch_sub(&core.failures, 1);
        answer.error = ERROR_NSM;
    } else {
        make_document(ask, &document);
        answer.len = (uint32_t)document.len;
        memcpy(answer.document, document.data, document.len);
    }
    memcpy(core.digest, ask->spki_digest, sizeof core.digest);
    atomic_fetch_add(&core.asked, 1);
    (void)door_send(door, RIG_LIFE, A_ATTESTED, &answer, sizeof answer, 1).code;
    buf_release(&document);
}

static void attesting_core(struct rig *r, const struct door_message *message)
{
    if (message->head.type != A_ATTEST) {
        rig_good_core(r, message);
        return;
    }
    for (uint32_t i = 0; i < message->head.count; i++)
        answer_attest(r->door, (const struct a_attest *)(const void *)message->items + i);
}

/* --- set-up ---------------------------------------------------------------------------------------------------------- */

static int group_setup(void **state)
{
    (void)state;
    kit_shape(&kit);
    kit.now_ms = clock_wall_ms();
    kit_make(&kit);
    wanted = kit_claims(&kit).pcrs;
    wanted.present = 7;
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    kit_free(&kit);
    return 0;
}

static void reset_core(void)
{
    atomic_store(&core.asked, 0);
    atomic_store(&core.failures, 0);
    atomic_store(&core.of_another_key, false);
    atomic_store(&core.silent, false);
}

static int open_rig(bool by_unix)
{
    reset_core();
    rig_defaults(&rig);
    rig.tls_by_unix = by_unix;
    rig.config.tls.mode = TLS_ATTESTED;
    rig.config.tls.atls_renew_minutes = 60;
    rig.core = attesting_core;
    rig_open(&rig);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    return open_rig(false);
}

static int setup_by_unix(void **state)
{
    (void)state;
    return open_rig(true);
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(rig_close(&rig).code, 0);
    return 0;
}

static struct atls_policy policy_of_it(void)
{
    return (struct atls_policy){.attest = {.root_der = buf_span(&kit.der[KIT_ROOT]),
                                           .sets = &wanted,
                                           .set_count = 1,
                                           .max_age_ms = 7200000},
                                .chamber_id = atls_chamber,
                                .config_digest = atls_config};
}

static struct atls_line *line_over(int fd, const struct atls_policy *policy)
{
    struct atls_line *line = NULL;
    const struct atls_line_options options = {policy, "localhost", 10000};
    assert_int_equal(atls_line_open(fd, &options, &line).code, 0);
    return line;
}

static struct atls_line *line_to(const struct atls_policy *policy)
{
    return line_over(rig_connect(rig.tls_port), policy);
}

struct http_reply {
    int status;
    char head[2048];
    uint8_t body[16384];
    size_t len;
};

/* One answer with a Content-Length. */
static void ask_over(struct atls_line *line, const char *target, struct http_reply *reply)
{
    static char bytes[20000];
    char request[512];
    size_t len = 0;
    size_t n;
    const char *end = NULL;
    (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", target);
    assert_int_equal(atls_line_send(line, request, strlen(request)).code, 0);
    *reply = (struct http_reply){0};
    for (;;) {
        assert_int_equal(atls_line_receive(line, bytes + len, sizeof bytes - 1 - len, &n).code, 0);
        assert_true(n > 0);
        len += n;
        bytes[len] = 0;
        end = strstr(bytes, "\r\n\r\n");
        if (!end)
            continue;
        const char *length = strcasestr(bytes, "Content-Length: ");
        assert_non_null(length);
        reply->len = (size_t)atoi(length + 16);
        if (len >= (size_t)(end + 4 - bytes) + reply->len)
            break;
    }
    reply->status = atoi(bytes + 9);
    (void)snprintf(reply->head, sizeof reply->head, "%.*s", (int)(end - bytes), bytes);
    assert_true(reply->len <= sizeof reply->body);
    memcpy(reply->body, end + 4, reply->len);
}

/* --- serving ---------------------------------------------------------------------------------------------------------- */

static void test_clients_can_verify_it(void **state)
{
    (void)state;
    const struct atls_policy policy = policy_of_it();
    static struct http_reply reply;
    assert_int_equal(atomic_load(&core.asked), 1); /* before it was ready */
    struct atls_line *line = line_to(&policy);
    assert_memory_equal(atls_line_peer(line)->binding.spki_digest, core.digest, sizeof core.digest);
    ask_over(line, "/upcheck", &reply);
    assert_int_equal(reply.status, 200);
    ask_over(line, "/healthcheck", &reply);
    assert_int_equal(reply.status, 200);
    atls_line_close(line);
    assert_int_equal(atomic_load(&core.asked), 1); /* nobody's connection costs a document */
}

static const char nonce_text[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

static void test_T32_a_nonce_is_answered_on_the_same_connection(void **state)
{
    (void)state;
    const struct atls_policy policy = policy_of_it();
    static struct http_reply reply;
    uint8_t nonce[ATLS_NONCE_SIZE];
    char target[128];
    for (size_t i = 0; i < sizeof nonce; i++)
        nonce[i] = (uint8_t)i;
    struct atls_line *line = line_to(&policy);
    (void)snprintf(target, sizeof target, "/attestation?nonce=%s", nonce_text);
    ask_over(line, target, &reply);
    assert_int_equal(reply.status, 200);
    assert_non_null(
        strcasestr(reply.head, "Content-Type: application/cose; cose-type=\"cose-sign1\""));
    assert_int_equal(
        atls_check_live(span_of(reply.body, reply.len), &policy, atls_line_peer(line), nonce).code,
        0);
    nonce[0] ^= 1;
    assert_int_equal(
        atls_check_live(span_of(reply.body, reply.len), &policy, atls_line_peer(line), nonce).code,
        ERROR_ATTEST_NONCE);
    ask_over(line, "/upcheck", &reply); /* and the connection goes on */
    assert_int_equal(reply.status, 200);
    atls_line_close(line);
}

static void test_other_questions_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "/attestation",
        "/attestation?nonce=",
        "/attestation?nonce=00",
        "/attestation?nonce=000102030405060708090a0b0c0d0e0",
        "/attestation?nonce=000102030405060708090a0b0c0d0e0g",
        "/attestation?nonce=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
        "/attestation?nonce=000102030405060708090a0b0c0d0e0f&x=1",
        "/attestation?nonce=000102030405060708090a0b0c0d0e0f&nonce=000102030405060708090a0b0c0d0e0f",
    };
    const struct atls_policy policy = policy_of_it();
    static struct http_reply reply;
    struct atls_line *line = line_to(&policy);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        ask_over(line, bad[i], &reply);
        assert_int_equal(reply.status, 400);
    }
    ask_over(line, "/attestation?nonce=000102030405060708090a0b0c0d0e0f", &reply);
    assert_int_equal(reply.status, 200);
    assert_int_equal(atomic_load(&core.asked), 2); /* the first certificate's, and this one */
    atls_line_close(line);
}

static void test_there_is_no_document_without_a_key_of_tls(void **state)
{
    (void)state;
    char target[128];
    char request[256];
    (void)snprintf(target, sizeof target, "/attestation?nonce=%s", nonce_text);
    struct reply reply = rig_ask(rig.api_port, "GET", target, "", NULL);
    assert_int_equal(reply.status, 403); /* probes alone */
    assert_non_null(strstr(reply.body, "TLS_ONLY"));
    reply_release(&reply);
    (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", target);
    int fd = rig_connect_unix(rig.unix_path);
    rig_say(fd, request);
    reply = rig_read(fd, 5000);
    assert_int_equal(reply.status, 403);
    assert_non_null(strstr(reply.body, "NOT_ENABLED"));
    reply_release(&reply);
    (void)close(fd);
    assert_int_equal(atomic_load(&core.asked), 1);
}

enum {
    LINES_MAX = 6
};

/* Each of `count` connections asks for a document that doesn't come, one after the other; says how many are refused at once. */
static int refused_of(int count)
{
    const struct atls_policy policy = policy_of_it();
    struct atls_line *lines[LINES_MAX];
    int fds[LINES_MAX]; /* the lines' */
    char request[256];
    int refused = 0;
    (void)snprintf(request, sizeof request,
                   "GET /attestation?nonce=%s HTTP/1.1\r\nHost: localhost\r\n\r\n", nonce_text);
    for (int i = 0; i < count; i++) {
        fds[i] = rig.tls_by_unix ? rig_connect_unix(rig.tls_path) : rig_connect(rig.tls_port);
        lines[i] = line_over(fds[i], &policy);
    }
    atomic_store(&core.silent, true);
    for (int i = 0; i < count; i++) {
        struct pollfd answered = {.fd = fds[i], .events = POLLIN};
        const int before = atomic_load(&core.unanswered);
        assert_int_equal(atls_line_send(lines[i], request, strlen(request)).code, 0);
        /* It has come to the core, or is answered. */
        int k = 0;
        while (k < 2000 && atomic_load(&core.unanswered) == before && poll(&answered, 1, 5) == 0)
            k++;
        assert_true(k < 2000);
        if (atomic_load(&core.unanswered) != before)
            continue;
        char bytes[1024];
        size_t n;
        assert_int_equal(atls_line_receive(lines[i], bytes, sizeof bytes, &n).code, 0);
        assert_true(n > 12 && memcmp(bytes + 9, "503", 3) == 0);
        refused++;
    }
    for (int i = 0; i < count; i++)
        atls_line_close(lines[i]);
    atomic_store(&core.silent, false);
    return refused;
}

static void test_each_client_waits_for_one_document_at_a_time(void **state)
{
    (void)state;
    assert_int_equal(refused_of(3), 2);
}

/* The clients of a parent that names none of them have one number, and none of them keeps the others away. */
static void test_who_has_no_address_waits_for_one_document_by_connection(void **state)
{
    (void)state;
    assert_int_equal(refused_of(6),
                     3); /* three at one time; the fourth place is for who has an address */
}

/* --- what TLS does not do ------------------------------------------------------------------------------------------------ */

static int accept_any(X509_STORE_CTX *store, void *unused)
{
    (void)store, (void)unused;
    return 1;
}

static void test_T32_it_is_tls_1_3_alone_and_nothing_is_resumed(void **state)
{
    (void)state;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    char bytes[1024];
    SSL_CTX_set_cert_verify_callback(context, accept_any, NULL);
    int fd = rig_connect(rig.tls_port);
    SSL *ssl = SSL_new(context);
    assert_int_equal(SSL_set_fd(ssl, fd), 1);
    assert_int_equal(SSL_connect(ssl), 1);
    assert_int_equal(SSL_version(ssl), TLS1_3_VERSION);
    static const char request[] = "GET /upcheck HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_int_equal(SSL_write(ssl, request, sizeof request - 1), sizeof request - 1);
    assert_true(SSL_read(ssl, bytes, sizeof bytes) > 0);
    assert_int_equal(SSL_SESSION_is_resumable(SSL_get0_session(ssl)), 0);
    SSL_free(ssl);
    (void)close(fd);
    assert_int_equal(SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION), 1);
    fd = rig_connect(rig.tls_port);
    ssl = SSL_new(context);
    assert_int_equal(SSL_set_fd(ssl, fd), 1);
    assert_true(SSL_connect(ssl) <= 0);
    SSL_free(ssl);
    (void)close(fd);
    SSL_CTX_free(context);
}

/* --- renewal: no front, its clock is the test's ------------------------------------------------------------------------------ */

struct renewal {
    struct exchange exchange;
    struct tls *tls;
    struct atls atls;
    struct config_text_list rows;
    int doors[2];
    uint64_t now_ms;
};

static void no_other_ticket(struct ticket *ticket)
{
    (void)ticket;
    fail();
}

static void renewal_begin(struct renewal *r, uint32_t minutes)
{
    *r = (struct renewal){.now_ms = 1000000};
    reset_core();
    assert_int_equal(door_pair(r->doors).code, 0);
    assert_int_equal(exchange_init(&r->exchange, 4, no_other_ticket).code, 0);
    exchange_start(&r->exchange, r->doors[1], RIG_LIFE);
    assert_int_equal(tls_new(&r->rows, true, &r->tls).code, 0);
    assert_int_equal(atls_init(&r->exchange, r->tls, minutes, &r->atls).code, 0);
    assert_false(r->atls.in_use);
}

static void renewal_end(struct renewal *r)
{
    exchange_stop(&r->exchange);
    tls_free(r->tls);
    atls_release(&r->atls);
    exchange_release(&r->exchange);
    (void)close(r->doors[0]);
    (void)close(r->doors[1]);
}

/* One tick; what it has asked is answered, and taken by a second one. True when it had asked. */
static bool tick(struct renewal *r)
{
    static struct door_message message;
    struct pollfd one = {.fd = r->doors[0], .events = POLLIN};
    atls_tick(&r->atls, r->now_ms);
    if (poll(&one, 1, 0) != 1)
        return false;
    assert_int_equal(door_receive(r->doors[0], RIG_LIFE, door_a_to_core, &message).code, 0);
    assert_int_equal(message.head.type, A_ATTEST);
    answer_attest(r->doors[0], (const struct a_attest *)(const void *)message.items);
    assert_true(exchange_receive(&r->exchange));
    atls_tick(&r->atls, r->now_ms);
    return true;
}

static void test_it_is_renewed_with_a_new_key(void **state)
{
    (void)state;
    static struct renewal r;
    uint8_t first[A_SPKI_DIGEST_SIZE];
    renewal_begin(&r, 30);
    assert_true(tick(&r));
    assert_true(r.atls.in_use);
    memcpy(first, core.digest, sizeof first);
    r.now_ms += 29 * 60000;
    assert_false(tick(&r));
    r.now_ms += 60000;
    assert_true(tick(&r));
    assert_memory_not_equal(first, core.digest, sizeof first);
    assert_false(tick(&r));
    assert_int_equal(atomic_load(&core.asked), 2);
    renewal_end(&r);
}

static void test_what_is_in_use_stays_when_a_renewal_fails(void **state)
{
    (void)state;
    static struct renewal r;
    renewal_begin(&r, 60);
    atomic_store(&core.failures, 2);
    assert_true(tick(&r));
    assert_false(r.atls.in_use);
    assert_false(tick(&r)); /* not at once */
    r.now_ms += 1000;
    assert_true(tick(&r));
    assert_false(r.atls.in_use);
    r.now_ms += 1000;
    assert_true(tick(&r));
    assert_true(r.atls.in_use);
    atomic_store(&core.failures, 1);
    r.now_ms += 3600000;
    assert_true(tick(&r));
    assert_true(r.atls.in_use);
    r.now_ms += 9000;
    assert_false(tick(&r));
    r.now_ms += 10000;
    assert_true(tick(&r));
    renewal_end(&r);
}

static void test_a_document_about_another_key_is_not_used(void **state)
{
    (void)state;
    static struct renewal r;
    renewal_begin(&r, 60);
    atomic_store(&core.of_another_key, true);
    assert_true(tick(&r));
    assert_false(r.atls.in_use);
    renewal_end(&r);
}

/* The module's certificate has an hour left: it is asked again a quarter of an hour before that ends, not after 90 minutes. */
static void renewed_before_the_end_of(int certificate)
{
    static struct renewal r;
    struct attest_kit right = kit;
    kit_shape(&kit);
    kit.now_ms = clock_wall_ms();
    kit.shape[certificate].to_s = 3600;
    kit_make(&kit);
    renewal_begin(&r, 90);
    assert_true(tick(&r));
    assert_true(r.atls.in_use);
    r.now_ms += 43 * 60000;
    assert_false(tick(&r));
    r.now_ms += 3 * 60000;
    assert_true(tick(&r));
    renewal_end(&r);
    kit_free(&kit);
    kit = right;
}

/* The module renews its own certificate; those above it are the machine's, and clients look at them too. */
static void test_it_is_renewed_before_any_of_the_modules_certificates_ends(void **state)
{
    (void)state;
    for (int i = 0; i < KIT_CERTIFICATES; i++)
        renewed_before_the_end_of(i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_clients_can_verify_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_T32_a_nonce_is_answered_on_the_same_connection, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_other_questions_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_there_is_no_document_without_a_key_of_tls, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_each_client_waits_for_one_document_at_a_time, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_who_has_no_address_waits_for_one_document_by_connection, setup_by_unix, teardown),
        cmocka_unit_test_setup_teardown(test_T32_it_is_tls_1_3_alone_and_nothing_is_resumed, setup,
                                        teardown),
        cmocka_unit_test(test_it_is_renewed_with_a_new_key),
        cmocka_unit_test(test_what_is_in_use_stays_when_a_renewal_fails),
        cmocka_unit_test(test_a_document_about_another_key_is_not_used),
        cmocka_unit_test(test_it_is_renewed_before_any_of_the_modules_certificates_ends),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
