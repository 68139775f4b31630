/* Bodies of answers, byte by byte. */
#include <stdio.h>
#include <string.h>

#include "auth/policy.h"
#include "front/answer.h"
#include "slash/rules.h"
#include "support/test.h"

static struct buf out;

static const char *text(cc_err err)
{
    assert_int_equal(err.code, 0);
    assert_int_equal(buf_append(&out, "", 1).code, 0);
    out.len = 0;
    return (const char *)out.data;
}

static int begin(void **state)
{
    (void)state;
    out = buf_init(1 << 20);
    return 0;
}

static int end(void **state)
{
    (void)state;
    buf_release(&out);
    return 0;
}

static void test_signature_forms(void **state)
{
    (void)state;
    struct eth_signature signature;
    char hex[2 * sizeof signature.bytes + 1];
    char expected[300];
    for (size_t i = 0; i < sizeof signature.bytes; i++) {
        signature.bytes[i] = (uint8_t)(i * 7);
        (void)snprintf(hex + 2 * i, 3, "%02x", (unsigned)signature.bytes[i]);
    }
    (void)snprintf(expected, sizeof expected, "0x%s", hex);
    assert_string_equal(text(answer_signature(&out, &signature, false)), expected);
    (void)snprintf(expected, sizeof expected, "{\"signature\":\"0x%s\"}", hex);
    assert_string_equal(text(answer_signature(&out, &signature, true)), expected);
}

static void test_slashable_names_rule_and_earlier_message(void **state)
{
    (void)state;
    struct a_signed answer = {.error = ERROR_SLASHABLE,
                              .rule = SLASH_DOUBLE_VOTE,
                              .earlier_source = 5,
                              .earlier_target = 18446744073709551615u};
    struct refusal r = refusal_from_core(&answer);
    assert_string_equal(
        text(answer_refusal(&out, &r)),
        "{\"code\":412,\"message\":\"Precondition Failed\",\"error\":\"refused by slashing protection: a different "
        "attestation was signed for this target epoch (earlier: source 5, target 18446744073709551615). Do not "
        "retry; check that no second validator client uses this key\",\"rule\":\"DOUBLE_VOTE\",\"earlier\":"
        "{\"source_epoch\":\"5\",\"target_epoch\":\"18446744073709551615\"}}");
    answer =
        (struct a_signed){.error = ERROR_SLASHABLE, .rule = SLASH_DOUBLE_BLOCK, .earlier_slot = 9};
    r = refusal_from_core(&answer);
    const char *body = text(answer_refusal(&out, &r));
    assert_non_null(strstr(body, "(earlier: slot 9)"));
    assert_non_null(strstr(body, "\"rule\":\"DOUBLE_BLOCK\",\"earlier\":{\"slot\":\"9\"}}"));
    answer = (struct a_signed){.error = ERROR_SLASHABLE, .rule = SLASH_FUTURE};
    r = refusal_from_core(&answer);
    assert_null(strstr(text(answer_refusal(&out, &r)), "earlier"));
    answer = (struct a_signed){.error = ERROR_SLASHABLE, .rule = 4000000000u};
    r = refusal_from_core(&answer);
    assert_non_null(strstr(text(answer_refusal(&out, &r)), "\"rule\":\"SLASHABLE\""));
}

static void test_root_mismatch_names_the_computed_root(void **state)
{
    (void)state;
    struct a_signed answer = {.error = ERROR_ROOT_MISMATCH};
    memset(answer.root.bytes, 0xab, sizeof answer.root.bytes);
    struct refusal r = refusal_from_core(&answer);
    const char *body = text(answer_refusal(&out, &r));
    assert_non_null(strstr(body, "{\"code\":400,\"message\":\"Bad Request\""));
    assert_non_null(strstr(body, "computed 0xabababab"));
}

static void test_denial_names_the_policy_rule(void **state)
{
    (void)state;
    struct a_signed answer = {.error = ERROR_DENIED, .rule = POLICY_NOT_ROUTINE};
    struct refusal r = refusal_from_core(&answer);
    const char *body = text(answer_refusal(&out, &r));
    assert_non_null(strstr(body, "\"code\":403"));
    assert_non_null(strstr(body, "\"rule\":\"NOT_ROUTINE\""));
    assert_non_null(strstr(body, "open_operations"));
}

