/* Who a caller is, what it may do in each mode, what is counted of it. Records are put into a state store's image directly. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/metric.h"

#include "core/auth_latch.h"
#include "core/authority.h"
#include "support/state_kit.h"
#include "support/test.h"

enum {
    NOW = 1700000000,
    RECORDS = 16
};

static const uint8_t token_key[MAC_SIZE] = {1, 2, 3};
static char data_dir[64];
static struct auth_config config;
static struct state_store store; /* its image alone is used */
static struct authority *authority;
static uint64_t now_s;

static uint64_t clock_ms(void)
{
    return now_s * 1000;
}

/* --- records ---------------------------------------------------------------------------------------------------- */

static struct state_record *find_record(const char *kind, const char *name)
{
    for (size_t i = 0; i < store.image.count; i++)
        if (strcmp(store.image.records[i].kind, kind) == 0 &&
            strcmp(store.image.records[i].name, name) == 0)
            return &store.image.records[i];
    return NULL;
}

static int record_order(const void *a, const void *b)
{
    const struct state_record *left = a;
    const struct state_record *right = b;
    return state_record_order(left->kind, left->name, right->kind, right->name);
}

static void put(const char *kind, const char *name, const char *text)
{
    struct state_record *record = find_record(kind, name);
    if (!record) {
        assert_true(store.image.count < RECORDS);
        record = &store.image.records[store.image.count++];
        *record = (struct state_record){0};
        (void)snprintf(record->kind, sizeof record->kind, "%s", kind);
        (void)snprintf(record->name, sizeof record->name, "%s", name);
    }
    free(record->bytes);
    record->len = strlen(text);
    record->bytes = (uint8_t *)strdup(text);
    record->version++;
    qsort(store.image.records, store.image.count, sizeof *record, record_order);
}

static void take(void)
{
    assert_int_equal(authority_take_records(authority, &store).code, 0);
}

static void put_policy(const char *name, const char *rules)
{
    char text[2048];
    (void)snprintf(text, sizeof text, "{\"name\":\"%s\",\"rules\":[%s]}", name, rules);
    put("policy", name, text);
}

static struct token token_named(const char *name, const char *policy)
{
    struct token token = {.policy_count = 1, .created = NOW - 100};
    uint8_t digest[SHA256_SIZE];
    (void)snprintf(token.name, sizeof token.name, "%s", name);
    (void)snprintf(token.policies[0], sizeof token.policies[0], "%s", policy);
    token_digest(span_str(name), digest); /* its text is its name */
    token_mac(token_key, digest, token.mac);
    return token;
}

static void put_token(const struct token *token)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(TOKEN_STORED_MAX);
    assert_int_equal(token_write(token, &text).code, 0);
    assert_int_equal(buf_append(&text, "", 1).code, 0);
    put("token", token->name, (const char *)text.data);
}

static struct caller with_token(const char *text)
{
    struct caller caller = {.token_kind = CALLER_BEARER, .listener = LISTENER_API};
    static const uint8_t address[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1};
    token_digest(span_str(text), caller.token);
    memcpy(caller.address, address, sizeof address);
    return caller;
}

static struct caller nobody(void)
{
    struct caller caller = with_token("");
    memset(caller.token, 0, sizeof caller.token);
    caller.token_kind = CALLER_NO_TOKEN;
    return caller;
}

/* --- asking ------------------------------------------------------------------------------------------------------ */

static struct auth_verdict ask(const struct caller *caller, enum auth_scope scope)
{
    struct auth_verdict verdict;
    const struct auth_question question = {.scope = scope, .kind = KIND_END};
    authority_judge(authority, caller, &question, &verdict);
    return verdict;
}

static struct auth_verdict
ask_sign(const struct caller *caller, enum eth_kind kind, const struct eth_pubkey *pubkey)
{
    struct auth_verdict verdict;
    const struct auth_question question = {.scope = SCOPE_SIGN, .kind = kind, .pubkey = pubkey};
    authority_judge(authority, caller, &question, &verdict);
    return verdict;
}

static void assert_verdict(struct auth_verdict v, enum error_code error, enum policy_rule rule)
{
    assert_int_equal(v.error, error);
    assert_string_equal(policy_rule_name((enum policy_rule)v.rule), policy_rule_name(rule));
}

static void
assert_rule(struct auth_verdict v, enum error_code error, const char *policy, uint32_t number)
{
    assert_verdict(v, error, POLICY_RULE);
    assert_string_equal(v.reason.policy, policy);
    assert_int_equal(v.reason.number, number);
}

