/* core/setup_token.h - what shows that somebody may make the chamber's first set (T13).
 *
 * WHAT      256 random bits as text, in a file of the data directory or handed to the caller; good for a quarter of an hour and for one init.
 * PROMISE   The text is there and nowhere else: no log has it, and this room keeps its digest alone. A new one takes the
 *           place of the one before. One that was used, or is too old, is none, and its file is gone as soon as that is noticed.
 * THREADS   The caller's: one at a time, but for setup_token_path().
 * OWNERSHIP Borrows the path of the data directory.
 * ERRORS    IO, LIMIT, SYSTEM; CREDENTIAL for any text that is not the token.
 * SECRETS   The text, on the stack while it is written, wiped; the caller's copy of setup_token_give() is his to wipe.
 */
#ifndef CORE_SETUP_TOKEN_H
#define CORE_SETUP_TOKEN_H

#include <limits.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

#include "crypto/sha256.h"

enum {
    SETUP_TOKEN_LIFE_S = 15 * 60,
    SETUP_TOKEN_TEXT_SIZE = 9 + 43 + 1 /* "cc_setup_", base64url, terminator */
};

struct setup_token {
    char path[PATH_MAX];
    bool there;
    uint64_t expires; /* seconds since 1970 */
    uint8_t digest[SHA256_SIZE];
};

/* There is none yet. A file that another life of this room has left is removed: nobody knows its digest any more. */
CC_ERR setup_token_begin(struct setup_token *token, const char *data_dir);
/* Makes one, and its file (0600). `now`: seconds since 1970. */
CC_ERR setup_token_make(struct setup_token *token, uint64_t now);
/* Makes one that no file has. */
CC_ERR setup_token_give(struct setup_token *token,
                        uint64_t now,
                        char ret_text[static SETUP_TOKEN_TEXT_SIZE]);
/* CC_OK for the text of the one that is there; in constant time. It stays good until setup_token_drop(). */
CC_ERR setup_token_check(struct setup_token *token, struct span text, uint64_t now);
/* It was used, or is not wanted any more. */
void setup_token_drop(struct setup_token *token);
/* Drops one that is too old. */
void setup_token_expire(struct setup_token *token, uint64_t now);

#endif