static void test_P27_a_denial_names_policy_and_rule(void **state)
{
    struct a_signed answer = {
        .error = ERROR_DENIED, .rule = POLICY_RULE, .reason = {.policy = "vc-alpha", .number = 3}};
    struct a_denied denied = {
        .error = ERROR_DENIED, .rule = POLICY_RULE, .reason = {.policy = "vc-alpha", .number = 3}};
    (void)state;
    static const char expected[] =
        "{\"code\":403,\"message\":\"Forbidden\",\"error\":\"denied by policy: a rule denies it "
        "(rule 3 of policy vc-alpha)\",\"rule\":\"vc-alpha/3\"}";
    struct refusal r = refusal_from_core(&answer);
    assert_string_equal(text(answer_refusal(&out, &r)), expected);
    r = refusal_from_denied(&denied);
    assert_string_equal(text(answer_refusal(&out, &r)), expected);
    memset(denied.reason.policy, '"', sizeof denied.reason.policy); /* no core says that */
    r = refusal_from_denied(&denied);
    assert_non_null(strstr(text(answer_refusal(&out, &r)), "\"rule\":\"RULE\"}"));
}

/* T29: whatever was wrong with a token, and even if the core said more. */
static void test_T29_a_401_is_always_the_same(void **state)
{
    struct a_denied plain = {.error = ERROR_UNAUTHENTICATED, .rule = POLICY_NO_TOKEN};
    struct a_denied more = {.error = ERROR_UNAUTHENTICATED,
                            .rule = POLICY_RULE,
                            .reason = {.policy = "vc-alpha", .number = 3}};
    char first[512];
    (void)state;
    struct refusal r = refusal_from_denied(&plain);
    (void)snprintf(first, sizeof first, "%s", text(answer_refusal(&out, &r)));
    assert_non_null(strstr(first, "{\"code\":401,"));
    r = refusal_from_denied(&more);
    assert_string_equal(text(answer_refusal(&out, &r)), first);
}

/* Numbers that no table knows read as internal errors. */
static void test_unknown_error_number(void **state)
{
    (void)state;
    struct a_signed answer = {.error = 123456, .rule = 99};
    struct refusal r = refusal_from_core(&answer);
    assert_non_null(strstr(text(answer_refusal(&out, &r)), "{\"code\":500,"));
}

static bool is_json_string_safe(const char *body)
{
    int quotes = 0;
    for (const char *c = body; *c; c++) {
        if ((unsigned char)*c < 0x20)
            return false;
        if (*c == '\\')
            c++;
        else if (*c == '"')
            quotes++;
    }
    return quotes % 2 == 0;
}

static void test_every_error_has_a_body_and_a_reason(void **state)
{
    (void)state;
    for (int code = 1; code < ERROR_CODE_END; code++) {
        struct refusal r = {.err = {code}};
        const char *body = text(answer_refusal(&out, &r));
        assert_true(is_json_string_safe(body));
        assert_string_not_equal(answer_reason(error_status(r.err)), "Error");
        assert_non_null(strstr(body, "\"rule\":\""));
    }
    struct refusal host = {.err = {ERROR_HOST_DENIED}};
    assert_non_null(
        strstr(text(answer_refusal(&out, &host)), "\"message\":\"Host not authorized.\""));
}

static void test_public_keys(void **state)
{
    (void)state;
    struct eth_pubkey keys[2] = {{{0}}};
    keys[1].bytes[47] = 0xff;
    assert_string_equal(text(answer_public_keys(&out, keys, 0)), "[]");
    const char *body = text(answer_public_keys(&out, keys, 2));
    assert_int_equal(strlen(body), 2 * 100 + 3);
    assert_non_null(strstr(body, "00\",\"0x00"));
    assert_non_null(strstr(body, "ff\"]"));
}

