#include "support/policy_model.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What `*` is: the class ROUTINE of the table, as names. */
static const struct {
    const char *name;
    const char *operation;
    bool routine;
} kinds[] = {
    {"ATTESTATION", "ATTESTATION", true},
    {"BLOCK", "BLOCK", true},
    {"BLOCK_V2", "BLOCK", true},
    {"RANDAO_REVEAL", "RANDAO_REVEAL", true},
    {"AGGREGATION_SLOT", "AGGREGATION_SLOT", true},
    {"AGGREGATE_AND_PROOF", "AGGREGATE_AND_PROOF", true},
    {"AGGREGATE_AND_PROOF_V2", "AGGREGATE_AND_PROOF", true},
    {"SYNC_COMMITTEE_MESSAGE", "SYNC_COMMITTEE_MESSAGE", true},
    {"SYNC_COMMITTEE_SELECTION_PROOF", "SYNC_COMMITTEE_SELECTION_PROOF", true},
    {"SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF", "SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF", true},
    {"VALIDATOR_REGISTRATION", "VALIDATOR_REGISTRATION", true},
    {"DEPOSIT", "DEPOSIT", false},
    {"VOLUNTARY_EXIT", "VOLUNTARY_EXIT", false},
    {"EXECUTION_PAYLOAD_BID", "EXECUTION_PAYLOAD_BID", false},
    {"EXECUTION_PAYLOAD_ENVELOPE", "EXECUTION_PAYLOAD_ENVELOPE", true},
    {"PAYLOAD_ATTESTATION_MESSAGE", "PAYLOAD_ATTESTATION_MESSAGE", true},
    {"PAYLOAD_ATTESTATION", "PAYLOAD_ATTESTATION_MESSAGE", true},
    {"PROPOSER_PREFERENCES", "PROPOSER_PREFERENCES", true},
    {"BUILDER_REQUEST_AUTH", "BUILDER_REQUEST_AUTH", true},
    {"REQUEST_AUTH", "BUILDER_REQUEST_AUTH", true},
};

static const char *const about_keys[] = {
    "sign",
    "public_keys",
    "list_keys",
    "import_keystores",
    "delete_keys",
    "chamber_keys_list",
    "chamber_keys_import",
    "chamber_keys_patch",
    "chamber_keys_delete",
    "keys_pause",
};

static int find_kind(const char *name)
{
    for (int i = 0; i < (int)(sizeof kinds / sizeof kinds[0]); i++)
        if (strcasecmp(kinds[i].name, name) == 0)
            return i;
    abort();
}

static bool has_text(const cJSON *list, const char *text)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list) if (strcmp(item->valuestring, text) == 0) return true;
    return false;
}

static bool is_about_keys(const char *scope)
{
    for (size_t i = 0; i < sizeof about_keys / sizeof about_keys[0]; i++)
        if (strcmp(about_keys[i], scope) == 0)
            return true;
    return false;
}

static const char *plain_hex(const char *text)
{
    return text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? text + 2 : text;
}

static bool has_hex(const cJSON *list, const char *hex)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list) if (strcasecmp(plain_hex(item->valuestring), plain_hex(hex)) ==
                                       0) return true;
    return false;
}

static bool has_operation(const cJSON *list, const char *kind)
{
    const cJSON *item;
    int asked = find_kind(kind);
    cJSON_ArrayForEach(item, list)
    {
        if (strcmp(item->valuestring, "all") == 0)
            return true;
        if (strcmp(item->valuestring, "*") == 0) {
            if (kinds[asked].routine)
                return true;
        } else if (strcmp(kinds[find_kind(item->valuestring)].operation, kinds[asked].operation) ==
                   0) {
            return true;
        }
    }
    return false;
}

/* Bit by bit, over the two families apart. */
static bool in_range(const char *address, const char *range)
{
    uint8_t a[16];
    uint8_t b[16];
    char network[64];
    int family = strchr(range, ':') ? AF_INET6 : AF_INET;
    int bits = family == AF_INET6 ? 128 : 32;
    const char *slash = strchr(range, '/');
    (void)snprintf(network, sizeof network, "%.*s",
                   slash ? (int)(slash - range) : (int)strlen(range), range);
    if (slash)
        bits = atoi(slash + 1);
    if ((strchr(address, ':') ? AF_INET6 : AF_INET) != family)
        return false;
    if (inet_pton(family, address, a) != 1 || inet_pton(family, network, b) != 1)
        abort();
    for (int i = 0; i < bits; i++)
        if ((a[i / 8] >> (7 - i % 8) & 1) != (b[i / 8] >> (7 - i % 8) & 1))
            return false;
    return true;
}

static bool in_ranges(const cJSON *list, const char *address)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list) if (in_range(address, item->valuestring)) return true;
    return false;
}

/* By text, so that no digit of a uint64 is lost. */
static int compare(const char *a, const char *b)
{
    size_t n = strlen(a);
    size_t m = strlen(b);
    return n != m ? (n < m ? -1 : 1) : strcmp(a, b);
}

static const char *bound(const cJSON *limits, const char *name)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(limits, name);
    return value ? value->valuestring : NULL;
}

static bool in_limits(const cJSON *limits, const char *gas_limit)
{
    const char *min = bound(limits, "min");
    const char *max = bound(limits, "max");
    return (!min || compare(gas_limit, min) >= 0) && (!max || compare(gas_limit, max) <= 0);
}

static const cJSON *member(const cJSON *rule, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(rule, name);
}

static bool matches(const cJSON *rule, const struct model_question *q)
{
    bool denies = strcmp(member(rule, "effect")->valuestring, "deny") == 0;
    bool signs = strcmp(q->scope, "sign") == 0;
    const cJSON *list;
    if ((list = member(rule, "scopes")) && !has_text(list, q->scope))
        return false;
    if ((list = member(rule, "operations"))) {
        if (signs ? !has_operation(list, q->kind) : denies)
            return false;
    } else if (signs && !denies && !kinds[find_kind(q->kind)].routine) {
        return false;
    }
    if ((list = member(rule, "keys"))) {
        bool asks = q->key && is_about_keys(q->scope);
        if (asks ? !has_hex(list, q->key) : denies)
            return false;
    }
    if ((list = member(rule, "cidrs")) && (!q->address || !in_ranges(list, q->address)))
        return false;
    if ((list = member(rule, "fee_recipients")) &&
        (q->recipient ? !has_hex(list, q->recipient) : denies))
        return false;
    if ((list = member(rule, "gas_limit")) &&
        (q->gas_limit ? !in_limits(list, q->gas_limit) : denies))
        return false;
    return true;
}

static bool
find(cJSON *const *policies, int count, bool denies, const struct model_question *q, int *at)
{
    for (at[0] = 0; at[0] < count; at[0]++) {
        const cJSON *rule;
        at[1] = 0;
        cJSON_ArrayForEach(rule, member(policies[at[0]], "rules"))
        {
            at[1]++;
            if ((strcmp(member(rule, "effect")->valuestring, "deny") == 0) == denies &&
                matches(rule, q))
                return true;
        }
    }
    return false;
}

struct model_answer
model_judge(cJSON *const *policies, int count, const struct model_question *question)
{
    int at[2];
    if (find(policies, count, true, question, at))
        return (struct model_answer){-1, at[0], at[1]};
    if (find(policies, count, false, question, at))
        return (struct model_answer){1, at[0], at[1]};
    return (struct model_answer){0};
}
