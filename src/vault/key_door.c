#include "vault/key_door.h"

#include <string.h>

#include "secret/wipe.h"

_Static_assert(DOOR_FIT(sizeof(struct k_raw)) <= DOOR_FIT(sizeof(struct k_result)), "results fit");

static bool same_key(const struct eth_pubkey *a, const struct eth_pubkey *b)
{
    return span_equal(span_of(a, sizeof *a), span_of(b, sizeof *b));
}

/* The result names the derived key also where the expected one differs, so that the loader can say which it is. */
static cc_err add(struct vault *v,
                  const struct bls_secret *secret,
                  const struct eth_pubkey *expected,
                  struct k_result *r)
{
    bool existed = false;
    bls_secret_public(secret, r->pubkey.bytes);
    if (expected && !same_key(expected, &r->pubkey))
        return CC_FAIL(KEYSTORE_PUBKEY, "the public key is another one");
    CC_TRY(key_table_add(v->keys, secret, &r->pubkey, &r->key, &existed));
    r->existed = existed;
    return CC_OK;
}

static cc_err do_have(struct vault *v, const struct k_have *have, struct k_result *r)
{
    r->pubkey = have->pubkey;
    CC_TRY(key_table_find(v->keys, &have->pubkey, &r->key));
    r->existed = 1;
    return CC_OK;
}

static cc_err do_raw(struct vault *v, const struct k_raw *raw, struct k_result *r)
{
    CC_CLEANUP(bls_secret_wipep) struct bls_secret secret;
    CC_TRY(bls_secret_parse(raw->secret, &secret));
    return add(v, &secret, raw->has_pubkey ? &raw->pubkey : NULL, r);
}

static cc_err do_keystore(struct vault *v, const struct k_keystore *keystore, struct k_result *r)
{
    CC_CLEANUP(bls_secret_wipep) struct bls_secret secret;
    CC_TRY(keystore_decrypt(&v->gate, keystore, &secret));
    return add(v, &secret, keystore->has_pubkey ? &keystore->pubkey : NULL, r);
}

void key_door_answer(struct vault *vault,
                     const struct door_message *message,
                     struct door_message *ret_answer)
{
    const struct k_have *have = (const void *)message->items;
    const struct k_raw *raw = (const void *)message->items;
    const struct k_keystore *keystore = (const void *)message->items;
    struct k_result *results = (void *)ret_answer->items;
    const uint32_t count = message->head.count;
    memset(results, 0, count * sizeof *results);
    for (uint32_t i = 0; i < count; i++) {
        cc_err err;
        if (message->head.type == K_HAVE) {
            results[i].id = have[i].id;
            err = do_have(vault, &have[i], &results[i]);
        } else if (message->head.type == K_RAW) {
            results[i].id = raw[i].id;
            err = do_raw(vault, &raw[i], &results[i]);
        } else {
            results[i].id = keystore[i].id;
            err = atomic_load(&vault->sealed) ? CC_FAIL(SEALED, "sealed in this life")
                                              : do_keystore(vault, &keystore[i], &results[i]);
        }
        results[i].error = (uint32_t)err.code;
    }
    wipe_stack();
    ret_answer->head =
        (struct door_head){.type = K_RESULT, .count = count, .item_size = sizeof *results};
}
