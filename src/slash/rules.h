/* slash/rules.h - EIP-3076 as pure functions.
 *
 * WHAT      Given what was signed before, may one more block or attestation be signed? Conditions 1-6 of
 *           EIP-3076, "complete" strategy, and nothing else: no store, no clock, no I/O.
 * PROMISE   Any answer but SAFE or REPEAT means: do not sign. The functions can't be made to answer SAFE
 *           by leaving history out above a watermark.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS None: every input has an answer.   SECRETS None.
 */
#ifndef SLASH_RULES_H
#define SLASH_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "eth/types.h"

enum slash_rule {
#define R(name, text) SLASH_##name,
#include "slash/rule.def"
#undef R
    SLASH_RULE_END
};

const char *slash_rule_name(enum slash_rule rule); /* "DOUBLE_VOTE" */
const char *slash_rule_text(enum slash_rule rule);

/* A record whose root is unknown (imported without one) matches no message, not even the same. */
struct slash_block {
    uint64_t slot;
    bool has_root;
    struct signing_root root;
};
struct slash_attestation {
    uint64_t source;
    uint64_t target;
    bool has_root;
    struct signing_root root;
};

/* Low watermarks of one key. Everything at or below was possibly signed and may have been pruned: a block
 * needs slot > low slot, an attestation source >= low source and target > low target; repeats of kept records
 * are exempt. */
struct slash_watermark {
    bool has_slot;
    bool has_epochs;
    uint64_t slot;
    uint64_t source;
    uint64_t target;
};

/* What a refusal tells the caller: the rule, and the earlier message that it ran into (where there is one). */
struct slash_verdict {
    enum slash_rule rule;
    uint64_t earlier_slot;   /* block rules */
    uint64_t earlier_source; /* attestation rules */
    uint64_t earlier_target;
};

static inline bool slash_may_sign(enum slash_rule rule)
{
    return rule == SLASH_SAFE || rule == SLASH_REPEAT;
}

/* High watermarks of a whole history: from here on another signer owns the duties (hand-over). */
struct slash_high {
    bool set;
    uint64_t slot;
    uint64_t epoch;
};

/* True when the high watermark forbids the message: slot >= high slot; source or target >= high epoch. */
bool slash_high_forbids_block(const struct slash_high *high, uint64_t slot);
bool slash_high_forbids_attestation(const struct slash_high *high,
                                    uint64_t source,
                                    uint64_t target);

/* The judges look for the same slot or target first, then for surrounding votes, then at the watermark; among
 * several conflicts they report the one with the latest target. So the verdict does not depend on the order
 * of the records, and a store may leave out records that can't conflict.
 *
 * Judges a block against `n` records of the same key in any order. */
struct slash_verdict slash_judge_block(const struct slash_block *block,
                                       const struct slash_watermark *low,
                                       const struct slash_block *records,
                                       size_t n);
/* Judges an attestation against `n` records of the same key in any order. */
struct slash_verdict slash_judge_attestation(const struct slash_attestation *attestation,
                                             const struct slash_watermark *low,
                                             const struct slash_attestation *records,
                                             size_t n);

#endif