/* --- set-up ------------------------------------------------------------------------------------------------------- */

static void begin(enum auth_mode mode)
{
    authority_free(authority);
    authority = NULL;
    config.mode = mode;
    const struct authority_settings settings = {
        .auth = &config, .data_dir = data_dir, .token_key = token_key, .wall_ms = clock_ms};
    assert_int_equal(authority_new(&settings, &authority).code, 0);
    take();
}

static int set_up(void **state)
{
    (void)state;
    now_s = NOW;
    (void)snprintf(data_dir, sizeof data_dir, "/tmp/cc-authority-XXXXXX");
    assert_non_null(mkdtemp(data_dir));
    config = (struct auth_config){.open_operations = {.count = 1, .items = {"*"}}};
    store = (struct state_store){.opened = true};
    store.image.records = calloc(RECORDS, sizeof *store.image.records);
    assert_non_null(store.image.records);
    put_policy("alpha", "{\"effect\":\"allow\",\"scopes\":[\"sign\",\"public_keys\"]},"
                        "{\"effect\":\"deny\",\"operations\":[\"VOLUNTARY_EXIT\"]}");
    struct token token = token_named("a", "alpha");
    put_token(&token);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    authority_free(authority);
    authority = NULL;
    for (size_t i = 0; i < store.image.count; i++)
        free(store.image.records[i].bytes);
    free(store.image.records);
    (void)auth_latch_remove(data_dir).code;
    (void)rmdir(data_dir);
    return 0;
}

/* --- tokens --------------------------------------------------------------------------------------------------------- */

static void test_a_token_has_its_policies(void **state)
{
    const struct caller a = with_token("a");
    (void)state;
    begin(AUTH_ENFORCE);
    struct auth_verdict v = ask_sign(&a, KIND_ATTESTATION, NULL);
    assert_rule(v, 0, "alpha", 1);
    assert_string_equal(v.principal, "token:a");
    assert_rule(ask(&a, SCOPE_PUBLIC_KEYS), 0, "alpha", 1);
    assert_verdict(ask(&a, SCOPE_RELOAD), ERROR_DENIED, POLICY_DEFAULT);
    assert_verdict(ask(&a, SCOPE_AUTH_MANAGE), ERROR_DENIED, POLICY_DEFAULT);
}

static void test_P27_a_denied_exit_names_its_rule(void **state)
{
    const struct caller a = with_token("a");
    (void)state;
    for (int mode = AUTH_OPEN; mode <= AUTH_ENFORCE; mode++) {
        begin((enum auth_mode)mode);
        assert_rule(ask_sign(&a, KIND_VOLUNTARY_EXIT, NULL), ERROR_DENIED, "alpha", 2);
    }
}

/* Every way in which a token can be no good gives one and the same verdict to whoever shows it. */
static void test_T29_a_bad_token_is_one_401(void **state)
{
    struct token token = token_named("old", "alpha");
    struct caller callers[5] = {with_token("never-was"), with_token("old"), with_token("far"),
                                with_token("bound"), with_token("a")};
    static const enum auth_failure failures[] = {AUTH_UNKNOWN_TOKEN, AUTH_EXPIRED, AUTH_ELSEWHERE,
                                                 AUTH_OTHER_CERTIFICATE, AUTH_BAD_HEADER};
    (void)state;
    token.expires = NOW;
    put_token(&token);
    token = token_named("far", "alpha");
    token.cidr_count = 1;
    assert_int_equal(cidr_parse(span_str("192.168.0.0/16"), &token.cidrs[0]).code, 0);
    put_token(&token);
    token = token_named("bound", "alpha");
    token.has_certificate = true;
    token.certificate[0] = 9;
    put_token(&token);
    callers[4].token_kind = CALLER_BAD;
    begin(AUTH_ENFORCE);
    for (size_t i = 0; i < ARRAY_LEN(callers); i++) {
        struct auth_verdict v = ask_sign(&callers[i], KIND_ATTESTATION, NULL);
        assert_verdict(v, ERROR_UNAUTHENTICATED, POLICY_NO_TOKEN);
        assert_int_equal(v.failure, failures[i]);
        assert_string_equal(v.reason.policy, "");
        assert_int_equal(v.reason.number, 0);
    }
    now_s = NOW - 1;
    assert_int_equal(ask_sign(&callers[1], KIND_ATTESTATION, NULL).error, 0);
    callers[2].address[12] = 192;
    callers[2].address[13] = 168;
    assert_int_equal(ask_sign(&callers[2], KIND_ATTESTATION, NULL).error, 0);
    callers[3].fingerprint[0] = 9;
    assert_int_equal(ask_sign(&callers[3], KIND_ATTESTATION, NULL).error, 0);
}

