/* A packet of door A as a captured front may send it: refused whole, or every item judged with nothing in the outcome
 * that was not allowed. The registry's answer is made from the input too.
 */
#include <string.h>

#include "core/sign_path.h"
#include "wire/door_a.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    LIFE = 1
};

static struct eth_network network;
static struct policy policy;

static void set_up(void)
{
    static const struct auth_config auth = {.mode = AUTH_OPEN,
                                            .open_operations = {.count = 1, .items = {"*"}}};
    const char *unknown = NULL;
    if (network.seconds_per_slot)
        return;
    cc_assert(!network_load("sepolia", &network).code);
    cc_assert(!policy_compile(&auth, &policy, &unknown).code);
}

static void judge(const struct a_sign *item)
{
    const struct sign_rules rules = {.policy = &policy,
                                     .network = &network,
                                     .has_genesis_validators_root = true,
                                     .genesis_validators_root = network.genesis_validators_root,
                                     .max_future_epochs = 2};
    const struct key_lookup key = {(enum key_state)(item->request.pubkey.bytes[0] % 4),
                                   item->request.pubkey.bytes[1] & 1,
                                   {1, 1}};
    const uint64_t wall_ms = 1750000000000;
    struct sign_outcome outcome;
    sign_path_judge(&rules, &item->request, &key, wall_ms, &outcome);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct door_message message;
    struct a_sign item;
    set_up();
    if (size > DOOR_PACKET_MAX)
        return 0;
    memcpy(&message, data, size);
    if (door_check(&message, size, LIFE, door_a_to_core).code || message.head.type != A_SIGN)
        return 0;
    for (size_t i = 0; i < message.head.count; i++) {
        memcpy(&item, &message.items[i * sizeof item], sizeof item);
        judge(&item);
    }
    return 0;
}
