/* What it costs to judge a request: processor time of core/authority.h, in nanoseconds, the median of nine runs.
 *
 * usage: bench_authority
 *
 * Prints JSON: {"name": nanoseconds, ...}
 *   open        nobody in particular, mode open
 *   token       a token with one policy of two rules, mode enforce
 *   keys        the same with 480 keys in its policy, a new one each time
 *   rules       a token with 16 policies of 64 rules, 1,024 in all, 7,680 keys named, a new key each time
 *   conditions  the same rules, none about keys, each with a range of addresses that does not fit: all are looked at
 *   unknown     a token that is not known: the HMAC is in it
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/authority.h"
#include "crypto/sha256.h"

enum {
    ROUNDS = 20000,
    RUNS = 9,
    KEYS = 480,
    POLICIES = 16
};

static struct state_record records[64];
static struct state_store store = {.opened = true, .image = {.records = records}};
static const uint8_t token_key[MAC_SIZE] = {1};

static void must(cc_err err)
{
    if (!err.code)
        return;
    (void)fprintf(stderr, "%s: %s\n", error_name(err), error_detail());
    exit(1);
}

static struct eth_pubkey key_of(unsigned n)
{
    struct eth_pubkey key;
    sha256(span_of(&n, sizeof n), key.bytes);
    memcpy(key.bytes + 32, key.bytes, 16);
    return key;
}

static void put(const char *kind, const char *name, struct buf *text)
{
    struct state_record *record = &records[store.image.count++];
    (void)snprintf(record->kind, sizeof record->kind, "%s", kind);
    (void)snprintf(record->name, sizeof record->name, "%s", name);
    record->version = 1;
    record->bytes = text->data;
    record->len = text->len;
}

static void put_keys(struct buf *text, unsigned first, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct eth_pubkey key = key_of(first + i);
        must(buf_append_str(text, i ? ",\"" : "\""));
        for (size_t b = 0; b < sizeof key; b++)
            must(buf_printf(text, "%02x", (unsigned)key.bytes[b]));
        must(buf_append_str(text, "\""));
    }
}

static void put_small(const char *name, bool keyed)
{
    struct buf text = buf_init(POLICY_STORED_MAX);
    must(buf_append_str(&text, "{\"rules\":[{\"effect\":\"allow\",\"scopes\":[\"sign\"]"));
    if (keyed) {
        must(buf_append_str(&text, ",\"keys\":["));
        put_keys(&text, 0, KEYS);
        must(buf_append_str(&text, "]"));
    }
    must(buf_append_str(&text, "},{\"effect\":\"deny\",\"operations\":[\"VOLUNTARY_EXIT\"]}]}"));
    put("policy", name, &text);
}

/* The last rule of the last policy allows; the others speak of other keys, or of another network. */
static void put_large(const char *prefix, unsigned p, bool keyed)
{
    char name[16];
    struct buf text = buf_init(POLICY_STORED_MAX);
    must(buf_append_str(&text, "{\"rules\":["));
    for (unsigned r = 0; r < POLICY_RULES_MAX; r++) {
        bool last = p == POLICIES - 1 && r == POLICY_RULES_MAX - 1;
        must(buf_printf(&text, "%s{\"effect\":\"%s\",\"scopes\":[\"sign\"]", r ? "," : "",
                        r % 2 && !last ? "deny" : "allow"));
        if (!last && keyed) {
            must(buf_append_str(&text, ",\"keys\":["));
            put_keys(&text, 100000 + p * KEYS + r * 7, 7);
            must(buf_append_str(&text, "]"));
        } else if (!last) {
            must(buf_append_str(&text, ",\"cidrs\":[\"192.0.2.0/24\"]"));
        }
        must(buf_append_str(&text, "}"));
    }
    must(buf_append_str(&text, "]}"));
    (void)snprintf(name, sizeof name, "%s-%02u", prefix, p);
    put("policy", name, &text);
}

static void put_token(const char *name, const char *policy, unsigned count)
{
    struct token token = {.policy_count = count};
    uint8_t digest[SHA256_SIZE];
    struct buf text = buf_init(TOKEN_STORED_MAX);
    (void)snprintf(token.name, sizeof token.name, "%s", name);
    for (unsigned i = 0; i < count; i++)
        (void)snprintf(token.policies[i], POLICY_NAME_SIZE, count > 1 ? "%s-%02u" : "%s", policy,
                       i);
    token_digest(span_str(name), digest);
    token_mac(token_key, digest, token.mac);
    must(token_write(&token, &text));
    put("token", name, &text);
}

static double run_once(struct authority *authority, const char *token, unsigned first_key)
{
    struct caller caller = {.address = {[10] = 0xff, [11] = 0xff, [12] = 10}};
    struct auth_verdict verdict;
    struct timespec from;
    struct timespec to;
    struct eth_pubkey keys[256];
    for (unsigned i = 0; i < ARRAY_LEN(keys); i++)
        keys[i] = key_of(first_key + i % KEYS);
    caller.token_kind = token[0] ? CALLER_BEARER : CALLER_NO_TOKEN;
    token_digest(span_str(token), caller.token);
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    for (unsigned i = 0; i < ROUNDS; i++) {
        const struct auth_question question = {
            .scope = SCOPE_SIGN, .kind = KIND_ATTESTATION, .pubkey = &keys[i % ARRAY_LEN(keys)]};
        authority_judge(authority, &caller, &question, &verdict);
    }
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    return ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / ROUNDS;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const char *name, enum auth_mode mode, const char *token, unsigned first_key)
{
    static struct auth_config config = {.open_operations = {.count = 1, .items = {"*"}}};
    struct authority *authority = NULL;
    double runs[RUNS];
    config.mode = mode;
    const struct authority_settings settings = {
        .auth = &config, .data_dir = "/nonexistent", .token_key = token_key};
    must(authority_new(&settings, &authority));
    must(authority_take_records(authority, &store));
    for (size_t i = 0; i < RUNS; i++)
        runs[i] = run_once(authority, token, first_key);
    qsort(runs, RUNS, sizeof *runs, by_value);
    (void)printf("\"%s\": %.0f", name, runs[RUNS / 2]);
    authority_free(authority);
}

int main(void)
{
    put_small("keys", true);
    put_small("one", false);
    for (unsigned p = 0; p < POLICIES; p++)
        put_large("cond", p, false);
    for (unsigned p = 0; p < POLICIES; p++)
        put_large("many", p, true);
    put_token("conditions", "cond", POLICIES);
    put_token("keys", "keys", 1);
    put_token("rules", "many", POLICIES);
    put_token("token", "one", 1);
    (void)printf("{");
    measure("open", AUTH_OPEN, "", 0);
    (void)printf(", ");
    measure("token", AUTH_ENFORCE, "token", 0);
    (void)printf(", ");
    measure("keys", AUTH_ENFORCE, "keys", 0);
    (void)printf(", ");
    measure("rules", AUTH_ENFORCE, "rules", 200000);
    (void)printf(", ");
    measure("conditions", AUTH_ENFORCE, "conditions", 0);
    (void)printf(", ");
    measure("unknown", AUTH_ENFORCE, "never-was", 0);
    (void)printf("}\n");
    return 0;
}
