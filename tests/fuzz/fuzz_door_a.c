/* A packet of door A as a captured front may send it: refused whole, or every item judged with nothing in the outcome
 * that was not allowed. The registry's answer is made from the input too.
 */
#include <string.h>

#include "auth/manager.h"
#include "core/key_jobs.h"
#include "core/manage.h"
#include "core/sign_path.h"
#include "core/slashing_step.h"
#include "slash/records.h"
#include "wire/door_a.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    LIFE = 1
};

static struct eth_network network;
static struct authority *authority;

static void set_up(void)
{
    static const struct auth_config auth = {.mode = AUTH_OPEN,
                                            .open_operations = {.count = 1, .items = {"*"}}};
    static const struct authority_settings settings = {.auth = &auth, .data_dir = "/nonexistent"};
    if (network.seconds_per_slot)
        return;
    cc_assert(!network_load("sepolia", &network).code);
    cc_assert(!authority_new(&settings, &authority).code);
}

static void judge(const struct a_sign *item)
{
    const struct sign_rules rules = {.network = &network,
                                     .has_genesis_validators_root = true,
                                     .genesis_validators_root = network.genesis_validators_root,
                                     .max_future_epochs = 2};
    const struct key_lookup key = {(enum key_state)(item->request.pubkey.bytes[0] % 4),
                                   item->request.pubkey.bytes[1] & 1,
                                   {1, 1}};
    const uint64_t wall_ms = 1750000000000;
    struct auth_verdict verdict = {0};
    struct sign_outcome outcome;
    if (sign_path_is_whole(&rules, &item->request)) {
        const struct auth_question question = sign_path_question(&item->request);
        authority_judge(authority, &item->caller, &question, &verdict);
    }
    sign_path_judge(&rules, &item->request, &verdict, &key, wall_ms, &outcome);
    if (outcome.error) {
        cc_assert(outcome.error < ERROR_CODE_END);
        return;
    }
    const struct kind_info *info = kind_info(outcome.kind);
    cc_assert(info->class == KIND_CLASS_ROUTINE && key.state == KEY_STATE_ACTIVE);
    cc_assert(outcome.slashable == info->slashable && item->request.flags <= 3);
    if (outcome.slashable == SLASHABLE_NOTHING) {
        cc_assert(outcome.message.claim == B_CLAIM_OBJECT);
        return;
    }
    cc_assert(item->request.epoch <= sign_path_last_epoch(&rules, wall_ms));
    cc_assert(span_equal(span_of(&outcome.claim.root, 32), span_of(&outcome.root, 32)));
    cc_assert(span_equal(span_of(&item->request.fork_info.genesis_validators_root, 32),
                         span_of(&network.genesis_validators_root, 32)));
}

/* Work on the history: refused, or records that make validators. */
static void look_at(const struct a_slashing *ask)
{
    struct slash_record_list list = {0};
    size_t records = 0;
    if (slashing_step_check(ask).code)
        return;
    cc_assert(ask->head.count <= A_RECORDS_MAX);
    if (slash_records_read(ask->records, ask->head.count, &list).code)
        return;
    cc_assert(list.count <= SLASH_MERGE_MAX);
    for (size_t i = 0; i < list.count; i++)
        records += 1 + list.validators[i].block_count + list.validators[i].attestation_count;
    cc_assert(records == ask->head.count);
    slash_record_list_release(&list);
}

/* Management: refused, or all of it lies where it says. */
static void look_at_management(const struct a_manage *ask)
{
    struct manager_signature signature;
    if (!manage_is_well_formed(ask))
        return;
    const struct manage_verb *verb = manage_verb_find(ask->verb);
    const struct manager_headers headers = {span_of(ask->input, ask->input_len),
                                            span_of(ask->signature, ask->signature_len),
                                            span_of(ask->digest, ask->digest_len)};
    cc_assert(verb && verb->named == (ask->name[0] != 0));
    cc_assert(!verb->named || policy_is_name(span_str(ask->name)));
    (void)manager_signature_parse(&headers, &signature).code;
}

/* A step about keys: refused, or one whose items are within their array and their message. */
static void look_at_keys(const struct a_keys *ask)
{
    const struct a_keys_head *head = &ask->head;
    if (key_jobs_check(ask).code)
        return;
    cc_assert(head->verb >= KEYS_LIST && head->verb < KEYS_VERB_END && head->scope < SCOPE_END);
    cc_assert(head->count <= (head->verb == KEYS_IMPORT ? A_KEYS_IMPORTS_MAX : A_KEYS_MAX));
    for (uint32_t i = 0; head->verb == KEYS_IMPORT && i < head->count; i++)
        cc_assert(ask->is.imports[i].keystore.salt_len <= K_SALT_MAX &&
                  ask->is.imports[i].keystore.password_len <= K_PASSWORD_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct a_manage management;
    static struct a_keys keys;
    static struct a_slashing ask;
    static struct door_message message;
    struct a_sign item;
    set_up();
    if (size > DOOR_PACKET_MAX)
        return 0;
    memcpy(&message, data, size);
    if (door_check(&message, size, LIFE, door_a_to_core).code)
        return 0;
    if (message.head.type == A_SLASHING) {
        memcpy(&ask, message.items, sizeof ask);
        look_at(&ask);
    }
    if (message.head.type == A_MANAGE) {
        memcpy(&management, message.items, sizeof management);
        look_at_management(&management);
    }
    if (message.head.type == A_KEYS) {
        memcpy(&keys, message.items, sizeof keys);
        look_at_keys(&keys);
    }
    if (message.head.type != A_SIGN)
        return 0;
    for (size_t i = 0; i < message.head.count; i++) {
        memcpy(&item, &message.items[i * sizeof item], sizeof item);
        judge(&item);
    }
    return 0;
}
