/* core/writer.h - the one thread that uses the history.
 *
 * WHAT      Takes ALL claims that wait and that the vault has time for (core/backlog.h), blocks first, up to
 *           SLASH_BATCH_MAX, decides and records them in one durable transaction, and passes on those that may be signed.
 *           Between batches it makes protection rows for new keys, prunes in small steps, and does a step of what was asked
 *           about the history (core/slashing_jobs.h), and what writer_run() brings. A claim above the ceiling (core/keeper.h) waits for it; the history's
 *           step of raising it is done here.
 * PROMISE   A claim goes to the vault only after the transaction that holds it is durable. A store that can't be used is
 *           retried for WRITER_PATIENCE_MS from a claim's arrival; then the claim is answered with the store's error and
 *           never signed. While one commit is on the disk the next batch fills.
 * THREADS   Own thread; all functions from any other.
 * OWNERSHIP Borrows all it is given but the rows, which it owns until they are passed on.
 * ERRORS    NO_MEMORY, SYSTEM at start.
 * SECRETS   None.
 */
#ifndef CORE_WRITER_H
#define CORE_WRITER_H

#include "core/backlog.h"
#include "core/keeper.h"
#include "core/quarantine.h"
#include "core/slashing_jobs.h"
#include "core/vault_client.h"
#include "slash/store.h"

enum {
    WRITER_PATIENCE_MS = 2000,
    WRITER_RETRY_MS = 50,
    WRITER_PROBE_MS = 500,
    WRITER_LOOK_MS = 1000,          /* without a use of a history that may go away */
    WRITER_QUIET_MS = 20,           /* without claims, before upkeep begins */
    WRITER_PRUNE_LATE_MS = 3600000, /* then pruning no longer waits for a quiet moment */
};

struct writer_settings {
    struct slash_store *history;
    struct keeper *keeper; /* NULL: no ceiling, because the history keeps nothing */
    struct pending_table *table;
    struct registry *registry;
    struct vault_client *vault;
    struct front_link *link;
    struct backlog *backlog; /* of batches up to SLASH_BATCH_MAX */
    bool
        may_go_away; /* a database: looked at when idle, so that health and other replicas need not wait for a claim */
    struct slashing_jobs *jobs;
    bool prune;
    uint64_t prune_interval_ms;
    uint64_t keep_epochs;
    uint64_t slots_per_epoch;
    struct quarantine quarantine;
};

struct writer;

CC_ERR writer_start(const struct writer_settings *settings, struct writer **ret_writer);
/* Stops the backlog, finishes what waits there, joins; takes NULL. The history stays open. */
void writer_stop(struct writer *writer);

/* There are keys in the registry that wait for protection rows. */
void writer_poke(struct writer *writer);
/* Something to do with the history. `floor`: where the rows of new keys begin now. */
typedef cc_err
writer_job(void *context, struct slash_store *history, const struct slash_watermark *floor);
/* Has `job` run on the writer's thread, between two batches, and waits for its end: so it is short. One at a time; another one that
 * comes meanwhile waits. BUSY: its turn did not come within `patience_ms`, and it will not run. Not from the writer's thread.
 */
CC_ERR
writer_run(struct writer *writer, writer_job *job, void *context, uint64_t patience_ms);
/* False after the last use of the history failed. */
bool writer_store_is_up(const struct writer *writer);

#endif