static void test_health(void **state)
{
    (void)state;
    int status = 0;
    struct a_health good = {.ready = 1,
                            .store_up = 1,
                            .keys_complete = 1,
                            .keys_loaded = 4,
                            .keys_known = 4,
                            .auth_open = 1};
    const char *body = text(answer_health(&out, &good, false, &status));
    assert_int_equal(status, 200);
    assert_non_null(strstr(body, "{\"status\":\"UP\",\"checks\":["));
    assert_non_null(strstr(body, "\"outcome\":\"UP\"}"));
    assert_non_null(strstr(body, "\"keys-loaded\":4,\"error-count\":0"));
    assert_non_null(strstr(body, "\"auth-open\":true"));
    assert_non_null(strstr(body, "\"master-key\":\"unknown\",\"memory\":\"unknown\""));
    (void)text(answer_health(&out, &good, true, &status));
    assert_int_equal(status, 503);
    (void)text(answer_ready(&out, &good, false, &status));
    assert_int_equal(status, 200);
    (void)text(answer_ready(&out, &good, true, &status));
    assert_int_equal(status, 503);
    struct a_health sealed = good;
    sealed.sealed = 1;
    (void)text(answer_ready(&out, &sealed, false, &status));
    assert_int_equal(status, 503);
    struct a_health closed = good; /* of keys from files alone a load balancer need know nothing */
    closed.master = A_MASTER_CLOSED;
    closed.memory = B_MEMORY_LOCKED;
    body = text(answer_ready(&out, &closed, false, &status));
    assert_int_equal(status, 200);
    assert_non_null(strstr(body, "\"sealed\":false,\"master_key\":\"closed\""));
    body = text(answer_health(&out, &closed, false, &status));
    assert_non_null(strstr(body, "\"master-key\":\"closed\",\"memory\":\"locked\""));
    closed.master = closed.memory = 255; /* what crossed the door is looked at */
    body = text(answer_health(&out, &closed, false, &status));
    assert_non_null(strstr(body, "\"master-key\":\"unknown\",\"memory\":\"unknown\""));
    struct a_health blocked = good;
    blocked.audit_blocks = 1;
    body = text(answer_ready(&out, &blocked, false, &status));
    assert_int_equal(status, 503);
    assert_non_null(strstr(body, "\"audit_blocks\":true,\"clock_sure\":true"));
    struct a_health unsure = good;
    unsure.clock_unsure = 1;
    body = text(answer_ready(&out, &unsure, false, &status));
    assert_int_equal(status, 503);
    assert_non_null(strstr(body, "\"clock_sure\":false"));
    struct a_health bad = {0};
    body = text(answer_health(&out, &bad, false, &status));
    assert_int_equal(status, 503);
    assert_non_null(strstr(body, "{\"status\":\"DOWN\""));
}

static void test_reload(void **state)
{
    (void)state;
    struct a_reload idle = {.state = RELOAD_IDLE};
    assert_string_equal(text(answer_reload_status(&out, &idle)), "{\"status\":\"idle\"}");
    struct a_reload ended = {
        .state = RELOAD_COMPLETED_WITH_ERRORS, .ended_wall_ms = 1700000000123, .load_errors = 3};
    assert_string_equal(
        text(answer_reload_status(&out, &ended)),
        "{\"status\":\"completed_with_errors\",\"lastOperationTime\":\"2023-11-14T22:13:20.123Z\",\"lastError\":"
        "\"Reload completed with 3 signer loading error(s)\"}");
    struct a_reload failed = {.state = RELOAD_FAILED, .ended_wall_ms = 1000};
    assert_non_null(
        strstr(text(answer_reload_status(&out, &failed)), "\"lastError\":\"Reload failed\""));
    assert_non_null(strstr(text(answer_reload_started(&out)),
                           "{\"code\":202,\"message\":\"Reload operation accepted"));
}

static void test_high_watermark(void **state)
{
    (void)state;
    struct a_high_watermark mark = {0};
    assert_string_equal(text(answer_high_watermark(&out, &mark)), "{}");
    mark = (struct a_high_watermark){.present = 1, .epoch = 12, .slot = 384};
    assert_string_equal(text(answer_high_watermark(&out, &mark)),
                        "{\"epoch\":\"12\",\"slot\":\"384\"}");
}

static void test_limit(void **state)
{
    (void)state;
    struct buf small = buf_init(10);
    struct refusal r = {.err = {ERROR_BUSY}};
    assert_true(error_is(answer_refusal(&small, &r), ERROR_LIMIT));
    buf_release(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signature_forms),
        cmocka_unit_test(test_slashable_names_rule_and_earlier_message),
        cmocka_unit_test(test_root_mismatch_names_the_computed_root),
        cmocka_unit_test(test_denial_names_the_policy_rule),
        cmocka_unit_test(test_P27_a_denial_names_policy_and_rule),
        cmocka_unit_test(test_T29_a_401_is_always_the_same),
        cmocka_unit_test(test_unknown_error_number),
        cmocka_unit_test(test_every_error_has_a_body_and_a_reason),
        cmocka_unit_test(test_public_keys),
        cmocka_unit_test(test_health),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_high_watermark),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
