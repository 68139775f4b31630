/* eth/field.h - members of a request's JSON objects as consensus types.
 *
 * WHAT      One reader per type; each finds the member `key` of `object` and reads its value.
 * PROMISE   An error's detail is `key`, so that a client learns which field is wrong. Roots follow Web3Signer: fewer than
 *           32 bytes are padded on the left. JSON's null counts as absent.
 * THREADS   Any: pure.
 * OWNERSHIP Borrows; `key` must be static (it becomes an error detail).
 * ERRORS    FIELD_MISSING, FIELD_TYPE, NUMBER_RANGE, MALFORMED, HEX_SYNTAX, HEX_LENGTH.
 * SECRETS   None.
 */
#ifndef ETH_FIELD_H
#define ETH_FIELD_H

#include "base/error.h"

#include "codec/json.h"
#include "eth/types.h"

/* True when the member is there and not null. */
bool field_find(struct jval object, const char *key, struct jval *ret_value);
CC_ERR field_get(struct jval object, const char *key, struct jval *ret_value);
/* The member `key`, which must be an object. */
CC_ERR field_object(struct jval object, const char *key, struct jval *ret_value);
CC_ERR field_text(struct jval object, const char *key, struct span *ret_text);
CC_ERR field_u64(struct jval object, const char *key, uint64_t *ret_number);
CC_ERR field_root(struct jval object, const char *key, struct eth_root *ret_root);
/* Exactly `len` bytes of hex. */
CC_ERR field_bytes(struct jval object, const char *key, void *ret_bytes, size_t len);

/* `err` with `detail` for its detail; CC_OK stays. */
cc_err field_error(cc_err err, const char *detail) CC_MUST_USE;

#endif
