/* Management as the whole front passes it to a core that the test plays: what is asked, what is refused before, and what answers may be. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "auth/manager.h"
#include "support/front_rig.h"
#include "support/test.h"

#define AUTH "/api/v1/chamber/auth/"

static struct rig rig;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER; /* of the core; guards all below */
static struct a_manage asked; /* the last question; read it when its answer is here */
static struct a_managed parts[3];
static size_t part_count;
static unsigned questions;

/* Answers with the parts, their ids made to fit. */
static void core(struct rig *r, const struct door_message *message)
{
    if (message->head.type != A_MANAGE) {
        rig_good_core(r, message);
        return;
    }
    assert_int_equal(pthread_mutex_lock(&turn), 0);
    memcpy(&asked, message->items, sizeof asked);
    questions++;
    for (size_t i = 0; i < part_count; i++) {
        parts[i].id = asked.id;
        assert_int_equal(
            door_send(r->door, RIG_LIFE, A_MANAGED, &parts[i], sizeof parts[i], 1).code, 0);
    }
    assert_int_equal(pthread_mutex_unlock(&turn), 0);
}

/* What the core has done is to be seen here, and what was set here there. */
static void meet_core(void)
{
    assert_int_equal(pthread_mutex_lock(&turn), 0);
    assert_int_equal(pthread_mutex_unlock(&turn), 0);
}

static int up(void **state)
{
    (void)state;
    rig_defaults(&rig);
    rig.core = core;
    memset(parts, 0, sizeof parts);
    part_count = 1;
    questions = 0;
    parts[0] = (struct a_managed){.status = 200, .last = true, .len = 2, .body = "{}"};
    rig_open(&rig);
    return 0;
}

static int down(void **state)
{
    (void)state;
    assert_int_equal(rig_close(&rig).code, 0);
    return 0;
}

static struct reply last;

static int ask(const char *method, const char *target, const char *headers, const char *body)
{
    reply_release(&last);
    meet_core();
    last = rig_ask(rig.api_port, method, target, headers, body);
    meet_core();
    return last.status;
}

static void sign(char *headers, size_t size, const char *method, const char *path, const char *body)
{
    static const uint8_t seed[ED25519_SEED_SIZE] = {1};
    struct manager_signed s;
    const struct manager_request request = {.method = method, .path = path, .body = span_str(body)};
    assert_int_equal(manager_sign(seed, &request, 1700000000, "n", &s).code, 0);
    (void)snprintf(headers, size, "Signature-Input: %s\r\nSignature: %s\r\nContent-Digest: %s\r\n",
                   s.input, s.signature, s.digest);
}

static bool is(const char *text, size_t len, const char *expected)
{
    return span_is(span_of(text, len), expected);
}

static void test_each_route_is_its_verb(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        const char *path;
        enum a_manage_verb verb;
        const char *name;
        const char *body;
    } routes[] = {
        {"GET", "policies", MANAGE_POLICY_LIST, "", NULL},
        {"GET", "policies/a.b-c_1", MANAGE_POLICY_GET, "a.b-c_1", NULL},
        {"PUT", "policies/p", MANAGE_POLICY_PUT, "p", "{\"rules\":[]}"},
        {"DELETE", "policies/p", MANAGE_POLICY_DELETE, "p", NULL},
        {"GET", "tokens", MANAGE_TOKEN_LIST, "", NULL},
        {"POST", "tokens", MANAGE_TOKEN_CREATE, "", "{}"},
        {"DELETE", "tokens/t", MANAGE_TOKEN_REVOKE, "t", NULL},
        {"POST", "bootstrap", MANAGE_BOOTSTRAP, "", "{}"},
        {"DELETE", "latch", MANAGE_UNLATCH, "", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        char target[96];
        (void)snprintf(target, sizeof target, AUTH "%s", routes[i].path);
        assert_int_equal(ask(routes[i].method, target, "", routes[i].body), 200);
        assert_string_equal(last.body, "{}");
        assert_int_equal(asked.verb, routes[i].verb);
        assert_string_equal(asked.name, routes[i].name);
        assert_int_equal(asked.input_len + asked.signature_len + asked.digest_len, 0);
        assert_true(
            is((const char *)asked.body, asked.body_len, routes[i].body ? routes[i].body : ""));
        assert_true(is(asked.authority, asked.authority_len, "localhost"));
        assert_int_equal(asked.caller.listener, LISTENER_API);
        assert_int_equal(asked.caller.flags & CALLER_OWNER, 0);
    }
    assert_int_equal(ask("POST", AUTH "policies", "", "{}"), 405);
    assert_int_equal(ask("PATCH", AUTH "policies/p", "", "{}"), 405);
    assert_non_null(strstr(last.head, "Allow: GET, HEAD, PUT, DELETE"));
    assert_int_equal(questions, ARRAY_LEN(routes));
}

static void test_a_signature_goes_along(void **state)
{
    (void)state;
    char headers[1024];
    struct manager_signature s;
    sign(headers, sizeof headers, "PUT", AUTH "policies/p", "{}");
    assert_int_equal(ask("PUT", AUTH "policies/p", headers, "{}"), 200);
    const struct manager_headers back = {span_of(asked.input, asked.input_len),
                                         span_of(asked.signature, asked.signature_len),
                                         span_of(asked.digest, asked.digest_len)};
    assert_int_equal(manager_signature_parse(&back, &s).code, 0);
    assert_int_equal(s.created, 1700000000);
}

