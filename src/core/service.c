#include "core/service.h"

#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/metric.h"
#include "base/num.h"

#include "core/report.h"

/* Whether the keys are there that a client may ask for. In a core that follows another one, those that the vault held
 * are; else the first load must have ended. Later ones add to what can sign already.
 */
static bool keys_are_there(const struct registry_counts *counts, bool follows)
{
    if (counts->load_ended)
        return counts->active > 0 || (counts->set_known && counts->known == 0);
    return follows && counts->active == counts->known;
}

void service_health(struct service *service, struct a_health *ret_health)
{
    const struct config *config = service->settings.config;
    struct registry_counts counts;
    registry_count(service->registry, &counts);
    ret_health->keys_loaded = counts.active;
    ret_health->keys_known = counts.known;
    ret_health->keys_expected = config->key_sources.expected_keys;
    ret_health->load_errors = counts.load_errors;
    ret_health->store_up = writer_store_is_up(service->writer);
    ret_health->sealed = vault_client_is_sealed(service->vault);
    ret_health->history_noop = config->anti_slashing.backend == HISTORY_NOOP;
    ret_health->auth_open = config->auth.mode == AUTH_OPEN;
    ret_health->keys_complete = counts.load_ended && counts.set_known &&
                                counts.active == counts.known &&
                                counts.active >= config->key_sources.expected_keys;
    /* "200 only if a signature would succeed now". */
    ret_health->ready = keys_are_there(&counts, service->settings.held_count > 0) &&
                        ret_health->store_up && !ret_health->sealed &&
                        !atomic_load(&service->draining) && vault_client_is_up(service->vault);
}

void service_tick(struct service *service)
{
    struct a_health health = {0};
    service_health(service, &health);
    metric_set(METRIC_HEALTHY, 0, health.ready);
    metric_set(METRIC_KEYS_ACTIVE, METRIC_SOURCE_FILESYSTEM, health.keys_loaded);
    metric_set(METRIC_SEMAPHORE_AVAILABLE, 0, pending_free_rows(service->table));
    metric_set(METRIC_SIGNING_WAITING, 0, backlog_count(service->backlog));
    metric_choose(METRIC_SIGNER_STATE, health.sealed ? METRIC_STATE_SEALED : METRIC_STATE_UNSEALED);
}

static bool is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0 ||
           strcmp(address, "[::1]") == 0 || strcmp(address, "localhost") == 0;
}

static void fixed_gauges(const struct config *config)
{
    bool open = config->auth.mode == AUTH_OPEN && !is_loopback(config->server.listen_address);
    metric_set(METRIC_CONCURRENCY_LIMIT, 0, PENDING_MAX);
    metric_set(METRIC_KEYS_EXPECTED, 0, config->key_sources.expected_keys);
    metric_set(METRIC_AUTH_OPEN, 0, open);
    if (config->auth.mode == AUTH_OPEN)
        log_warn(
            "auth.mode is open: whoever reaches the API may ask for the operations of auth.open_operations",
            KV_STR("listen_address", config->server.listen_address));
    if (config->anti_slashing.backend == HISTORY_NOOP)
        log_warn(
            "anti_slashing.backend is noop: NO slashing protection, validators can be slashed");
}

static cc_err restore_keys(struct service *service)
{
    const struct service_settings *s = &service->settings;
    for (size_t i = 0; i < s->held_count; i++)
        CC_TRY(registry_restore(service->registry, &s->held[i]));
    if (s->held_count)
        log_info("the vault holds keys already", KV_NUM("keys", s->held_count));
    return CC_OK;
}

static uint32_t vault_threads(const struct config *config)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (config->signing.concurrency)
        return config->signing.concurrency;
    return processors > 0 ? (uint32_t)processors : 1;
}

static cc_err start_writer(struct service *service)
{
    const struct service_settings *s = &service->settings;
    const struct anti_slashing_config *a = &s->config->anti_slashing;
    struct writer_settings settings = {
        .history = s->history,
        .table = service->table,
        .registry = service->registry,
        .vault = service->vault,
        .link = service->link,
        .backlog = service->backlog,
        .prune = a->pruning_enabled,
        .prune_interval_ms = (uint64_t)a->pruning_interval_hours * 3600000,
        .keep_epochs = a->pruning_keep_epochs,
        .slots_per_epoch = s->rules.network->preset.slots_per_epoch,
    };
    return writer_start(&settings, &service->writer);
}

static cc_err start_parts(struct service *service)
{
    const struct service_settings *s = &service->settings;
    const struct signing_config *signing = &s->config->signing;
    CC_TRY(pending_table_new(&service->table));
    CC_TRY(backlog_new(signing->duty_deadline_ms,
                       (size_t)u64_min(SLASH_BATCH_MAX, signing->batch_max), &service->backlog));
    CC_TRY(registry_new(&service->registry));
    CC_TRY(restore_keys(service));
    CC_TRY(front_link_new(service->table, s->control_fd, &service->link));
    CC_TRY(vault_client_start(s->vault_fd, s->vault_life, vault_threads(s->config), service->table,
                              service->link, &service->vault));
    CC_TRY(start_writer(service));
    CC_TRY(objects_start(service->backlog, service->vault, service->link, &service->objects));
    writer_poke(service->writer);
    const struct loads_settings loads = {
        .control_fd = s->control_fd,
        .registry = service->registry,
        .vault = service->vault,
        .writer = service->writer,
    };
    CC_TRY(loads_start(&loads, &service->loads));
    CC_TRY(requests_new(service, &service->reader));
    if (pthread_create(&service->reader_thread, NULL, requests_thread, service->reader) != 0)
        return CC_FAIL(SYSTEM, "reader thread");
    service->reader_runs = true;
    return CC_OK;
}

CC_ERR service_start(const struct service_settings *settings, struct service *ret_service)
{
    memset(ret_service, 0, sizeof *ret_service);
    ret_service->settings = *settings;
    fixed_gauges(settings->config);
    cc_err err = start_parts(ret_service);
    if (err.code)
        service_stop(ret_service);
    return err;
}

/* Against the stream: no new requests, then what is recorded is signed or failed, then it is answered. */
void service_stop(struct service *service)
{
    if (service->link)
        front_link_stop(service->link);
    if (service->reader_runs)
        (void)pthread_join(service->reader_thread, NULL);
    loads_stop(service->loads);
    writer_stop(service->writer);
    objects_stop(service->objects);
    vault_client_stop(service->vault);
    front_link_free(service->link);
    backlog_free(service->backlog);
    requests_free(service->reader);
    registry_free(service->registry);
    pending_table_free(service->table);
    memset(service, 0, sizeof *service);
}
