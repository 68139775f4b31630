/* core/key_importing.h - keys on their way into the key store, for core/key_import.c and core/key_generate.c.
 *
 * WHAT      A step's keys, and the part of the way that is the same whether they come from keystores or are new.
 * PROMISE   As core/key_work.h says of an import.
 * THREADS   The thread of core/key_jobs.h.   OWNERSHIP Borrows.   ERRORS Per key, in its item.
 * SECRETS   Passwords of keystores, in `questions`; wiped.
 */
#ifndef CORE_KEY_IMPORTING_H
#define CORE_KEY_IMPORTING_H

#include "core/key_work.h"

_Static_assert(A_KEYS_GENERATE_MAX <= A_KEYS_IMPORTS_MAX, "new keys go the same way");

/* One keystore on its way. */
struct import_item {
    bool on;           /* nothing has stopped it yet */
    bool has_history;  /* it has been merged */
    bool in_vault;     /* from elsewhere: by the loader, whose word has not come yet */
    uint64_t expected; /* of its row in the key store */
    struct sealed_row row;
    struct key_handle key;
};

struct importing {
    const struct key_work *work;
    const struct a_keys *ask;
    struct a_keys_done *done;
    uint32_t epoch; /* the front's door */
    enum row_status status;
    uint32_t count;
    struct import_item items[A_KEYS_IMPORTS_MAX];
    union {
        struct b_import imports[A_KEYS_IMPORTS_MAX];
        struct b_seal_row seals[A_KEYS_IMPORTS_MAX];
        struct b_open_row opens[A_KEYS_IMPORTS_MAX];
    } questions;
    union {
        struct b_row rows[A_KEYS_IMPORTS_MAX];
        struct b_opened opened[A_KEYS_IMPORTS_MAX];
    } answers;
    uint32_t number[A_KEYS_IMPORTS_MAX]; /* which item a question is about */
    size_t asked;
};

/* CC_OK where keys of that status can be kept. */
CC_ERR importing_check_place(const struct key_work *work, enum row_status status);
void importing_stop(struct importing *im, uint32_t i, cc_err err);
void importing_stop_all(struct importing *im, cc_err err);
/* Takes the row of item `i` from the vault, or what it says instead. */
void importing_take_row(struct importing *im, uint32_t i, const struct b_row *answer);
/* Protection row, key store, vault's table, registry: of the items that are still on. */
void importing_finish(struct importing *im);

#endif
