#include "vault/inside.h"

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
    if (err.code)
        vault_close(ret_vault);
    return err;
}

void vault_close(struct vault *vault)
{
    key_table_free(vault->keys);
    chamber_free(vault->chamber);
    arena_free(vault->arena);
    keystore_gate_destroy(&vault->gate);
    vault->keys = NULL;
    vault->chamber = NULL;
    vault->arena = NULL;
}

void vault_seal(struct vault *vault)
{
    atomic_store(&vault->sealed, true);
    key_table_seal(vault->keys);
    chamber_seal(vault->chamber);
}
