/* core/service.h - the serving core: its parts, and what it answers the front.
 *
 * WHAT      The parts put together, the thread that reads door A, the answers to the front's questions.
 * PROMISE   Requests of one message are judged in their order. Those that are refused before history and vault are
 *           answered at once; what would wait too long is BUSY at once. A front whose message is malformed is shut out.
 * THREADS   service_start/stop, service_tick: the control thread. service_health: any.
 * OWNERSHIP The service owns its parts; stores and doors that it is given are borrowed until service_stop() returns.
 * ERRORS    NO_MEMORY, SYSTEM at start.
 * SECRETS   None.
 */
#ifndef CORE_SERVICE_H
#define CORE_SERVICE_H

#include <stdatomic.h>

#include "config/config.h"
#include "core/alarms.h"
#include "core/attestation.h"
#include "core/audit_answer.h"
#include "core/authority.h"
#include "core/board.h"
#include "core/enclave_time.h"
#include "core/front_link.h"
#include "core/keeper.h"
#include "core/key_jobs.h"
#include "core/loads.h"
#include "core/manage.h"
#include "core/objects.h"
#include "core/registry.h"
#include "core/seal_link.h"
#include "core/slashing_jobs.h"
#include "core/vault_client.h"
#include "core/writer.h"

/* What the core found when it opened its stores. */
struct service_settings {
    const struct config *config;
    int control_fd;
    int vault_fd;
    uint32_t vault_life;
    struct slash_store *history;
    struct state_store *state;
    bool has_ceiling; /* false: the history keeps nothing */
    struct ceiling ceiling;
    struct slash_watermark floor; /* of new rows */
    struct sign_rules rules;
    const uint8_t
        *token_key; /* borrowed until service_start() returns; NULL: the master key is closed */
    struct seal_link_ids ids;
    struct documents *documents;     /* NULL: not in an enclave */
    const struct enclave_time *time; /* the same */
    struct seal_kms *kms;            /* NULL: signer_state.kms is false */
    struct key_book *book;           /* NULL: there is no key store */
    struct audit *audit;             /* of core/audit.h; NULL: none */
    struct tracing *tracing;         /* NULL: none; closed after service_stop() */
    uint8_t audit_replica[AUDIT_REPLICA_SIZE];
    const struct registry_key *held; /* keys that the vault has already */
    size_t held_count;
    enum b_memory memory; /* of the vault's secrets */
    bool latched;         /* an emergency seal is in force */
    bool seal_again;      /* and the vault holds what it should have wiped */
};

struct reader;

struct service {
    struct service_settings settings;
    struct authority *authority;
    struct pending_table *table;
    struct registry *registry;
    struct front_link *link;
    struct vault_client *vault;
    struct backlog *backlog;
    struct keeper *keeper;
    struct manage *manage;
    struct board *board;
    struct pause *pause;
    struct import_hold *hold;
    struct slashing_jobs *jobs;
    struct writer *writer;
    _Atomic(struct key_jobs *) key_jobs; /* NULL: none yet; the keeper looks too */
    struct objects *objects;
    struct loads *loads;
    struct attestation *attestation; /* NULL: not in an enclave */
    struct reader *reader;
    pthread_t reader_thread;
    bool reader_runs;
    atomic_bool draining;
    struct audit_link audit_link;
    struct alarms alarms;
    struct seal_link seal_link;
};

/* Starts all threads; on an error nothing is left. `ret_service` must not move afterwards. */
CC_ERR service_start(const struct service_settings *settings, struct service *ret_service);
void service_stop(struct service *service);
/* Once a second: gauges. */
void service_tick(struct service *service);
/* All but the id. */
void service_health(struct service *service, struct a_health *ret_health);

/* --- core/requests.c --------------------------------------------------------------------------------- */

CC_ERR requests_new(struct service *service, struct reader **ret_reader);
void requests_free(struct reader *reader); /* takes NULL */
/* The thread that reads door A, until front_link_stop(); its argument is the reader. */
void *requests_thread(void *reader);

#endif
