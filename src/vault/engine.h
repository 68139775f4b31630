/* vault/engine.h - what signs, and what it counts.
 *
 * WHAT      The batch signer that signing.engine asks for, its counts for the core, and the lines about it in the log.
 * PROMISE   A check that failed is in the log before the answer of its batch is sent. Each event is reported to the
 *           core once.
 * THREADS   engine_new() before the sandbox locks (it detects the processor and tests what it found); the rest any.
 * OWNERSHIP engine_free() when no thread signs any more.
 * ERRORS    NO_MEMORY, MEMLOCK (the test of an engine signs in locked memory).
 * SECRETS   None: the keys come by crypto/batch.h, batch by batch.
 */
#ifndef VAULT_ENGINE_H
#define VAULT_ENGINE_H

#include "config/config.h"
#include "crypto/batch.h"
#include "wire/door_b.h"

struct engine;

/* Says in the log which engine is in use, and warns where that is not what was asked for. */
CC_ERR engine_new(enum signing_engine wanted, struct engine **ret_engine);
void engine_free(struct engine *engine);
struct batch_signer *engine_signer(struct engine *engine);

/* After each batch: says in the log that checks have failed since the last call. */
void engine_watch(struct engine *engine);
/* What happened since the last call; the id stays. */
void engine_count(struct engine *engine, struct b_counts *ret_counts);

#endif
