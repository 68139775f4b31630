/* core/audit_check.h - is an audit log what was written?
 *
 * WHAT      Goes over the segments in their order, line by line, with the keys that the vault gives, and writes a report.
 * PROMISE   A line that was changed, removed, added or moved, a segment that is missing, and an end that was cut below what the state
 *           store or a later segment says of it, is a fault, with segment and line. What is not a fault and yet worth saying is a
 *           note: a segment without its last line, which a killed signer leaves, and a power cut, which may have lost what was
 *           written in the second before it.
 * THREADS   One thread per check.
 * OWNERSHIP Borrows lines for the call. audit_check_release() wipes.
 * ERRORS    NO_MEMORY, LIMIT. Faults are no errors: they are counted.
 * SECRETS   The key of the line that is looked at.
 */
#ifndef CORE_AUDIT_CHECK_H
#define CORE_AUDIT_CHECK_H

#include "core/audit_line.h"

enum {
    AUDIT_EXPECTED_MAX = 3,
    AUDIT_FAULTS_SHOWN = 12,
    AUDIT_REPORT_MAX = 1900,          /* bytes of findings */
    AUDIT_SKIP_MAX = 10 * 1000 * 1000 /* lines in a segment's gaps: each costs a key */
};

/* What the end of a segment has to reach, by somebody's word. */
struct audit_expected {
    struct audit_position at;
    const char *whose; /* static */
    bool met;
    bool differs;
};

struct audit_check {
    uint64_t faults;
    uint64_t notes;
    uint64_t segments;
    uint64_t lines;
    struct buf report; /* a line for each finding */
    /* private: the segment that is looked at */
    struct audit_chain chain;
    struct audit_header header;
    struct audit_position before; /* the end of the segment before it */
    bool has_before;
    bool has_header;
    bool ended;
    bool torn;
    bool lost;        /* it can't be followed any further */
    uint64_t skipped; /* lines in its gaps */
    struct audit_expected expected[AUDIT_EXPECTED_MAX];
    size_t expected_count;
};

void audit_check_init(struct audit_check *check);
void audit_check_release(struct audit_check *check);

/* Begins the next segment, whose key is `key`. */
void audit_check_segment(struct audit_check *check,
                         uint64_t segment,
                         const uint8_t key[static AUDIT_KEY_SIZE]);
/* The segment has to reach this; before its lines. Positions of other segments are left out. */
void audit_check_expect(struct audit_check *check,
                        const struct audit_position *position,
                        const char *whose);
/* One line, without its newline; `whole` false: the file ends within it. */
CC_ERR audit_check_line(struct audit_check *check, struct span line, bool whole);
CC_ERR audit_check_segment_end(struct audit_check *check);
/* The segment is not there. */
CC_ERR audit_check_missing(struct audit_check *check, uint64_t segment);

#endif
