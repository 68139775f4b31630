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
#include "core/front_link.h"
#include "core/loads.h"
#include "core/objects.h"
#include "core/registry.h"
#include "core/vault_client.h"
#include "core/writer.h"

/* What the core found when it opened its stores. */
struct service_settings {
    const struct config *config;
    int control_fd;
    int vault_fd;
    uint32_t vault_life;
    struct slash_store *history;
    struct slash_high high;
    struct sign_rules rules;
    const struct registry_key *held; /* keys that the vault has already */
    size_t held_count;
};

struct reader;

struct service {
    struct service_settings settings;
    struct pending_table *table;
    struct registry *registry;
    struct front_link *link;
    struct vault_client *vault;
    struct backlog *backlog;
    struct writer *writer;
    struct objects *objects;
    struct loads *loads;
    struct reader *reader;
    pthread_t reader_thread;
    bool reader_runs;
    atomic_bool draining;
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
