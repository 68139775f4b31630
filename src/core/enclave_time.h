/* core/enclave_time.h - the time in an enclave: its security module's.
 *
 * WHAT      Has the vault ask the module for a document at the start and each minute, and takes the time that it names. An enclave has no
 *           time service, and its own clock is what its host has set.
 * PROMISE   enclave_time_start() refuses a clock that is ENCLAVE_TIME_LIMIT_MS or more away from the module's time. Later such a clock, or a
 *           module that has not said the time for ENCLAVE_TIME_LOST_MS, makes the time unsure: an alarm in the log and
 *           containment_enclave_clock_unsure, and no block or attestation is signed until it is over. The module is taken at its word, as
 *           everything in an enclave is its hypervisor's.
 * THREADS   Own thread, made before the sandbox's lock; the rest from any.
 * OWNERSHIP Borrows the door of documents until enclave_time_stop() returns.
 * ERRORS    ENCLAVE_CLOCK, those of core/documents.h, ATTEST_FORMAT, ATTEST_NONCE, NO_MEMORY, SYSTEM.
 * SECRETS   None.
 */
#ifndef CORE_ENCLAVE_TIME_H
#define CORE_ENCLAVE_TIME_H

#include "core/documents.h"

enum {
    ENCLAVE_TIME_MS = 60000,       /* between two looks */
    ENCLAVE_TIME_AGAIN_MS = 10000, /* after one in vain */
    ENCLAVE_TIME_LOST_MS = 180000,
    ENCLAVE_TIME_LIMIT_MS = 30000
};

struct enclave_time;

CC_ERR enclave_time_start(struct documents *documents, struct enclave_time **ret_time);
void enclave_time_stop(struct enclave_time *time); /* takes NULL */

/* Milliseconds since 1970, carried on from the module's last word by the monotonic clock. NULL, outside of an enclave: this machine's clock. */
uint64_t enclave_time_now(const struct enclave_time *time);
/* NULL is sure. */
bool enclave_time_is_sure(const struct enclave_time *time);
/* What the thread does each minute (exported for tests). */
void enclave_time_look(struct enclave_time *time);

#endif
