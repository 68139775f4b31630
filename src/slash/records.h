/* slash/records.h - validators of a history as the records of door A (wire/door_a.h), and back.
 *
 * WHAT      One validator is a VALIDATOR record, its LOW watermarks where it has any, its blocks, its attestations.
 * PROMISE   What slash_records_read() takes has a VALIDATOR first and only known kinds and flags: both rooms read what the
 *           other wrote with it.
 * THREADS   Any: pure.
 * OWNERSHIP The list owns its arrays: slash_record_list_release(), which takes a zero list.
 * ERRORS    PROTOCOL, NO_MEMORY, what `put` returns.
 * SECRETS   None.
 */
#ifndef SLASH_RECORDS_H
#define SLASH_RECORDS_H

#include "slash/store.h"
#include "wire/door_a.h"

typedef cc_err slash_record_fn(void *context, const struct a_record *record);

struct a_record slash_record_of_key(const struct eth_pubkey *pubkey, bool enabled);
struct a_record slash_record_of_low(const struct slash_watermark *low);
struct a_record slash_record_of_block(const struct slash_block *block);
struct a_record slash_record_of_attestation(const struct slash_attestation *attestation);
/* All of `validator`, one after the other. */
CC_ERR
slash_records_put(const struct slash_validator *validator, slash_record_fn *put, void *context);

/* Widens `sum` to hold `more` too. */
void slash_extents_add(struct a_extents *sum, const struct a_extents *more);

struct slash_record_list {
    struct slash_validator *validators; /* which borrow the arrays below */
    size_t count;
    struct slash_block *blocks;
    struct slash_attestation *attestations;
};

/* Reads all `n` records; faults are refused. */
CC_ERR
slash_records_read(const struct a_record *records, size_t n, struct slash_record_list *ret_list);
void slash_record_list_release(struct slash_record_list *list);

#endif