static void test_a_revoked_token_is_gone_with_its_record(void **state)
{
    const struct caller a = with_token("a");
    (void)state;
    begin(AUTH_ENFORCE);
    assert_int_equal(ask_sign(&a, KIND_ATTESTATION, NULL).error, 0);
    put("token", "a", "");
    take();
    assert_verdict(ask_sign(&a, KIND_ATTESTATION, NULL), ERROR_UNAUTHENTICATED, POLICY_NO_TOKEN);
}

/* T3: while it is sealed, no stored token is honoured. */
static void test_T03_sealed_no_token_is_good(void **state)
{
    const struct caller a = with_token("a");
    uint8_t mac[MAC_SIZE];
    uint8_t digest[SHA256_SIZE] = {0};
    (void)state;
    begin(AUTH_ENFORCE);
    assert_int_equal(ask_sign(&a, KIND_ATTESTATION, NULL).error, 0);
    assert_int_equal(authority_token_mac(authority, digest, mac).code, 0);
    authority_seal(authority);
    assert_int_equal(ask_sign(&a, KIND_ATTESTATION, NULL).error, ERROR_UNAUTHENTICATED);
    /* Nor one that the wiped key, zeros, would vouch for. */
    struct token token = token_named("a", "alpha");
    static const uint8_t wiped[MAC_SIZE];
    token_mac(wiped, a.token, token.mac);
    put_token(&token);
    take();
    assert_int_equal(ask_sign(&a, KIND_ATTESTATION, NULL).error, ERROR_UNAUTHENTICATED);
    assert_true(error_is(authority_token_mac(authority, digest, mac), ERROR_SEALED));
}

static void test_uses_of_tokens_are_noted_once(void **state)
{
    struct token_use uses[4];
    struct token token = token_named("b", "alpha");
    const struct caller a = with_token("a");
    const struct caller b = with_token("b");
    (void)state;
    put_token(&token);
    begin(AUTH_ENFORCE);
    assert_int_equal(authority_take_uses(authority, uses, 4), 0);
    (void)ask_sign(&b, KIND_ATTESTATION, NULL);
    (void)ask_sign(&a, KIND_ATTESTATION, NULL);
    now_s++;
    (void)ask_sign(&b, KIND_ATTESTATION, NULL);
    token = token_named("0", "alpha"); /* other rows, the same names */
    put_token(&token);
    take();
    assert_int_equal(authority_take_uses(authority, uses, 4), 2);
    assert_string_equal(uses[0].name, "a");
    assert_int_equal(uses[0].last_used, NOW);
    assert_string_equal(uses[1].name, "b");
    assert_int_equal(uses[1].last_used, NOW + 1);
    assert_int_equal(authority_take_uses(authority, uses, 4), 0);
}

/* --- other principals ------------------------------------------------------------------------------------------------- */

static void add_text(struct config_text_list *list, const char *text)
{
    (void)snprintf(list->items[list->count++], CONFIG_TEXT_MAX, "%s", text);
}

static void test_the_first_principal_that_applies(void **state)
{
    struct caller caller = nobody();
    (void)state;
    add_text(&config.certificates, "cn:other=alpha");
    add_text(&config.certificates, "san:client.example=cert");
    add_text(&config.listeners, "unix=sock");
    put_policy("cert", "{\"effect\":\"allow\",\"scopes\":[\"list_keys\"]}");
    put_policy("sock", "{\"effect\":\"allow\",\"scopes\":[\"slashing_export\"]}");
    begin(AUTH_ENFORCE);

    assert_verdict(ask(&caller, SCOPE_LIST_KEYS), ERROR_UNAUTHENTICATED, POLICY_NO_TOKEN);
    caller.flags = CALLER_OWNER;
    assert_verdict(ask(&caller, SCOPE_LIST_KEYS), 0, POLICY_OWNER);
    assert_string_equal(ask(&caller, SCOPE_LIST_KEYS).principal, "owner");
    caller.listener = LISTENER_UNIX;
    assert_verdict(ask(&caller, SCOPE_LIST_KEYS), ERROR_DENIED, POLICY_DEFAULT);
    assert_rule(ask(&caller, SCOPE_SLASHING_EXPORT), 0, "sock", 1);
    assert_string_equal(ask(&caller, SCOPE_SLASHING_EXPORT).principal, "listener:unix");
    caller.certificate = 2;
    assert_rule(ask(&caller, SCOPE_LIST_KEYS), 0, "cert", 1);
    assert_string_equal(ask(&caller, SCOPE_LIST_KEYS).principal, "certificate:2");
    caller.token_kind = CALLER_BASIC;
    token_digest(span_str("a"), caller.token);
    assert_verdict(ask(&caller, SCOPE_LIST_KEYS), ERROR_DENIED, POLICY_DEFAULT);
    assert_rule(ask(&caller, SCOPE_PUBLIC_KEYS), 0, "alpha", 1);
    caller.token[0] ^= 1; /* a bad token is not made up for by who shows it */
    assert_verdict(ask(&caller, SCOPE_LIST_KEYS), ERROR_UNAUTHENTICATED, POLICY_NO_TOKEN);
    caller = nobody();
    caller.certificate = 3; /* no such row */
    assert_verdict(ask(&caller, SCOPE_LIST_KEYS), ERROR_UNAUTHENTICATED, POLICY_NO_TOKEN);
}

