/* codec/json_check.h - is this text JSON?
 *
 * WHAT      A recogniser of RFC 8259 that reads the text once and keeps one bit per level.
 * PROMISE   Accepts exactly the texts that codec/json.h promises, but for duplicate keys; counts their tokens.
 * THREADS   Any: pure.
 * OWNERSHIP Borrows.
 * ERRORS    JSON_SYNTAX, JSON_UTF8, JSON_TOO_DEEP.
 * SECRETS   None are kept.
 */
#ifndef CODEC_JSON_CHECK_H
#define CODEC_JSON_CHECK_H

#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

struct json_facts {
    uint32_t tokens; /* keys and values */
    bool escapes;    /* some string has a backslash */
};

CC_ERR json_check(struct span text, struct json_facts *ret_facts);

#endif
