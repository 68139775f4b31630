#include "core/auth_failures.h"

#include <string.h>

#include "base/span.h"

const char *auth_failure_name(enum auth_failure failure)
{
    static const char *const names[AUTH_FAILURE_END] = {
        [AUTH_NO_FAILURE] = "",
        [AUTH_NO_TOKEN] = "no_token",
        [AUTH_BAD_HEADER] = "bad_header",
        [AUTH_UNKNOWN_TOKEN] = "unknown_token",
        [AUTH_EXPIRED] = "expired",
        [AUTH_ELSEWHERE] = "elsewhere",
        [AUTH_OTHER_CERTIFICATE] = "other_certificate",
    };
    return (unsigned)failure < AUTH_FAILURE_END ? names[failure] : "";
}

/* Who has one IPv6 address has its /64: telling those apart would let one host fill the table. */
static void source_of(const struct caller *caller, uint8_t ret_source[static 16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    memcpy(ret_source, caller->address, 16);
    if (!span_equal(span_of(caller->address, sizeof mapped), span_of(mapped, sizeof mapped)))
        memset(ret_source + 8, 0, 8);
}

static struct auth_failure_row *
row_of(struct auth_failure_row *rows, size_t *count, const uint8_t source[static 16])
{
    for (size_t i = 0; i < *count; i++)
        if (rows[i].others || span_equal(span_of(rows[i].address, 16), span_of(source, 16)))
            return &rows[i];
    struct auth_failure_row *row = &rows[(*count)++];
    *row = (struct auth_failure_row){.others = *count == AUTH_FAILURE_ROWS};
    if (!row->others)
        memcpy(row->address, source, 16);
    return row;
}

void auth_failures_note(struct auth_failures *failures,
                        const struct caller *caller,
                        enum auth_failure failure)
{
    uint8_t source[16];
    cc_assert((unsigned)failure < AUTH_FAILURE_END);
    source_of(caller, source);
    for (unsigned who = 0; who < AUTH_FAILURES_FOR_END; who++) {
        struct auth_failure_row *row =
            row_of(failures->of[who].rows, &failures->of[who].count, source);
        row->counts[failure]++;
        row->total++;
    }
}

size_t auth_failures_take(struct auth_failures *failures,
                          enum auth_failures_for who,
                          struct auth_failure_row ret_rows[static AUTH_FAILURE_ROWS])
{
    size_t count = failures->of[who].count;
    memcpy(ret_rows, failures->of[who].rows, count * sizeof *ret_rows);
    failures->of[who].count = 0;
    return count;
}