static void test_the_owner_may_do_all_but_sign(void **state)
{
    struct caller owner = {.listener = LISTENER_ADMIN, .flags = CALLER_OWNER};
    (void)state;
    for (int mode = AUTH_OPEN; mode <= AUTH_ENFORCE; mode++) {
        begin((enum auth_mode)mode);
        for (int scope = 0; scope < SCOPE_END; scope++)
            if (scope != SCOPE_SIGN)
                assert_verdict(ask(&owner, (enum auth_scope)scope), 0, POLICY_OWNER);
        assert_int_equal(ask_sign(&owner, KIND_VOLUNTARY_EXIT, NULL).error != 0, 1);
    }
    assert_verdict(ask_sign(&owner, KIND_ATTESTATION, NULL), ERROR_UNAUTHENTICATED,
                   POLICY_NO_TOKEN);
}

static void test_a_missing_policy_closes_its_principal(void **state)
{
    struct token token = token_named("b", "alpha");
    const struct caller b = with_token("b");
    (void)state;
    token.policy_count = 2;
    (void)snprintf(token.policies[1], sizeof token.policies[1], "denies");
    put_token(&token);
    begin(AUTH_ENFORCE);
    assert_verdict(ask_sign(&b, KIND_ATTESTATION, NULL), ERROR_DENIED, POLICY_MISSING);
    put_policy("denies", "{\"effect\":\"deny\",\"operations\":[\"DEPOSIT\"]}");
    take();
    assert_rule(ask_sign(&b, KIND_ATTESTATION, NULL), 0, "alpha", 1);
    put("policy", "denies", "{\"name\":\"denies\",\"rules\":[{\"effect\":\"forbid\"}]}");
    take(); /* what can't be read is not there */
    assert_verdict(ask_sign(&b, KIND_ATTESTATION, NULL), ERROR_DENIED, POLICY_MISSING);
}

static void test_P27_the_older_form_is_mapped(void **state)
{
    struct static_policy *vc = &config.policies.items[0];
    struct static_policy *all = &config.policies.items[1];
    struct caller caller = with_token("vc-token-of-16-chars");
    (void)state;
    config.policies.count = 2;
    (void)snprintf(vc->name, sizeof vc->name, "vc1");
    (void)snprintf(vc->allowed_scopes, sizeof vc->allowed_scopes, "sign,public_keys");
    (void)snprintf(vc->denied_scopes, sizeof vc->denied_scopes, "public_keys");
    vc->has_token = true;
    token_digest(span_str("vc-token-of-16-chars"), vc->token_digest);
    (void)snprintf(all->name, sizeof all->name, "all");
    begin(AUTH_OPEN);
    bool held;
    assert_int_equal(authority_mode(authority, &held), AUTH_ENFORCE); /* as it was then */
    assert_false(held);
    assert_rule(ask_sign(&caller, KIND_ATTESTATION, NULL), 0, "vc1", 1);
    assert_rule(ask(&caller, SCOPE_PUBLIC_KEYS), ERROR_DENIED, "vc1", 2);
    assert_verdict(ask_sign(&caller, KIND_VOLUNTARY_EXIT, NULL), ERROR_DENIED, POLICY_DEFAULT);
    assert_verdict(ask(&caller, SCOPE_CHAMBER_SEAL), ERROR_DENIED, POLICY_DEFAULT);
    caller = nobody();
    assert_verdict(ask(&caller, SCOPE_CHAMBER_SEAL), ERROR_UNAUTHENTICATED, POLICY_NO_TOKEN);
    (void)snprintf(config.unauthenticated_policy, sizeof config.unauthenticated_policy, "all");
    begin(AUTH_OPEN);
    assert_rule(ask(&caller, SCOPE_CHAMBER_SEAL), 0, "all", 1);
    assert_string_equal(ask(&caller, SCOPE_CHAMBER_SEAL).principal, "anonymous");
    begin(AUTH_REPORT);
    assert_int_equal(authority_mode(authority, &held), AUTH_REPORT);
    (void)snprintf(vc->allowed_scopes, sizeof vc->allowed_scopes, "signs");
    const struct authority_settings settings = {.auth = &config, .data_dir = data_dir};
    struct authority *refused = NULL;
    assert_true(error_is(authority_new(&settings, &refused), ERROR_CONFIG));
    assert_null(refused);
}

