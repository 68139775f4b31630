/* core/key_audit.h - work on keys in the audit log: one line for each key that a step was about.
 *
 * WHAT      The entries of a step of core/key_jobs.h, once it is known what became of each key, and of one that was refused whole.
 * PROMISE   A step that changes keys is written down before its answer leaves. What can't be written is not told: with audit.on_failure refuse
 *           the answer has no item, and AUDIT as its error. While the log is known to fail, a step is refused before it touches
 *           anything; but a pause, which only takes away, holds all the same.
 * THREADS   refused: any. admit and write: the thread of core/key_jobs.h.
 * OWNERSHIP Borrows.
 * ERRORS    AUDIT.
 * SECRETS   None: of a keystore nothing but its public key is looked at.
 */
#ifndef CORE_KEY_AUDIT_H
#define CORE_KEY_AUDIT_H

#include "core/audit.h"
#include "core/authority.h"

/* AUDIT where nothing of this step could be written down. */
CC_ERR key_audit_admit(struct audit *audit, const struct a_keys *ask);
/* Writes down what became of the keys of `ask`; `entries` is room for it. Where that fails, `done` tells nothing but AUDIT. */
void key_audit_write(struct audit *audit,
                     struct authority *authority,
                     const struct a_keys *ask,
                     struct audit_entry entries[static A_KEYS_MAX],
                     struct a_keys_done *done);
/* The caller may not do that with any key. Told even where it can't be written down. */
void key_audit_refused(struct audit *audit,
                       const struct a_keys *ask,
                       const struct auth_verdict *verdict);

#endif
