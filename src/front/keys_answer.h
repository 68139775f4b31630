/* front/keys_answer.h - the bodies of answers of the key routes.
 *
 * WHAT      What became of each key, as the Key Manager API or the chamber's API says it (docs/openapi.yaml).
 * PROMISE   Of the request only public keys come back. An item that the core has not answered is an error.
 * THREADS   Any: pure.   OWNERSHIP Borrows, appends to the caller's buf.   ERRORS LIMIT, NO_MEMORY.   SECRETS None.
 */
#ifndef FRONT_KEYS_ANSWER_H
#define FRONT_KEYS_ANSWER_H

#include "front/keys_body.h"

/* What came of a mnemonic: one of `deposits` for each key of the request. */
struct keys_made {
    uint64_t session; /* 0: there is none yet */
    struct eth_version genesis_fork_version;
    char network[32];
    uint32_t backup_len;
    uint8_t backup[A_KEYS_BACKUP_MAX];
    struct eth_signature deposits[];
};

struct keys_answer {
    enum a_keys_verb verb;
    bool is_manager;
    bool inactive;
    bool all;
    bool paused_all;
    size_t count;
    const struct keys_item *items; /* of the request; NULL: a list */
    const struct a_key_item *results;
    const bool *answered;
    struct span history;          /* a delete's */
    const struct keys_made *made; /* new keys */
    const struct a_key_generate *generate;
};

CC_ERR keys_answer_put(struct buf *out, const struct keys_answer *answer);

#endif