/* --- modes ------------------------------------------------------------------------------------------------------------- */

static void test_T20_open_covers_routine_signing_and_public_keys(void **state)
{
    struct caller callers[] = {nobody(), with_token("never-was")};
    (void)state;
    begin(AUTH_OPEN);
    for (size_t c = 0; c < ARRAY_LEN(callers); c++) {
        for (int kind = 0; kind < KIND_END; kind++) {
            bool routine = kind_info((enum eth_kind)kind)->class == KIND_CLASS_ROUTINE;
            struct auth_verdict v = ask_sign(&callers[c], (enum eth_kind)kind, NULL);
            assert_int_equal(v.error == 0, routine);
            assert_int_equal(v.rule, routine  ? POLICY_OPEN_ROUTINE
                                     : c == 0 ? POLICY_NOT_ROUTINE
                                              : POLICY_NO_TOKEN);
        }
        for (int scope = 0; scope < SCOPE_END; scope++) {
            if (scope == SCOPE_SIGN)
                continue;
            struct auth_verdict v = ask(&callers[c], (enum auth_scope)scope);
            bool open = scope == SCOPE_PUBLIC_KEYS;
            assert_verdict(v, open ? 0 : ERROR_UNAUTHENTICATED,
                           open ? POLICY_PUBLIC : POLICY_NO_TOKEN);
        }
    }
}

/* T31: what is in no routine class needs its name, or `all`, in a policy too. */
static void test_T31_a_policy_without_operations_is_routine(void **state)
{
    const struct caller b = with_token("b");
    struct token token = token_named("b", "beta");
    (void)state;
    put_policy("beta", "{\"effect\":\"allow\",\"scopes\":[\"sign\"]}");
    put_token(&token);
    begin(AUTH_ENFORCE);
    for (int kind = 0; kind < KIND_END; kind++) {
        bool routine = kind_info((enum eth_kind)kind)->class == KIND_CLASS_ROUTINE;
        assert_int_equal(ask_sign(&b, (enum eth_kind)kind, NULL).error == 0, routine);
    }
    put_policy("beta", "{\"effect\":\"allow\",\"scopes\":[\"sign\"],\"operations\":[\"all\"]}");
    take();
    for (int kind = 0; kind < KIND_END; kind++)
        assert_int_equal(ask_sign(&b, (enum eth_kind)kind, NULL).error, 0);
}

static uint64_t sum_of(enum metric metric)
{
    uint64_t sum = 0;
    for (uint32_t reason = 0; reason <= METRIC_REASON_WRONG_NETWORK; reason++)
        sum += metric_get(metric, reason, 0);
    return sum;
}

static uint32_t any(uint64_t *seed, uint32_t below)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33) % below;
}

struct tally {
    uint64_t passed;
    uint64_t refused;
    uint64_t would_deny;
};

