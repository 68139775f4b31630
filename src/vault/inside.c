#include "vault/inside.h"

#include <string.h>

#include "base/num.h"

CC_ERR vault_open(uint64_t expected_keys,
                  size_t keystore_memory,
                  struct engine *engine,
                  struct vault *ret_vault)
{
    *ret_vault = (struct vault){.engine = engine};
    if (expected_keys > VAULT_KEYS_MAX)
        return CC_FAIL(LIMIT, "more keys are expected than one vault holds");
    keystore_gate_init(&ret_vault->gate, keystore_memory);
    size_t least = (size_t)u64_max(expected_keys, VAULT_KEYS_MIN) + VAULT_OTHER_SECRETS;
    cc_err err = arena_new(least, VAULT_KEYS_MAX + VAULT_OTHER_SECRETS, &ret_vault->arena);
    if (!err.code)
        err = key_table_new(ret_vault->arena, VAULT_KEYS_MAX, &ret_vault->keys);
    if (!err.code)
        err = chamber_new(ret_vault->arena, &ret_vault->chamber);
    if (!err.code)
        err = master_new(ret_vault->arena, &ret_vault->master);
    if (!err.code)
        err = sets_new(ret_vault->chamber, ret_vault->master, &ret_vault->sets);
    if (!err.code)
        err = root_new(ret_vault->arena, ret_vault->chamber, &ret_vault->root);
    if (!err.code)
        err = generator_new(ret_vault->arena, &ret_vault->generator);
    if (err.code)
        vault_close(ret_vault);
    return err;
}

void vault_close(struct vault *vault)
{
    key_table_free(vault->keys);
    sets_free(vault->sets);
    master_free(vault->master);
    root_free(vault->root);
    chamber_free(vault->chamber);
    generator_free(vault->generator);
    recipient_free(vault->recipient);
    nsm_close(vault->nsm);
    arena_free(vault->arena);
    keystore_gate_destroy(&vault->gate);
    vault->keys = NULL;
    vault->chamber = NULL;
    vault->master = NULL;
    vault->sets = NULL;
    vault->root = NULL;
    vault->generator = NULL;
    vault->recipient = NULL;
    vault->nsm = NULL;
    vault->arena = NULL;
}

void vault_seal(struct vault *vault)
{
    atomic_store(&vault->sealed, true);
    key_table_seal(vault->keys);
    sets_seal(vault->sets);
    root_seal(vault->root);
    chamber_seal(vault->chamber);
    generator_seal(vault->generator);
    if (vault->recipient)
        recipient_seal(vault->recipient);
}

void *door_answer_init(struct door_message *answer, uint16_t type, size_t item_size, uint32_t count)
{
    memset(answer->items, 0, item_size * count);
    answer->head =
        (struct door_head){.type = type, .count = count, .item_size = (uint32_t)item_size};
    return answer->items;
}
