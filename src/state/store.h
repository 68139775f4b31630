/* state/store.h - the small records that make a chamber, kept where they can't be changed unseen.
 *
 * WHAT      Versioned records (kind, name, bytes) under one signed head (state/head.h). Read whole at start, changed by
 *           compare-and-swap, and read again when another replica has changed them.
 * PROMISE   What state_open() has accepted is what the chamber's vault signed last: a missing, changed, extra or
 *           rolled-back record, a bad signature, or a generation below the highest ever seen here is TAMPERED, with the
 *           record's name. state_commit() changes records and head in one durable step or not at all. A store that is full of other
 *           records takes those of an emergency seal still. state_refresh() takes
 *           only what is newer than the head it knows; whatever else it finds, what is known stays.
 * THREADS   One thread per store at a time.
 * OWNERSHIP state_store_close() frees; records found are borrowed until the next commit or refresh.
 * ERRORS    TAMPERED, CONFLICT (another writer was faster: refresh, and build
 *           the change anew), STATE (the database is away, or not known to have taken the change), LOCKED (another process), EXISTS, IO, LIMIT, NO_MEMORY,
 *           and what the signer says.
 * SECRETS   None in clear: sealed blobs.
 *
 * Formats: docs/formats.md, "State store".
 */
#ifndef STATE_STORE_H
#define STATE_STORE_H

#include <stdbool.h>

#include "state/head.h"

/* One record that changes: from `expected_version` (0: there is none) to the next, or to nothing. */
struct state_change {
    const char *kind;
    const char *name;
    uint64_t expected_version;
    struct span bytes;
    bool remove; /* it goes, and `bytes` counts for nothing */
};

/* Who signs heads: the vault, by B_DIGEST(STATE_HEAD). */
struct state_signer {
    cc_err (*sign)(void *context,
                   const uint8_t digest[static SHA256_SIZE],
                   uint8_t ret_signature[static ED25519_SIGNATURE_SIZE]);
    void *context;
};

struct state_store;

/* What a backend has to do with its records. */
struct state_delta {
    const size_t *written; /* records of the next image */
    size_t written_count;
    const struct state_record *const *removed; /* of the image before */
    size_t removed_count;
};

struct state_store_ops {
    const char *name; /* "sqlite", as in the configuration */
    bool shared;      /* other replicas may change it too */
    /* Reads head and records in one snapshot; checks only sizes. Required. */
    cc_err (*load)(struct state_store *store, struct state_image *ret_image);
    /* Which head is stored; cheap, and nothing is checked. Required. */
    cc_err (*peek)(struct state_store *store, struct state_mark *ret_mark);
    /* Replaces the head `expected` (generation 0: none) by `next`'s, writes and removes the records of `delta`, in one
     * durable step; CONFLICT when the stored head is another, be it of the same generation. Required.
     */
    cc_err (*swap)(struct state_store *store,
                   const struct state_mark *expected,
                   const struct state_image *next,
                   const struct state_delta *delta);
    /* Frees and unlocks. Required. */
    void (*close)(struct state_store *store);
};

/* First member of every backend's own struct. */
struct state_store {
    const struct state_store_ops *ops;
    /* private */
    struct state_image image; /* verified */
    uint8_t chamber_id[32];
    uint8_t identity_public[ED25519_PUBLIC_SIZE];
    char seen_path[512];
    bool opened;
};

/* What this machine holds against the store: written by `init` beside it (state/pin.h). */
struct state_pin {
    uint8_t chamber_id[32];
    uint8_t identity_public[ED25519_PUBLIC_SIZE];
};

/* One record as it is stored, before anything was verified, for what vouches for itself: not opened yet. *ret_empty: there is neither
 * head nor record. TAMPERED where there is another one but not this one.
 */
CC_ERR state_read_unverified(struct state_store *store,
                             const char *kind,
                             const char *name,
                             struct buf *ret_bytes,
                             bool *ret_empty);
/* Reads and verifies all of `store`. `seen_path`: the file of the highest generation seen; raised to the store's.
 * On TAMPERED, *ret_fault says what and which record.
 */
CC_ERR state_open(struct state_store *store,
                  const struct state_pin *pin,
                  const char *seen_path,
                  struct state_fault *ret_fault);
/* The same for a machine that has never seen the store: EXISTS when there is a `seen_path`; it is made. */
CC_ERR state_open_joined(struct state_store *store,
                         const struct state_pin *pin,
                         const char *seen_path,
                         struct state_fault *ret_fault);
/* The same for a store that is empty and new: nothing may be in it, and no `seen_path` may exist. */
CC_ERR
state_open_new(struct state_store *store, const struct state_pin *pin, const char *seen_path);
/* Reads and verifies the store anew when its head is another one. *ret_changed: there are records to look at again. On an
 * error all stays as it was known.
 */
CC_ERR
state_refresh(struct state_store *store, bool *ret_changed, struct state_fault *ret_fault);
/* NULL when there is none. */
const struct state_record *
state_find(const struct state_store *store, const char *kind, const char *name);
/* The next record of this kind, in the order of names; `after` NULL: the first. NULL when there is none. */
const struct state_record *
state_next(const struct state_store *store, const char *kind, const char *after);
CC_ERR state_commit(struct state_store *store,
                    const struct state_change *changes,
                    size_t count,
                    const struct state_signer *signer);
void state_store_close(struct state_store *store);

/* --- backends ---------------------------------------------------------------------------------------- */

/* Makes an empty SQLite store at `path`, mode 0600; EXISTS if anything is there. Only `init` calls it. */
CC_ERR state_sqlite_create(const char *path);
/* Opens it and takes the flock on `path`.lock for life. TAMPERED when there is nothing at `path`. */
CC_ERR state_sqlite_open(const char *path, struct state_store **ret_store);

#endif
