/* Random policies times random questions: the code and a second evaluator (support/policy_model.h) say the same, down to the rule. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/policy.h"
#include "codec/hex.h"
#include "support/policy_model.h"
#include "support/test.h"

enum {
    ROUNDS = 1500,
    QUESTIONS = 60, /* for each round */
    KEYS = 6,
    RECIPIENTS = 3,
    POLICIES = 4
};

static uint64_t seed;

static uint32_t any(uint32_t below)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % below;
}

static bool one_in(uint32_t n)
{
    return any(n) == 0;
}

/* --- policies ------------------------------------------------------------------------------------------------- */

static const char *const operations[] = {"*",
                                         "all",
                                         "ATTESTATION",
                                         "BLOCK",
                                         "BLOCK_V2",
                                         "DEPOSIT",
                                         "VOLUNTARY_EXIT",
                                         "EXECUTION_PAYLOAD_BID",
                                         "deposit",
                                         "*",
                                         "VALIDATOR_REGISTRATION",
                                         "PAYLOAD_ATTESTATION",
                                         "REQUEST_AUTH"};
static const char *const ranges[] = {"10.0.0.0/8",    "10.1.0.0/16",  "10.1.2.3",
                                     "0.0.0.0/0",     "::/0",         "::1",
                                     "2001:db8::/32", "127.0.0.0/31", "2001:db8:1::/48"};
static const char *const addresses[] = {"10.1.2.3",  "10.2.0.1",      "127.0.0.1",
                                        "8.8.8.8",   "::1",           "2001:db8::5",
                                        "127.0.0.2", "2001:db8:1::9", "fe80::1"};
static const char *const limits[] = {"0",        "29999999", "30000000",
                                     "30000001", "60000000", "18446744073709551615"};

static void key_text(uint32_t which, char text[static 99])
{
    uint8_t bytes[48];
    memset(bytes, (int)(0x80 + which), sizeof bytes);
    bytes[47] = 7;
    (void)memcpy(text, "0x", 2);
    hex_encode(bytes, sizeof bytes, text + 2);
    text[98] = 0;
}

static void recipient_text(uint32_t which, char text[static 43])
{
    (void)snprintf(text, 43, "0x%040x", 0xabc0 + which);
}

static void add(cJSON *list, const char *text)
{
    assert_true(cJSON_AddItemToArray(list, cJSON_CreateString(text)));
}

static void add_texts(cJSON *rule, const char *name, const char *const *texts, uint32_t count)
{
    cJSON *list = cJSON_AddArrayToObject(rule, name);
    for (uint32_t i = 1 + any(3); i; i--)
        add(list, texts[any(count)]);
}

static void add_keys(cJSON *rule)
{
    char text[99];
    cJSON *list = cJSON_AddArrayToObject(rule, "keys");
    for (uint32_t i = 1 + any(3); i; i--) {
        key_text(any(KEYS - 1), text); /* the last key is in no policy */
        add(list, one_in(4) ? text + 2 : text);
    }
}

static void add_recipients(cJSON *rule)
{
    char text[43];
    cJSON *list = cJSON_AddArrayToObject(rule, "fee_recipients");
    for (uint32_t i = 1 + any(2); i; i--) {
        recipient_text(any(RECIPIENTS), text);
        add(list, text);
    }
}

static void add_gas_limit(cJSON *rule)
{
    cJSON *object = cJSON_AddObjectToObject(rule, "gas_limit");
    uint32_t low = any(3);
    bool min = one_in(2);
    if (min)
        cJSON_AddStringToObject(object, "min", limits[low]);
    if (!min || one_in(2))
        cJSON_AddStringToObject(object, "max", limits[low + any(3)]);
}

/* Only what policy_parse() accepts: conditions where they mean something. */
static cJSON *make_rule(void)
{
    cJSON *rule = cJSON_CreateObject();
    bool denies = one_in(3);
    bool keyed = one_in(3);
    bool has_scopes = !denies || one_in(2);
    bool signs = !has_scopes;
    cJSON_AddStringToObject(rule, "effect", denies ? "deny" : "allow");
    if (has_scopes) {
        cJSON *list = cJSON_AddArrayToObject(rule, "scopes");
        signs = one_in(2);
        if (signs)
            add(list, "sign");
        for (uint32_t i = any(3) + !signs; i;) {
            enum auth_scope scope = (enum auth_scope)any(SCOPE_END);
            if (keyed && !scope_is_about_keys(scope))
                continue;
            signs |= scope == SCOPE_SIGN;
            add(list, scope_name(scope));
            i--;
        }
    }
    if (keyed)
        add_keys(rule);
    if (signs && one_in(2))
        add_texts(rule, "operations", operations, ARRAY_LEN(operations));
    if (one_in(4))
        add_texts(rule, "cidrs", ranges, ARRAY_LEN(ranges));
    if (signs && one_in(5))
        add_recipients(rule);
    if (signs && one_in(5))
        add_gas_limit(rule);
    return rule;
}

static cJSON *make_policy(int number)
{
    char name[16];
    cJSON *policy = cJSON_CreateObject();
    (void)snprintf(name, sizeof name, "p%d", number);
    cJSON_AddStringToObject(policy, "name", name);
    cJSON *rules = cJSON_AddArrayToObject(policy, "rules");
    for (uint32_t i = 1 + any(one_in(8) ? 64 : 5); i; i--)
        assert_true(cJSON_AddItemToArray(rules, make_rule()));
    return policy;
}

