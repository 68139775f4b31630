/* vault/threads.h - the vault's threads: those that sign, those that open keystores, one that asks an enclave's security module.
 *
 * WHAT      A fixed number of identical threads on each port: receive, answer, send. Keystores that the core sends (B_IMPORT) are
 *           opened by threads of their own, so that no signature waits for scrypt; so is the security module asked, on a port of its own.
 * PROMISE   All have made their first steps when threads_start() returns, so that a sandbox may close behind them.
 *           A message that is malformed ends its door and nothing else. A peer that does not read is reported to the
 *           supervisor and its door ended.
 * THREADS   Started and stopped by the main thread.
 * OWNERSHIP Borrows the vault, the engine and the control line until threads_stop().
 * ERRORS    SYSTEM, NO_MEMORY, MEMLOCK.
 * SECRETS   Messages lie in locked regions; those that hold passwords, keys or shares are wiped after each. A signer's batch,
 *           crypto/batch.h.
 */
#ifndef VAULT_THREADS_H
#define VAULT_THREADS_H

#include "vault/inside.h"
#include "vault/port.h"

struct threads;

struct threads_plan {
    uint32_t signers;
    uint32_t openers; /* of keystores: of the loader's, and as many for the core's */
    bool documents;   /* in an enclave: one for its security module */
    int control_fd;
    struct engine *engine;
    struct vault *vault;
};

/* What threads_new() locks. */
size_t threads_locked_memory(const struct threads_plan *plan);
/* Takes the locked memory that signers and openers need; call it before vault_open() takes the rest. */
CC_ERR threads_new(const struct threads_plan *plan, struct threads **ret_threads);
CC_ERR threads_start(struct threads *threads);
/* The ports to put doors B, key doors and doors of documents into. */
struct port *threads_core_port(struct threads *threads);
struct port *threads_key_port(struct threads *threads);
struct port *threads_documents_port(struct threads *threads);
/* Closes the ports, waits for the threads, frees. NULL is fine. */
void threads_stop(struct threads *threads);

#endif