/* The same questions in each mode. */
static struct tally play(enum auth_mode mode)
{
    static const char *const tokens[] = {"a", "b", "never-was", ""};
    struct tally tally = {0};
    uint64_t seed = 5;
    begin(mode);
    uint64_t denied_before = sum_of(METRIC_AUTH_WOULD_DENY);
    uint64_t rejected_before = sum_of(METRIC_AUTH_REJECTIONS);
    for (int i = 0; i < 4000; i++) {
        struct eth_pubkey key;
        memset(&key, (int)any(&seed, 3), sizeof key);
        const char *text = tokens[any(&seed, ARRAY_LEN(tokens))];
        const struct caller caller = text[0] ? with_token(text) : nobody();
        enum auth_scope scope = any(&seed, 2) ? SCOPE_SIGN : (enum auth_scope)any(&seed, SCOPE_END);
        const struct auth_question question = {.scope = scope,
                                               .kind = (enum eth_kind)any(&seed, KIND_END),
                                               .pubkey = any(&seed, 4) ? &key : NULL};
        struct auth_verdict v;
        authority_judge(authority, &caller, &question, &v);
        tally.passed += !v.error;
        tally.refused += v.error != 0;
    }
    tally.would_deny = sum_of(METRIC_AUTH_WOULD_DENY) - denied_before;
    assert_int_equal(sum_of(METRIC_AUTH_REJECTIONS) - rejected_before, tally.refused);
    return tally;
}

static void test_P27_report_counts_what_enforce_refuses(void **state)
{
    struct token token = token_named("b", "beta");
    char rules[512];
    (void)state;
    (void)snprintf(rules, sizeof rules,
                   "{\"effect\":\"allow\",\"scopes\":[\"sign\",\"public_keys\",\"reload\"]},"
                   "{\"effect\":\"deny\",\"scopes\":[\"sign\"],\"keys\":[\"%096d\"]}",
                   0);
    put_policy("beta", rules);
    put_token(&token);
    const struct tally open = play(AUTH_OPEN);
    const struct tally report = play(AUTH_REPORT);
    const struct tally enforce = play(AUTH_ENFORCE);
    assert_int_equal(open.passed, report.passed);
    assert_int_equal(open.refused, report.refused);
    assert_int_equal(open.would_deny, 0);
    assert_int_equal(enforce.would_deny, 0);
    assert_true(report.would_deny > 500);
    assert_int_equal(report.refused + report.would_deny, enforce.refused);
    assert_int_equal(report.passed - report.would_deny, enforce.passed);
}

static void test_T20_a_latch_closes_whatever_the_configuration_says(void **state)
{
    const struct caller caller = nobody();
    char path[128];
    bool held = false;
    (void)state;
    begin(AUTH_OPEN);
    assert_int_equal(ask_sign(&caller, KIND_ATTESTATION, NULL).error, 0);
    put("auth", "latch", "{\"enforced\":true}"); /* another replica has closed it */
    take();
    assert_int_equal(authority_mode(authority, &held), AUTH_ENFORCE);
    assert_true(held);
    assert_int_equal(ask_sign(&caller, KIND_ATTESTATION, NULL).error, ERROR_UNAUTHENTICATED);
    put("auth", "latch", "");
    take();
    assert_int_equal(authority_mode(authority, &held), AUTH_OPEN);
    assert_false(held);

    (void)snprintf(path, sizeof path, "%s/auth.enforced", data_dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    begin(AUTH_REPORT); /* the state store is another one, or was emptied */
    assert_int_equal(authority_mode(authority, &held), AUTH_ENFORCE);
    assert_true(held);
    assert_int_equal(ask_sign(&caller, KIND_ATTESTATION, NULL).error, ERROR_UNAUTHENTICATED);
    assert_int_equal(auth_latch_remove(data_dir).code, 0);
    take();
    assert_int_equal(authority_mode(authority, &held), AUTH_REPORT);
}

/* With nothing in the state store at all, enforce lets nobody in. */
static void test_T20_missing_data_means_closed(void **state)
{
    struct caller callers[] = {nobody(), with_token("a")};
    (void)state;
    put("policy", "alpha", "");
    put("token", "a", "");
    begin(AUTH_ENFORCE);
    for (size_t c = 0; c < ARRAY_LEN(callers); c++) {
        for (int scope = 0; scope < SCOPE_END; scope++)
            if (scope != SCOPE_SIGN)
                assert_int_equal(ask(&callers[c], (enum auth_scope)scope).error,
                                 ERROR_UNAUTHENTICATED);
        for (int kind = 0; kind < KIND_END; kind++)
            assert_int_equal(ask_sign(&callers[c], (enum eth_kind)kind, NULL).error,
                             ERROR_UNAUTHENTICATED);
    }
}

static void test_what_is_no_question_is_denied(void **state)
{
    struct auth_verdict v;
    const struct caller a = with_token("a");
    const struct auth_question questions[] = {
        {.scope = SCOPE_END, .kind = KIND_END},
        {.scope = SCOPE_SIGN, .kind = KIND_END},
        {.scope = (enum auth_scope)1000, .kind = KIND_ATTESTATION}};
    (void)state;
    begin(AUTH_OPEN);
    for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
        authority_judge(authority, &a, &questions[i], &v);
        assert_verdict(v, ERROR_DENIED, POLICY_DEFAULT);
    }
}