static struct policy *parsed(const cJSON *json)
{
    struct policy *policy = NULL;
    struct auth_fault fault;
    char *text = cJSON_PrintUnformatted(json);
    assert_non_null(text);
    cc_err err = policy_parse((uint8_t *)text, strlen(text), NULL, &policy, &fault);
    if (err.code)
        fail_msg("%s: %s", fault.place, fault.what);
    free(text);
    return policy;
}

/* The same policy, by way of its record. */
static struct policy *written_and_read(const struct policy *policy)
{
    struct policy *again = NULL;
    struct auth_fault fault;
    CC_CLEANUP(buf_release) struct buf text = buf_init(POLICY_STORED_MAX);
    assert_int_equal(policy_write(policy, &text).code, 0);
    assert_int_equal(policy_parse(text.data, text.len, policy_name(policy), &again, &fault).code,
                     0);
    return again;
}

/* --- questions ------------------------------------------------------------------------------------------------- */

struct asked {
    struct model_question model;
    struct policy_question question;
    struct eth_pubkey pubkey;
    struct eth_address recipient;
    uint64_t gas_limit;
    uint8_t address[16];
    char key[99];
    char payee[43];
};

static void map_address(const char *text, uint8_t address[static 16])
{
    memset(address, 0, 16);
    if (strchr(text, ':')) {
        assert_int_equal(inet_pton(AF_INET6, text, address), 1);
        return;
    }
    address[10] = address[11] = 0xff;
    assert_int_equal(inet_pton(AF_INET, text, address + 12), 1);
}

static void ask_fees(struct asked *a)
{
    recipient_text(any(RECIPIENTS), a->payee);
    a->model.recipient = a->payee;
    a->model.gas_limit = limits[any(ARRAY_LEN(limits))];
    a->gas_limit = strtoull(a->model.gas_limit, NULL, 10);
    assert_int_equal(hex_decode(span_str(a->payee), a->recipient.bytes, 20).code, 0);
    a->question.fee_recipient = &a->recipient;
    a->question.gas_limit = &a->gas_limit;
}

static void make_question(struct asked *a)
{
    memset(a, 0, sizeof *a);
    a->question.scope = one_in(2) ? SCOPE_SIGN : (enum auth_scope)any(SCOPE_END);
    a->question.kind = (enum eth_kind)any(KIND_END);
    a->model.scope = scope_name(a->question.scope);
    a->model.kind = kind_info(a->question.kind)->name;
    if (a->question.scope != SCOPE_SIGN)
        a->question.kind = KIND_END;
    if (a->question.scope == SCOPE_SIGN && one_in(3))
        ask_fees(a);
    if (!one_in(5)) {
        key_text(any(KEYS), a->key);
        a->model.key = a->key;
        assert_int_equal(hex_decode(span_str(a->key), a->pubkey.bytes, 48).code, 0);
        a->question.pubkey = &a->pubkey;
    }
    if (!one_in(4)) {
        a->model.address = addresses[any(ARRAY_LEN(addresses))];
        map_address(a->model.address, a->address);
        a->question.address = a->address;
    }
}

/* --- the matrix ------------------------------------------------------------------------------------------------- */

static unsigned effects[3];

static void compare(cJSON *const *json, struct policy *const *policies, size_t count)
{
    struct asked a;
    struct policy_finding finding;
    make_question(&a);
    const struct model_answer expected = model_judge(json, (int)count, &a.model);
    policy_judge((const struct policy *const *)policies, count, &a.question, &finding);
    int effect = finding.effect == POLICY_DENIES ? -1 : finding.effect == POLICY_ALLOWS ? 1 : 0;
    effects[effect + 1]++;
    if (effect == expected.effect && (int)finding.number == expected.number &&
        (!effect || finding.policy == policies[expected.policy]))
        return;
    for (size_t i = 0; i < count; i++) {
        char *text = cJSON_PrintUnformatted(json[i]);
        print_error("%s\n", text);
        free(text);
    }
    fail_msg("scope %s kind %s key %s from %s to %s gas %s: %d rule %u, and the model %d rule %d",
             a.model.scope, a.model.kind, a.model.key ? a.model.key : "-",
             a.model.address ? a.model.address : "-", a.model.recipient ? a.model.recipient : "-",
             a.model.gas_limit ? a.model.gas_limit : "-", effect, finding.number, expected.effect,
             expected.number);
}

static void play_round(void)
{
    cJSON *json[POLICIES];
    struct policy *policies[POLICIES];
    size_t count = any(POLICIES + 1);
    for (size_t i = 0; i < count; i++) {
        json[i] = make_policy((int)i);
        policies[i] = parsed(json[i]);
        if (one_in(2)) {
            struct policy *again = written_and_read(policies[i]);
            policy_free(policies[i]);
            policies[i] = again;
        }
    }
    for (int i = 0; i < QUESTIONS; i++)
        compare(json, policies, count);
    for (size_t i = 0; i < count; i++) {
        cJSON_Delete(json[i]);
        policy_free(policies[i]);
    }
}

static void test_both_evaluators_say_the_same(void **state)
{
    (void)state;
    seed = getenv("CC_SEED") ? strtoull(getenv("CC_SEED"), NULL, 10) : 20261126;
    print_message("seed %" PRIu64 " (CC_SEED)\n", seed);
    for (int i = 0; i < ROUNDS; i++)
        play_round();
    print_message("%u denied, %u not spoken of, %u allowed\n", effects[0], effects[1], effects[2]);
    for (size_t i = 0; i < ARRAY_LEN(effects); i++)
        assert_true(effects[i] > ROUNDS * QUESTIONS / 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_evaluators_say_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
