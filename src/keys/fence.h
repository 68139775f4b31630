/* keys/fence.h - whose keys a directory's are.
 *
 * WHAT      A small file, `containment.fence`, in a directory of key files, which names the history that protects them. `init` makes it;
 *           the loader reads it at each load.
 * PROMISE   A directory whose fence names another history, or can't be read, or is no fence, is not loaded from: so a second
 *           chamber on the same or a copied directory signs nothing with it. A directory without a fence is.
 * THREADS   Any: no state.
 * OWNERSHIP Borrows.
 * ERRORS    KEY_FENCED; EXISTS from fence_write(), IO.
 * SECRETS   None.
 *
 * Format: docs/formats.md, "Fence of a key directory".
 */
#ifndef KEYS_FENCE_H
#define KEYS_FENCE_H

#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

#define FENCE_NAME "containment.fence"

enum {
    FENCE_ID_SIZE = 32, /* of a history's id */
    FENCE_TEXT_MAX = 256
};

/* CC_OK when the directory `path` has no fence, or one that names `history_id`; *ret_there says which. What is no directory has
 * none.
 */
CC_ERR
fence_check(const char *path, const uint8_t history_id[static FENCE_ID_SIZE], bool *ret_there);
/* Makes the fence of the directory `path`; with `replace` in the place of another one. */
CC_ERR
fence_write(const char *path, const uint8_t history_id[static FENCE_ID_SIZE], bool replace);
/* Exported for fuzzers. */
CC_ERR fence_parse(struct span text, uint8_t ret_history_id[static FENCE_ID_SIZE]);

#endif
