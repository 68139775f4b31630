/* cli/operator_challenge.h - a challenge as it comes over HTTP, and whether to answer it.
 *
 * WHAT      Reads the JSON of `GET operators/{name}/challenge`; reads a pinned identity; judges the one by the other.
 * PROMISE   What challenge_accept() lets pass was signed by the pinned chamber for this operator and this purpose, is not over, and has a
 *           cost within the floors (threat T16). Before that nothing of it is used.
 * THREADS   Any.   OWNERSHIP Borrows.
 * ERRORS    MALFORMED, FIELD_MISSING, FIELD_TYPE, HEX_*, NUMBER_RANGE (the JSON); CREDENTIAL (not this chamber's, or not for this), NUMBER_RANGE
 *           (a cost), IO.
 * SECRETS   None.
 */
#ifndef CLI_OPERATOR_CHALLENGE_H
#define CLI_OPERATOR_CHALLENGE_H

#include <stdbool.h>

#include "codec/json.h"
#include "wire/seal.h"

enum {
    CHALLENGE_LEEWAY_MS = 5 * 60 * 1000, /* between two clocks */
    CHALLENGE_LIFE_MAX_MS = 2 * 60 * 60 * 1000
};

/* The chamber that the operator has pinned. */
struct pinned {
    uint8_t identity[32];
    bool names_chamber; /* a file does, a key alone doesn't */
    uint8_t chamber_id[32];
};

/* `text`: the path of an identity.pub, or 64 hex digits with or without 0x. */
CC_ERR pinned_read(const char *text, struct pinned *ret_pinned);

CC_ERR challenge_parse(struct jval object, struct seal_challenge *ret_challenge);

struct challenge_wanted {
    const struct pinned *pinned;
    uint32_t purpose; /* enum seal_purpose */
    const char *name;
    uint64_t now; /* ms since 1970 */
};

CC_ERR challenge_accept(const struct seal_challenge *challenge,
                        const struct challenge_wanted *wanted);

/* "register", "unseal", "approve", "rehearse", "break_glass". */
const char *purpose_name(uint32_t purpose);

#endif
