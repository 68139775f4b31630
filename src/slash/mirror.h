/* slash/mirror.h - what this replica has recorded, in a file of its own.
 *
 * WHAT      A journal beside the history: every record that a signature was released for, and every low watermark that was
 *           seen. slash/guard.h compares the history with it. Per key the newest records and the watermark are in memory.
 * PROMISE   What mirror_flush() took is read back after the process is killed, at any moment; after a power cut what was
 *           written before the last mirror_sync(). A file that was changed, or belongs to another history, is TAMPERED; an
 *           end that the power cut is cut off.
 * THREADS   One thread.
 * OWNERSHIP mirror_close(). Pointers to keys die with the next mirror_add_key().
 * ERRORS    TAMPERED; IO: the mirror is stale then, and mirror_is_stale() says so: close it, open it again. NO_MEMORY, LIMIT.
 * SECRETS   The MAC key and the file's own that is made of it; both wiped by mirror_close().
 */
#ifndef SLASH_MIRROR_H
#define SLASH_MIRROR_H

#include "slash/index.h"
#include "slash/mirror_frame.h"

struct mirror_settings {
    const char *path; /* all borrowed for the life of the mirror */
    const uint8_t *key;
    const struct slash_identity *identity;
    const uint8_t *replica; /* of a new file; one that is there keeps its own */
};

struct mirror;

/* Makes an empty one in the place of whatever is there. */
CC_ERR mirror_create(const struct mirror_settings *settings, struct mirror **ret_mirror);
/* *ret_mirror is NULL when there is no file. */
CC_ERR mirror_open(const struct mirror_settings *settings, struct mirror **ret_mirror);
void mirror_close(struct mirror *mirror); /* takes NULL; flushes nothing */
bool mirror_is_stale(const struct mirror *mirror);
/* The id in the file's header, unproven; false when there is no such file. */
CC_ERR
mirror_peek_replica(const char *path, bool *ret_found, uint8_t ret_id[static SLASH_REPLICA_SIZE]);
/* Every key in a file, unproven, until the first fault in it: good for raising watermarks, for nothing else. */
typedef cc_err mirror_key_fn(void *context, const struct eth_pubkey *pubkey);
CC_ERR mirror_peek_keys(const char *path, mirror_key_fn *found, void *context);

/* Per key: the newest block and attestation, the low watermark; row - 1 is the key's number. */
const struct slash_index *mirror_index(const struct mirror *mirror);
uint64_t mirror_position(const struct mirror *mirror); /* of the newest frame */
uint64_t mirror_size(const struct mirror *mirror);     /* of the file */

/* --- writing: add any number, then flush ---------------------------------------------------------------------------- */

/* The position that the frames written from now on bear. */
void mirror_set_position(struct mirror *mirror, uint64_t position);
CC_ERR
mirror_add_key(struct mirror *mirror, const struct eth_pubkey *pubkey, struct slash_key **ret_key);
CC_ERR
mirror_add_block(struct mirror *mirror, struct slash_key *key, const struct slash_block *block);
CC_ERR
mirror_add_vote(struct mirror *mirror, struct slash_key *key, const struct slash_attestation *vote);
/* Raises the key's low watermark; writes nothing where none moves. */
CC_ERR
mirror_raise(struct mirror *mirror, struct slash_key *key, const struct slash_watermark *low);
CC_ERR mirror_flush(struct mirror *mirror);
/* Waits for the disk; does nothing when all is there. */
CC_ERR mirror_sync(struct mirror *mirror);

/* --- reading -------------------------------------------------------------------------------------------------------- */

struct mirror_records {
    struct slash_block *blocks; /* in no order */
    size_t block_count, block_room;
    struct slash_attestation *votes;
    size_t vote_count, vote_room;
};
void mirror_records_release(struct mirror_records *records);

/* All records of a key, those that are not flushed too. `proven` looks at MACs again: needed unless the file was read by
 * this process a moment ago.
 */
CC_ERR mirror_read(struct mirror *mirror,
                   const struct slash_key *key,
                   bool proven,
                   struct mirror_records *ret_records);
/* Calls `visit` for each key that has records in frames with a position above `position`; a key may come again. */
typedef cc_err mirror_visit_fn(void *context, const struct slash_key *key);
CC_ERR
mirror_visit_after(struct mirror *mirror, uint64_t position, mirror_visit_fn *visit, void *context);

/* --- a shorter file in the place of this one ------------------------------------------------------------------------ */

/* Begins one beside it, empty; *ret_from is for mirror_follow(). */
CC_ERR mirror_begin_successor(struct mirror *mirror, struct mirror **ret_next, uint64_t *ret_from);
/* Copies what was written to `mirror` since, about `limit` bytes of it; *from moves. *ret_level: nothing is left. */
CC_ERR mirror_follow(
    struct mirror *next, struct mirror *mirror, uint64_t *from, size_t limit, bool *ret_level);
/* Puts a level successor in the place of `mirror`, which is closed. On an error both are as they were. */
CC_ERR mirror_succeed(struct mirror **mirror, struct mirror *next);
/* Closes and removes a successor. */
void mirror_abandon(struct mirror *next);

#endif
