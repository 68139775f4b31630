/* The receivers' tables: what each side of each door accepts. */
#include "wire/door_a.h"
#include "wire/door_b.h"
#include "wire/door_documents.h"
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

const struct door_type door_a_to_core[] = {
    ROW(A_SIGN, a_sign),
    ROW(A_QUERY, a_query),
    ONE(A_SLASHING, a_slashing),
    ONE(A_MANAGE, a_manage),
    ONE(A_KEYS, a_keys),
    ONE(A_ATTEST, a_attest),
    END,
};
const struct door_type door_a_to_front[] = {
    ROW(A_SIGNED, a_signed),
    ONE(A_PUBLIC_KEYS, a_public_keys),
    ONE(A_HEALTH, a_health),
    ONE(A_RELOAD, a_reload),
    ONE(A_HIGH_WATERMARK, a_high_watermark),
    ONE(A_SLASHED, a_slashing),
    ROW(A_DENIED, a_denied),
    ONE(A_MANAGED, a_managed),
    ONE(A_KEYS_DONE, a_keys_done),
    ONE(A_ATTESTED, a_attested),
    END,
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
    ONE(B_SUBKEY, b_subkey),
    ONE(B_IMPORT, b_import),
    ROW(B_OPEN_ROW, b_open_row),
    ROW(B_SEAL_ROW, b_seal_row),
    ONE(B_SET_OPEN, b_set),
    ONE(B_SET_MAKE, b_set_make),
    ONE(B_SET_SHARE, b_set_part),
    ONE(B_SET_TEXT, b_set_part),
    ONE(B_SET_UNWRAP, b_share),
    ONE(B_SET_UNWRAP_SEALED, b_sealed_share),
    ONE(B_ROOT_MAKE, b_root_make),
    ONE(B_ROOT_OPEN, b_root_open),
    ONE(B_ROOT_SHARE, b_root_share),
    ONE(B_AUTO_MAKE, b_auto_make),
    ONE(B_AUTO_OPEN, b_auto),
    ONE(B_SET_DROP, b_set_drop),
    ONE(B_CHALLENGE, b_challenge),
    ONE(B_ENVELOPE, b_envelope),
    ONE(B_GENERATE, b_generate),
    ONE(B_DERIVE, b_derive),
    END,
};
const struct door_type door_b_to_core[] = {
    ROW(B_ANSWER, b_answer),
    ONE(B_CHAMBER, b_chamber),
    ONE(B_PROOF, b_proof),
    {B_SIGNED, sizeof(struct b_signed), B_SIGN_MAX},
    ONE(B_KEY_LIST, b_key_list),
    ONE(B_COUNTS, b_counts),
    ONE(B_SUBKEY_IS, b_subkey_is),
    ROW(B_ROW, b_row),
    ROW(B_OPENED, b_opened),
    ONE(B_SET, b_set),
    ONE(B_SHARE, b_share),
    ONE(B_TEXT, b_text),
    ONE(B_CHALLENGED, b_challenged),
    ONE(B_ENVELOPED, b_enveloped),
    ONE(B_GENERATED, b_generated),
    ONE(B_DERIVED, b_derived),
    ONE(B_SEAL_STATE, b_seal_state),
    ONE(B_ROOT_MADE, b_root_made),
    ONE(B_ROOT_STATE, b_root_state),
    ONE(B_AUTO, b_auto),
    END,
};
const struct door_type door_documents_to_vault[] = {
    ONE(D_ASK, d_ask),
    ONE(D_VOUCH, d_vouch),
    ONE(D_OPEN, d_open),
    END,
};
const struct door_type door_documents_to_core[] = {
    ONE(D_DOCUMENT, d_document),
    ONE(D_TEXT, d_text),
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
const struct door_type door_load_to_loader[] = {ONE(L_BEGIN, l_begin), END};
const struct door_type door_load_to_core[] = {ROW(L_KEYS, l_key), ONE(L_DONE, l_done), END};