/* --- lists --------------------------------------------------------------------------------------------------------------- */

static void test_a_list_is_filtered_and_nothing_counted(void **state)
{
    struct eth_pubkey keys[5];
    char rules[512];
    struct token token = token_named("b", "beta");
    struct caller caller = with_token("b");
    (void)state;
    (void)snprintf(rules, sizeof rules,
                   "{\"effect\":\"allow\",\"scopes\":[\"public_keys\"]},"
                   "{\"effect\":\"deny\",\"scopes\":[\"public_keys\"],\"keys\":[\"%096d\"]}",
                   0);
    put_policy("beta", rules);
    put_token(&token);
    begin(AUTH_ENFORCE);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        memset(&keys[i], (int)i % 2, sizeof keys[i]);
    uint64_t before = sum_of(METRIC_AUTH_REJECTIONS);
    assert_int_equal(authority_filter(authority, &caller, SCOPE_PUBLIC_KEYS, keys, 5), 2);
    assert_int_equal(keys[0].bytes[0], 1);
    assert_int_equal(keys[1].bytes[0], 1);
    assert_int_equal(authority_filter(authority, &caller, SCOPE_DELETE_KEYS, keys, 2), 0);
    caller = nobody();
    assert_int_equal(authority_filter(authority, &caller, SCOPE_PUBLIC_KEYS, keys, 2), 0);
    assert_int_equal(sum_of(METRIC_AUTH_REJECTIONS), before);
    begin(AUTH_OPEN);
    assert_int_equal(authority_filter(authority, &caller, SCOPE_PUBLIC_KEYS, keys, 2), 2);
}

/* --- failures -------------------------------------------------------------------------------------------------------------- */

/* However many there are, and from however many sources, the valid token is judged as ever, and what is told is bounded. */
static void test_T29_T30_a_flood_of_bad_tokens_holds_nobody_up(void **state)
{
    struct auth_failure_row rows[AUTH_FAILURE_ROWS];
    struct caller bad = with_token("never-was");
    const struct caller a = with_token("a");
    uint64_t total = 0;
    uint64_t before = metric_get(METRIC_AUTH_FAILED_TOKENS, METRIC_REASON_UNKNOWN_TOKEN, 0);
    (void)state;
    begin(AUTH_ENFORCE);
    for (uint32_t i = 0; i < 10000; i++) {
        bad.address[14] = (uint8_t)(i >> 8);
        bad.address[15] = (uint8_t)i;
        assert_int_equal(ask_sign(&bad, KIND_ATTESTATION, NULL).error, ERROR_UNAUTHENTICATED);
        if (i % 10 == 0)
            assert_int_equal(ask_sign(&a, KIND_ATTESTATION, NULL).error, 0);
    }
    size_t count = authority_take_failures(authority, AUTH_FAILURES_FOR_AUDIT, rows);
    assert_int_equal(count, AUTH_FAILURE_ROWS);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(rows[i].others, i == count - 1);
        assert_int_equal(rows[i].total, rows[i].counts[AUTH_UNKNOWN_TOKEN]);
        total += rows[i].total;
    }
    assert_int_equal(total, 10000);
    assert_int_equal(metric_get(METRIC_AUTH_FAILED_TOKENS, METRIC_REASON_UNKNOWN_TOKEN, 0) - before,
                     10000);
    assert_int_equal(authority_take_failures(authority, AUTH_FAILURES_FOR_AUDIT, rows), 0);
    assert_int_equal(authority_take_failures(authority, AUTH_FAILURES_FOR_LOG, rows),
                     AUTH_FAILURE_ROWS);
}

static void test_T29_asking_without_a_token_is_no_failure(void **state)
{
    struct auth_failure_row rows[AUTH_FAILURE_ROWS];
    const struct caller caller = nobody();
    (void)state;
    begin(AUTH_ENFORCE);
    assert_int_equal(ask_sign(&caller, KIND_ATTESTATION, NULL).failure, AUTH_NO_TOKEN);
    assert_int_equal(authority_take_failures(authority, AUTH_FAILURES_FOR_AUDIT, rows), 0);
}

