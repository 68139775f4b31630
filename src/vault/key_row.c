#include "vault/key_row.h"

#include <string.h>

#include "base/num.h"

#include "crypto/aead.h"
#include "secret/wipe.h"

static const char label[] = "containment-chamber/key-row/v1"; /* with its zero */

enum {
    FORMAT = 1,
    AAD_SIZE = sizeof label + 4 + 32 + sizeof(struct eth_pubkey) + 1 + 8 + 4
};

/* Everything has a fixed length. */
static void place_of(const uint8_t chamber_id[static 32],
                     const struct sealed_row *row,
                     uint8_t ret_aad[static AAD_SIZE])
{
    uint8_t *at = ret_aad;
    memcpy(at, label, sizeof label);
    at += sizeof label;
    u32_store_be(at, FORMAT);
    memcpy(at + 4, chamber_id, 32);
    memcpy(at + 36, row->pubkey.bytes, sizeof row->pubkey.bytes);
    at += 36 + sizeof row->pubkey.bytes;
    *at = (uint8_t)row->status;
    u64_store_be(at + 1, row->version);
    u32_store_be(at + 9, row->generation);
}

static cc_err key_of(const struct vault *v,
                     uint32_t generation,
                     struct secret32 *ret_key,
                     uint8_t ret_chamber_id[static 32])
{
    CC_TRY(chamber_check_greeted(v->chamber));
    CC_TRY(chamber_get_id(v->chamber, ret_chamber_id));
    return master_row_key(v->master, generation, ret_key->bytes);
}

CC_SENSITIVE CC_ERR key_row_seal(const struct vault *vault,
                                 const uint8_t secret[static SECRET_SIZE],
                                 struct sealed_row *row)
{
    WIPED32 struct secret32 key;
    uint8_t id[32];
    uint8_t aad[AAD_SIZE];
    CC_TRY(key_of(vault, row->generation, &key, id));
    place_of(id, row, aad);
    return aead_seal(key.bytes, span_of(aad, sizeof aad), span_of(secret, SECRET_SIZE),
                     row->sealed);
}

CC_SENSITIVE CC_ERR key_row_open(const struct vault *vault,
                                 const struct sealed_row *row,
                                 uint8_t ret_secret[static SECRET_SIZE])
{
    WIPED32 struct secret32 key;
    uint8_t id[32];
    uint8_t aad[AAD_SIZE];
    wipe(ret_secret, SECRET_SIZE);
    CC_TRY(key_of(vault, row->generation, &key, id));
    place_of(id, row, aad);
    return aead_open(key.bytes, span_of(aad, sizeof aad), span_of(row->sealed, SEALED_KEY_SIZE),
                     ret_secret);
}