static void test_what_is_refused_before_the_core_is_asked(void **state)
{
    (void)state;
    char headers[1024], twice[2048], big[(48 << 10) + 2];
    static const char *const bad[] = {
        "Signature: sig1=:AAAA:\r\n",
        "Signature-Input: sig1=()\r\n",
        "Signature-Input: \r\n",
        "Signature-Input: sig1=();created=1\r\nSignature: sig1=:AAAA:\r\nContent-Digest: sha-256=:AAAA:\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(ask("GET", AUTH "policies", bad[i], NULL), 400);
    sign(headers, sizeof headers, "GET", AUTH "policies", "");
    (void)snprintf(twice, sizeof twice, "%s%s", headers, headers);
    assert_int_equal(ask("GET", AUTH "policies", twice, NULL), 400);
    static const char *const names[] = {"A",     "-a",  ".a",
                                        "a%20b", "a+b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char target[128];
        (void)snprintf(target, sizeof target, AUTH "policies/%s", names[i]);
        const int status = ask("GET", target, "", NULL);
        assert_true(status == 400 || status == 404);
    }
    memset(big, ' ', sizeof big);
    big[sizeof big - 1] = 0;
    assert_int_equal(ask("PUT", AUTH "policies/p", "", big), 413);
    assert_int_equal(questions, 0);
    /* A digest alone is no signature, and is left out. */
    assert_int_equal(ask("GET", AUTH "policies", "Content-Digest: sha-256=:x:\r\n", NULL), 200);
    assert_int_equal(asked.digest_len, 0);
}

static void test_answers_of_several_parts(void **state)
{
    (void)state;
    part_count = 3;
    for (uint32_t i = 0; i < 3; i++) {
        parts[i] =
            (struct a_managed){.status = 201, .chunk = i, .last = i == 2, .len = A_MANAGED_MAX};
        memset(parts[i].body, 'a' + (int)i, sizeof parts[i].body);
    }
    assert_int_equal(ask("GET", AUTH "tokens", "", NULL), 201);
    assert_int_equal(last.len, 3 * A_MANAGED_MAX);
    assert_int_equal(last.body[0], 'a');
    assert_int_equal(last.body[last.len - 1], 'c');
}

static void test_an_error_comes_with_where_and_what(void **state)
{
    (void)state;
    parts[0] = (struct a_managed){
        .error = ERROR_MALFORMED, .last = true, .detail = "rules[0].keys: \"odd\"\n\x1b[31m"};
    assert_int_equal(ask("PUT", AUTH "policies/p", "", "{}"), 400);
    assert_non_null(strstr(last.body, "rules[0].keys: \\\"odd\\\"??[31m"));
    parts[0] = (struct a_managed){.error = ERROR_REPLAYED, .last = true};
    assert_int_equal(ask("PUT", AUTH "policies/p", "", "{}"), 401);
    assert_non_null(strstr(last.body, "\"rule\":\"REPLAYED\""));
    assert_non_null(strstr(last.head, "WWW-Authenticate"));
    memset(parts[0].detail, 'x', sizeof parts[0].detail); /* without an end */
    assert_int_equal(ask("PUT", AUTH "policies/p", "", "{}"), 401);
}

static void test_C02_an_answer_that_breaks_the_rules_is_none(void **state)
{
    (void)state;
    const struct a_managed odd[] = {
        {.status = 200, .last = true, .len = A_MANAGED_MAX + 1},
        {.status = 200, .last = true, .chunk = 1},
        {.status = 99, .last = true},
        {.status = 302, .last = true},
        {.error = 4000000000, .last = true},
    };
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        parts[0] = odd[i];
        assert_int_equal(ask("GET", AUTH "policies", "", NULL), 500);
    }
    parts[0] = (struct a_managed){.status = 200, .last = true, .len = 2, .body = "{}"};
    assert_int_equal(ask("GET", AUTH "policies", "", NULL), 200);
}

static void test_the_admin_socket_is_told_apart(void **state)
{
    (void)state;
    int fd = rig_connect_unix(rig.admin_path);
    rig_say(fd, "GET " AUTH "policies HTTP/1.1\r\nHost: x\r\n\r\n");
    struct reply reply = rig_read(fd, 5000);
    assert_int_equal(reply.status, 200);
    reply_release(&reply);
    meet_core();
    assert_int_equal(asked.caller.listener, LISTENER_ADMIN);
    assert_int_equal(asked.caller.flags & CALLER_OWNER, CALLER_OWNER);
    (void)close(fd);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_route_is_its_verb),
        TEST(test_a_signature_goes_along),
        TEST(test_what_is_refused_before_the_core_is_asked),
        TEST(test_answers_of_several_parts),
        TEST(test_an_error_comes_with_where_and_what),
        TEST(test_C02_an_answer_that_breaks_the_rules_is_none),
        TEST(test_the_admin_socket_is_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
