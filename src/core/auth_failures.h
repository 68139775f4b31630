/* core/auth_failures.h - tokens that were no good, counted by where they came from.
 *
 * WHAT      Counts per source and reason, until they are taken for the log or for the audit.
 * PROMISE   Nobody is held up by it, whatever is counted (T29); however many failures there are, what is taken is at most AUTH_FAILURE_ROWS
 *           rows (T30). Beyond so many sources the last row stands for all others.
 * THREADS   As the caller's lock.   OWNERSHIP By value.   ERRORS None.   SECRETS None: neither token nor digest is kept.
 */
#ifndef CORE_AUTH_FAILURES_H
#define CORE_AUTH_FAILURES_H

#include <stdbool.h>
#include <stddef.h>

#include "wire/caller.h"

enum auth_failure {
    AUTH_NO_FAILURE,
    AUTH_NO_TOKEN,   /* none was sent where one is needed: refused, but no failure of its source */
    AUTH_BAD_HEADER, /* an Authorization that can't be read */
    AUTH_UNKNOWN_TOKEN, /* never was, or was revoked */
    AUTH_EXPIRED,
    AUTH_ELSEWHERE, /* not from the token's cidrs */
    AUTH_OTHER_CERTIFICATE,
    AUTH_FAILURE_END
};

/* "unknown_token"; "" for what is none. */
const char *auth_failure_name(enum auth_failure failure);

enum {
    AUTH_FAILURE_ROWS = 64
};

struct auth_failure_row {
    uint8_t address[16]; /* zeros: a Unix connection; of an IPv6 address its first 8 bytes */
    bool others;         /* all further sources */
    uint64_t counts[AUTH_FAILURE_END];
    uint64_t total;
};

enum auth_failures_for {
    AUTH_FAILURES_FOR_LOG,
    AUTH_FAILURES_FOR_AUDIT,
    AUTH_FAILURES_FOR_END
};

struct auth_failures {
    struct {
        size_t count;
        struct auth_failure_row rows[AUTH_FAILURE_ROWS];
    } of[AUTH_FAILURES_FOR_END];
};

void auth_failures_note(struct auth_failures *failures,
                        const struct caller *caller,
                        enum auth_failure failure);
/* Copies what was counted for `who` and forgets it; the number of rows. */
size_t auth_failures_take(struct auth_failures *failures,
                          enum auth_failures_for who,
                          struct auth_failure_row ret_rows[static AUTH_FAILURE_ROWS]);

#endif