static void test_the_hosts_of_one_network_are_one_source(void **state)
{
    struct auth_failure_row rows[AUTH_FAILURE_ROWS];
    struct caller bad = with_token("never-was");
    (void)state;
    begin(AUTH_ENFORCE);
    memset(bad.address, 0x20, sizeof bad.address);
    for (int i = 0; i < 100; i++) {
        bad.address[15] = (uint8_t)i;
        (void)ask(&bad, SCOPE_RELOAD);
    }
    assert_int_equal(authority_take_failures(authority, AUTH_FAILURES_FOR_LOG, rows), 1);
    assert_int_equal(rows[0].total, 100);
    assert_int_equal(rows[0].address[7], 0x20);
    assert_int_equal(rows[0].address[8], 0);
}

/* --- threads ----------------------------------------------------------------------------------------------------------------- */

static atomic_bool stop_asking;

/* What never changes must never be answered otherwise, whatever is replaced meanwhile. */
static void *ask_on(void *argument)
{
    const struct caller a = with_token("a");
    const struct caller bad = with_token("never-was");
    uint64_t *asked = argument;
    while (!atomic_load(&stop_asking)) {
        struct eth_pubkey keys[2] = {{{1}}, {{2}}};
        if (ask_sign(&a, KIND_ATTESTATION, &keys[0]).error ||
            ask_sign(&bad, KIND_ATTESTATION, NULL).error != ERROR_UNAUTHENTICATED ||
            authority_filter(authority, &a, SCOPE_PUBLIC_KEYS, keys, 2) != 2)
            return NULL;
        (*asked)++;
    }
    return argument;
}

static void test_records_are_replaced_under_way(void **state)
{
    pthread_t threads[3];
    uint64_t asked[3] = {0};
    struct auth_failure_row rows[AUTH_FAILURE_ROWS];
    struct token_use uses[4];
    (void)state;
    add_text(&config.listeners, "unix=alpha");
    begin(AUTH_ENFORCE);
    atomic_store(&stop_asking, false);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_on, &asked[i]), 0);
    for (int i = 0; i < 300; i++) {
        put_policy("beta", i % 2 ? "{\"effect\":\"deny\"}"
                                 : "{\"effect\":\"allow\",\"scopes\":[\"sign\"]}");
        take();
        (void)authority_take_failures(authority, AUTH_FAILURES_FOR_AUDIT, rows);
        (void)authority_take_uses(authority, uses, 4);
    }
    atomic_store(&stop_asking, true);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_non_null(result);
    }
}

/* --- memory ------------------------------------------------------------------------------------------------------------------ */

static void test_without_memory_what_was_known_stays(void **state)
{
    const struct caller a = with_token("a");
    struct token token = token_named("b", "alpha");
    uint64_t failed = 0;
    (void)state;
    begin(AUTH_ENFORCE);
    put_token(&token);
    for (uint64_t nth = 1; nth < 1000; nth++) {
        (void)alloc_fail_nth(nth);
        cc_err err = authority_take_records(authority, &store);
        (void)alloc_fail_nth(0);
        assert_int_equal(ask_sign(&a, KIND_ATTESTATION, NULL).error, 0);
        if (!err.code)
            break;
        failed++;
    }
    assert_true(failed > 3);
    const struct caller b = with_token("b");
    assert_int_equal(ask_sign(&b, KIND_ATTESTATION, NULL).error, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_token_has_its_policies),
        TEST(test_P27_a_denied_exit_names_its_rule),
        TEST(test_T29_a_bad_token_is_one_401),
        TEST(test_a_revoked_token_is_gone_with_its_record),
        TEST(test_T03_sealed_no_token_is_good),
        TEST(test_uses_of_tokens_are_noted_once),
        TEST(test_the_first_principal_that_applies),
        TEST(test_the_owner_may_do_all_but_sign),
        TEST(test_a_missing_policy_closes_its_principal),
        TEST(test_P27_the_older_form_is_mapped),
        TEST(test_T20_open_covers_routine_signing_and_public_keys),
        TEST(test_T31_a_policy_without_operations_is_routine),
        TEST(test_P27_report_counts_what_enforce_refuses),
        TEST(test_T20_a_latch_closes_whatever_the_configuration_says),
        TEST(test_T20_missing_data_means_closed),
        TEST(test_what_is_no_question_is_denied),
        TEST(test_a_list_is_filtered_and_nothing_counted),
        TEST(test_T29_T30_a_flood_of_bad_tokens_holds_nobody_up),
        TEST(test_T29_asking_without_a_token_is_no_failure),
        TEST(test_the_hosts_of_one_network_are_one_source),
        TEST(test_records_are_replaced_under_way),
        TEST(test_without_memory_what_was_known_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
