/* The receivers' tables: what each side of each door accepts. */
#include "wire/door_a.h"
#include "wire/door_b.h"
#include "wire/door_key.h"

#define ROW(type, item)                                                                            \
    {                                                                                              \
        type, sizeof(struct item), DOOR_FIT(sizeof(struct item))                                   \
    }
#define ONE(type, item)                                                                            \
    {                                                                                              \
        type, sizeof(struct item), 1                                                               \
    }
#define END                                                                                        \
    {                                                                                              \
        0, 0, 0                                                                                    \
    }

const struct door_type door_a_to_core[] = {ROW(A_SIGN, a_sign), ROW(A_QUERY, a_query), END};
const struct door_type door_a_to_front[] = {
    ROW(A_SIGNED, a_signed), ONE(A_PUBLIC_KEYS, a_public_keys),       ONE(A_HEALTH, a_health),
    ONE(A_RELOAD, a_reload), ONE(A_HIGH_WATERMARK, a_high_watermark), END,
};
const struct door_type door_b_to_vault[] = {
    ONE(B_CREATE, b_create),
    ONE(B_OPEN, b_chamber),
    ONE(B_HELLO, b_hello),
    ONE(B_DIGEST, b_digest),
    {B_SIGN, sizeof(struct b_sign), B_SIGN_MAX},
    ONE(B_KEYS, b_keys),
    ROW(B_REMOVE, b_key),
    ONE(B_SEAL, b_seal),
    ONE(B_COUNT, b_count),
    END,
};
const struct door_type door_b_to_core[] = {
    ROW(B_ANSWER, b_answer),
    ONE(B_CHAMBER, b_chamber),
    ONE(B_PROOF, b_proof),
    {B_SIGNED, sizeof(struct b_signed), B_SIGN_MAX},
    ONE(B_KEY_LIST, b_key_list),
    ONE(B_COUNTS, b_counts),
    END,
};
const struct door_type door_key_to_vault[] = {
    /* One message of results answers it: no more items than results fit. */
    {K_HAVE, sizeof(struct k_have), DOOR_FIT(sizeof(struct k_result))},
    ROW(K_RAW, k_raw),
    ONE(K_KEYSTORE, k_keystore),
    END,
};
const struct door_type door_key_to_loader[] = {ROW(K_RESULT, k_result), END};
const struct door_type door_load_to_core[] = {ROW(L_KEYS, l_key), ONE(L_DONE, l_done), END};
