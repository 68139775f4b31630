#include "core/service.h"

#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/endpoint.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/num.h"

#include "codec/hex.h"
#include "core/quarantine.h"
#include "core/report.h"
#include "core/status_page.h"

/* Whether the keys are there that a client may ask for. In a core that follows another one, those that the vault held
 * are; else the first load must have ended. Later ones add to what can sign already.
 */
static bool keys_are_there(const struct registry_counts *counts, bool follows)
{
    if (counts->load_ended)
        return counts->active > 0 || (counts->set_known && counts->known == 0);
    return follows && counts->active == counts->known;
}

static enum a_master master_of(struct service *service)
{
    if (!registry_rows_are_closed(service->registry))
        return A_MASTER_OPEN;
    const enum seal_state state = ceremony_state(service->seal_link.ceremony);
    return state == SEAL_STATE_UNINITIALIZED || state == SEAL_STATE_AWAITING_REGISTRATION
               ? A_MASTER_NONE
               : A_MASTER_CLOSED;
}

void service_health(struct service *service, struct a_health *ret_health)
{
    const struct config *config = service->settings.config;
    struct registry_counts counts;
    registry_count(service->registry, &counts);
    ret_health->keys_loaded = counts.active;
    ret_health->keys_known = counts.known;
    ret_health->keys_expected = config->key_sources.expected_keys;
    ret_health->load_errors = counts.load_errors + key_jobs_errors(service->key_jobs);
    ret_health->store_up = writer_store_is_up(service->writer) && !keeper_blocks(service->keeper);
    ret_health->sealed = seal_is(service->alarms.seal) || vault_client_is_sealed(service->vault);
    ret_health->history_noop = config->anti_slashing.backend == HISTORY_NOOP;
    bool held = false;
    enum auth_mode mode = authority_mode(service->authority, &held);
    ret_health->auth_open = mode != AUTH_ENFORCE;
    ret_health->auth_mode = (uint8_t)mode;
    ret_health->auth_held = held;
    const struct key_book *book = service->settings.book;
    const bool lacks_keys = book && key_book_fault(book).code;
    ret_health->audit_blocks = audit_blocks(service->settings.audit);
    ret_health->master = (uint8_t)master_of(service);
    ret_health->memory = (uint8_t)service->settings.memory;
    ret_health->clock_unsure = !enclave_time_is_sure(service->settings.time);
    ret_health->keys_complete = counts.load_ended && counts.set_known && !lacks_keys &&
                                counts.active == counts.known &&
                                counts.active >= config->key_sources.expected_keys;
    /* "200 only if a signature would succeed now". */
    ret_health->ready = keys_are_there(&counts, service->settings.held_count > 0) &&
                        ret_health->store_up && !ret_health->sealed &&
                        !atomic_load(&service->draining) && !ret_health->audit_blocks &&
                        vault_client_is_up(service->vault) && !ret_health->clock_unsure;
}

static bool is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0 ||
           strcmp(address, "[::1]") == 0 || strcmp(address, "localhost") == 0;
}

/* `listen_at`, an endpoint, stands in the place of the address. */
static bool is_reached_from_here_alone(const char *listen_at, const char *address)
{
    struct endpoint endpoint;
    if (!listen_at[0] || endpoint_parse(span_str(listen_at), &endpoint).code)
        return is_loopback(address);
    return endpoint.kind == ENDPOINT_UNIX ||
           (endpoint.kind == ENDPOINT_TCP && is_loopback(endpoint.host));
}

static bool is_reached_from_elsewhere(const struct config *config)
{
    const char *address = config->server.listen_address;
    return !is_reached_from_here_alone(config->server.listen, address) ||
           !is_reached_from_here_alone(config->tls.listen,
                                       config->server.listen[0] ? "127.0.0.1" : address);
}

static const char *where(const struct config *config)
{
    return config->server.listen[0] ? config->server.listen : config->server.listen_address;
}

static void show_sources(struct service *service)
{
    static const enum metric_source stores[] = {[KEY_BOOK_SQLITE] = METRIC_SOURCE_SQLITE,
                                                [KEY_BOOK_POSTGRES] = METRIC_SOURCE_POSTGRES,
                                                [KEY_BOOK_DYNAMODB] = METRIC_SOURCE_DYNAMODB};
    const struct key_book *book = service->settings.book;
    const enum metric_source sources[REGISTRY_SOURCES] = {
        METRIC_SOURCE_FILESYSTEM, book ? stores[key_book_kind(book)] : METRIC_SOURCE_SQLITE,
        METRIC_SOURCE_MEMORY};
    struct registry_counts counts;
    registry_count(service->registry, &counts);
    for (size_t i = 0; i < ARRAY_LEN(sources); i++)
        metric_set(METRIC_KEYS_ACTIVE, sources[i], counts.active_from[i]);
}

static void show_clock(const struct service_settings *s)
{
    uint64_t epoch = 0;
    if (quarantine_epoch(s->rules.network, enclave_time_now(s->time), &epoch))
        metric_set(METRIC_CLOCK_EPOCH, 0, epoch);
}

void service_tick(struct service *service)
{
    struct a_health health = {0};
    service_health(service, &health);
    authority_tick(service->authority);
    metric_set(METRIC_AUTH_OPEN, 0,
               health.auth_open && is_reached_from_elsewhere(service->settings.config));
    metric_set(METRIC_HEALTHY, 0, health.ready);
    metric_set(METRIC_KEYS_KNOWN, 0, health.keys_known);
    metric_set(METRIC_KEYS_FAILED, 0, health.load_errors);
    metric_set(METRIC_VAULT_WAITING, 0, backlog_with_vault(service->backlog));
    metric_set(METRIC_AUDIT_LAG, 0, audit_lag_ns(service->settings.audit));
    show_clock(&service->settings);
    board_tick(service->board, clock_mono_ms(), clock_wall_ms() / 1000);
    show_sources(service);
    metric_set(METRIC_SEMAPHORE_AVAILABLE, 0, pending_free_rows(service->table));
    metric_set(METRIC_SIGNING_WAITING, 0, backlog_count(service->backlog));
    metric_choose(METRIC_SIGNER_STATE, health.sealed
                                           ? METRIC_STATE_SEALED
                                           : (unsigned)ceremony_state(service->seal_link.ceremony));
}

static void say_without_quarantine(const struct service_settings *s)
{
    uint64_t epoch = 0;
    const struct anti_slashing_config *a = &s->config->anti_slashing;
    if (a->backend != HISTORY_NOOP && a->quarantine_epochs &&
        !quarantine_epoch(s->rules.network, clock_wall_ms(), &epoch))
        log_notice("no quarantine for new keys: the network's genesis time is not known",
                   KV_STR("hint", "set genesis_time"));
}

static void fixed_gauges(const struct config *config)
{
    metric_set(METRIC_CONCURRENCY_LIMIT, 0, PENDING_MAX);
    metric_set(METRIC_KEYS_EXPECTED, 0, config->key_sources.expected_keys);
    if (config->anti_slashing.backend == HISTORY_NOOP)
        log_warn(
            "anti_slashing.backend is noop: NO slashing protection, validators can be slashed");
}

static void say_open(enum auth_mode mode, const struct config *config)
{
    if (mode == AUTH_OPEN)
        log_warn(
            "auth.mode is open: whoever reaches the API may ask for the operations of auth.open_operations",
            KV_STR("listen_address", where(config)));
    if (mode == AUTH_REPORT)
        log_warn(
            "auth.mode is report: what it would refuse is counted, and let pass as in mode open",
            KV_STR("listen_address", where(config)));
}

static cc_err start_authority(struct service *service)
{
    const struct service_settings *s = &service->settings;
    const struct authority_settings settings = {
        .auth = &s->config->auth,
        .data_dir = s->config->data_dir,
        .token_key = s->token_key,
    };
    bool held = false;
    CC_TRY(authority_new(&settings, &service->authority));
    CC_TRY(authority_take_records(service->authority, s->state));
    say_open(authority_mode(service->authority, &held), s->config);
    return CC_OK;
}

/* The rows of the key store are known before there is a loader: so the set of keys is complete when its scan is. Those of a refused
 * store are not: it never is.
 */
static cc_err know_rows(struct service *service)
{
    size_t count = 0;
    if (!service->settings.token_key) /* the master key is closed */
        registry_close_rows(service->registry);
    if (!service->settings.book)
        return CC_OK;
    const cc_err lack = key_book_lacks(service->settings.book);
    if (lack.code)
        registry_lack(service->registry, (enum error_code)lack.code);
    const struct sealed_row *rows = key_book_rows(service->settings.book, &count);
    for (size_t i = 0; i < count; i++)
        if (rows[i].status != ROW_DELETED)
            CC_TRY(registry_add(service->registry, &rows[i].pubkey, B_KEY_FROM_ROW,
                                rows[i].status == ROW_ACTIVE ? HOLD_NONE : HOLD_INACTIVE));
    return CC_OK;
}

/* A key whose row is gone, or not active, has no business in the vault: a core that died in the middle of a delete, or of a
 * change of status, has left it there.
 */
static uint32_t rightful_sources(const struct service_settings *s, const struct registry_key *held)
{
    const struct sealed_row *row = s->book ? key_book_find(s->book, &held->pubkey) : NULL;
    if (s->book && key_book_is_away(s->book)) /* its word is waited for */
        return held->sources;
    if (row && row->status == ROW_ACTIVE)
        return held->sources;
    return held->sources & ~(uint32_t)B_KEY_FROM_ROW;
}

static cc_err restore_keys(struct service *service)
{
    const struct service_settings *s = &service->settings;
    size_t leftovers = 0;
    CC_CLEANUP(cc_freep)
    struct registry_key *gone = cc_alloc_array(s->held_count ? s->held_count : 1, sizeof *gone);
    if (!gone)
        return CC_FAIL(NO_MEMORY, NULL);
    for (size_t i = 0; i < s->held_count; i++) {
        struct registry_key key = s->held[i];
        key.sources = rightful_sources(s, &key);
        if (key.sources)
            CC_TRY(registry_restore(service->registry, &key));
        else
            gone[leftovers++] = key;
    }
    if (s->held_count > leftovers)
        log_info("the vault holds keys already", KV_NUM("keys", s->held_count - leftovers));
    if (!leftovers)
        return CC_OK;
    log_notice("the vault held keys that are not in the key store any more: they are taken out",
               KV_NUM("keys", leftovers));
    return vault_client_remove(service->vault, gone, leftovers);
}

static uint32_t vault_threads(const struct config *config)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (config->signing.concurrency)
        return config->signing.concurrency;
    return processors > 0 ? (uint32_t)processors : 1;
}

static void tell_writer(void *context)
{
    backlog_poke(context);
}

/* The keeper's thread: what the state store holds is another, whoever has changed it. */
static void take_changes(void *context, const struct state_store *state)
{
    struct service *service = context;
    seal_changed(service->alarms.seal, state);
    cc_err err = authority_take_records(service->authority, state);
    if (err.code)
        log_error("changed policies and tokens can't be taken: the old ones stay", KV_ERR(err));
    pause_follow(service->pause, state);
    board_follow(service->board, state);
    ceremony_changed(service->seal_link.ceremony, state);
    struct key_jobs *jobs = atomic_load(&service->key_jobs);
    if (jobs && service->settings.book)
        key_jobs_poke(jobs);
}

static bool is_own_key_record(void *context, const char *name)
{
    return key_book_is_named(context, name);
}

/* Whoever wants to forget a key store that nobody uses hears that this signer does. */
static cc_err
answer_change(void *context, struct state_store *state, const struct state_signer *signer)
{
    const struct service *service = context;
    bool any = false;
    return key_record_answer(state, signer, is_own_key_record, service->settings.book, &any);
}

/* What lies below a guard has no name of its own here. */
static const char *backend_name(const struct service_settings *s)
{
    static const char *const names[] = {[HISTORY_SQLITE] = "sqlite",
                                        [HISTORY_POSTGRES] = "postgres",
                                        [HISTORY_DYNAMODB] = "dynamodb",
                                        [HISTORY_NOOP] = "noop"};
    size_t backend = s->config->anti_slashing.backend;
    return backend < ARRAY_LEN(names) && names[backend] ? names[backend] : s->history->ops->name;
}

/* The management thread's, when somebody looks at the status page. */
static void look(void *context, struct status_view *ret_view)
{
    struct service *service = context;
    const struct service_settings *s = &service->settings;
    service_health(service, &ret_view->health);
    board_read(service->board, &ret_view->board);
    writer_poke(service->writer); /* it counts what is in the history, where that is due */
    ret_view->started = metric_get(METRIC_START, 0, 0) / 1000000000;
    ret_view->network = s->rules.network->name;
    ret_view->state = seal_state_name(ceremony_state(service->seal_link.ceremony));
    ret_view->draining = atomic_load(&service->draining);
    ret_view->clock_disagrees = metric_get(METRIC_CLOCK_DISAGREES, 0, 0) != 0;
    ret_view->audit_failing = metric_get(METRIC_AUDIT_FAILING, 0, 0) != 0;
    ret_view->epoch = metric_get(METRIC_CLOCK_EPOCH, 0, 0);
    ret_view->waiting = backlog_count(service->backlog);
    for (uint32_t i = 0; i < STATUS_SOURCES; i++)
        ret_view->keys[i] = metric_get(METRIC_KEYS_ACTIVE, i, 0);
    ret_view->history_backend = backend_name(s);
    ret_view->state_backend = s->state->ops->name;
    ret_view->identity = s->history->identity;
    ret_view->has_ceiling = s->has_ceiling;
    ret_view->ceiling = metric_get(METRIC_HISTORY_CEILING, 0, 0);
    memcpy(ret_view->replica, s->audit_replica, sizeof ret_view->replica);
}

static cc_err start_manage(struct service *service)
{
    const struct manage_settings settings = {
        .link = service->link,
        .keeper = service->keeper,
        .authority = service->authority,
        .config = service->settings.config,
        .seal = service->alarms.seal,
        .audit = service->settings.audit,
        .ceremony = service->seal_link.ceremony,
        .setup_token = &service->seal_link.setup_token,
        .look = look,
        .look_context = service,
    };
    return manage_start(&settings, &service->manage);
}

static cc_err start_keeper(struct service *service)
{
    const struct service_settings *s = &service->settings;
    const struct keeper_settings settings = {
        .state = s->state,
        .signer = {vault_client_sign_head, service->vault},
        .has_ceiling = s->has_ceiling,
        .ceiling = s->ceiling,
        .floor = s->floor,
        .refresh_seconds =
            s->state->ops->shared ? s->config->signer_state.refresh_interval_seconds : 0,
        .tell = tell_writer,
        .context = service->backlog,
        .changed = take_changes,
        .changed_context = service,
        .answer = s->book ? answer_change : NULL,
        .answer_context = service,
    };
    return keeper_start(&settings, &service->keeper);
}

static cc_err make_jobs(struct service *service)
{
    const struct service_settings *s = &service->settings;
    const struct slashing_jobs_settings settings = {
        .history = s->history,
        .backend = backend_name(s),
        .link = service->link,
        .board = service->board,
        .hold = service->hold,
        .slots_per_epoch = s->rules.network->preset.slots_per_epoch,
        .keep_epochs = s->config->anti_slashing.pruning_keep_epochs,
    };
    return slashing_jobs_new(&settings, &service->jobs);
}

static cc_err start_writer(struct service *service)
{
    const struct service_settings *s = &service->settings;
    const struct anti_slashing_config *a = &s->config->anti_slashing;
    struct writer_settings settings = {
        .history = s->history,
        .keeper = s->has_ceiling ? service->keeper : NULL,
        .table = service->table,
        .registry = service->registry,
        .vault = service->vault,
        .link = service->link,
        .backlog = service->backlog,
        .jobs = service->jobs,
        .may_go_away = a->backend == HISTORY_POSTGRES,
        .prune = a->pruning_enabled,
        .prune_interval_ms = (uint64_t)a->pruning_interval_hours * 3600000,
        .keep_epochs = a->pruning_keep_epochs,
        .slots_per_epoch = s->rules.network->preset.slots_per_epoch,
        .quarantine = {s->rules.network, a->quarantine_epochs},
    };
    return writer_start(&settings, &service->writer);
}

static cc_err start_key_jobs(struct service *service)
{
    const struct service_settings *s = &service->settings;
    const struct key_work work = {
        .registry = service->registry,
        .vault = service->vault,
        .writer = service->writer,
        .keeper = service->keeper,
        .book = s->book,
        .authority = service->authority,
        .pause = service->pause,
        .audit = s->audit,
        .canary = service->alarms.canary,
        .hold = service->hold,
        .memory = s->config->http.key_manager_api.storage == KEY_STORAGE_MEMORY,
        .network = s->rules.network,
    };
    if (s->book)
        key_book_attach(s->book, service->keeper);
    struct key_jobs *jobs = NULL;
    CC_TRY(key_jobs_start(&work, service->link, &jobs));
    atomic_store(&service->key_jobs, jobs);
    return CC_OK;
}

static cc_err start_audit(struct service *service)
{
    const struct service_settings *s = &service->settings;
    const struct eth_network *network = s->rules.network;
    service->audit_link = (struct audit_link){.keeper = service->keeper, .vault = service->vault};
    memcpy(service->audit_link.replica, s->audit_replica, sizeof s->audit_replica);
    if (!s->audit)
        return CC_OK;
    return audit_run(s->audit, &service->audit_link,
                     network->seconds_per_slot * network->preset.slots_per_epoch * 1000);
}

static cc_err start_alarms(struct service *service)
{
    struct alarms *alarms = &service->alarms;
    alarms->audit = service->settings.audit;
    alarms->keeper = service->keeper;
    alarms->vault = service->vault;
    alarms->authority = service->authority;
    alarms->control_fd = service->settings.control_fd;
    return alarms_start(alarms, service->settings.config);
}

static cc_err start_loads(struct service *service)
{
    const struct service_settings *s = &service->settings;
    const struct loads_settings loads = {
        .control_fd = s->control_fd,
        .history_id = s->history->identity.history_id,
        .registry = service->registry,
        .vault = service->vault,
        .writer = service->writer,
        .seal = service->alarms.seal,
    };
    CC_TRY(loads_start(&loads, &service->loads));
    service->alarms.loads = service->loads;
    return CC_OK;
}

static cc_err make_seal_link(struct service *service)
{
    const struct service_settings *s = &service->settings;
    service->seal_link = (struct seal_link){.config = s->config,
                                            .vault = service->vault,
                                            .registry = service->registry,
                                            .authority = service->authority,
                                            .book = s->book,
                                            .kms = s->kms,
                                            .seal = service->alarms.seal};
    return seal_link_make(&service->seal_link, &s->ids, s->audit);
}

static cc_err start_seal_link(struct service *service)
{
    service->seal_link.keeper = service->keeper;
    service->seal_link.key_jobs = service->key_jobs;
    return seal_link_start(&service->seal_link);
}

static cc_err start_attestation(struct service *service)
{
    struct documents *documents = service->settings.documents;
    return documents ? attestation_start(documents, service->link, &service->attestation) : CC_OK;
}

static cc_err start_tracing(const struct service_settings *settings)
{
    char instance[2 * sizeof settings->audit_replica + 1];
    hex_encode(settings->audit_replica, sizeof settings->audit_replica, instance);
    instance[sizeof instance - 1] = 0;
    return tracing_start(settings->tracing, instance);
}

static cc_err start_parts(struct service *service)
{
    const struct service_settings *s = &service->settings;
    const struct signing_config *signing = &s->config->signing;
    CC_TRY(start_authority(service));
    CC_TRY(board_new(&service->board));
    CC_TRY(pending_table_new(&service->table));
    CC_TRY(backlog_new(signing->duty_deadline_ms,
                       (size_t)u64_min(SLASH_BATCH_MAX, signing->batch_max), &service->backlog));
    CC_TRY(registry_new(&service->registry));
    CC_TRY(pause_new(&service->pause));
    CC_TRY(import_hold_new(&service->hold));
    CC_TRY(know_rows(service));
    CC_TRY(front_link_new(service->table, s->control_fd, &service->link));
    front_link_set_audit(service->link, s->audit);
    front_link_set_board(service->link, service->board);
    front_link_set_tracing(service->link, s->tracing);
    CC_TRY(start_tracing(s));
    CC_TRY(alarms_new(s->config, &service->alarms));
    if (s->latched) {
        seal_begin_latched(service->alarms.seal);
        registry_latch(service->registry);
    }
    front_link_set_seal(service->link, service->alarms.seal);
    CC_TRY(vault_client_start(s->vault_fd, s->vault_life, vault_threads(s->config), service->table,
                              service->link, &service->vault));
    CC_TRY(restore_keys(service));
    CC_TRY(make_seal_link(service));
    CC_TRY(start_keeper(service));
    CC_TRY(start_audit(service));
    CC_TRY(start_alarms(service));
    if (s->seal_again)
        seal_ask(service->alarms.seal, "restart");
    CC_TRY(start_manage(service));
    CC_TRY(make_jobs(service));
    CC_TRY(start_writer(service));
    CC_TRY(start_key_jobs(service));
    CC_TRY(start_loads(service));
    CC_TRY(start_seal_link(service));
    CC_TRY(objects_start(service->backlog, service->vault, service->link, &service->objects));
    CC_TRY(start_attestation(service));
    writer_poke(service->writer);
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
    say_without_quarantine(settings);
    cc_err err = start_parts(ret_service);
    ret_service->settings.token_key = NULL;
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
    attestation_stop(service->attestation);
    manage_stop(service->manage);
    seal_link_stop(&service->seal_link);
    key_jobs_stop(service->key_jobs); /* the step under way is written down yet */
    alarms_stop(&service->alarms);
    /* No answer leaves any more: no front is waited for. Keeper and vault still work. */
    audit_finish(service->settings.audit);
    loads_stop(service->loads);
    writer_stop(service->writer);
    keeper_stop(service->keeper);
    key_jobs_free(service->key_jobs);
    slashing_jobs_free(service->jobs);
    objects_stop(service->objects);
    vault_client_stop(service->vault);
    front_link_free(service->link);
    alarms_free(&service->alarms);
    seal_link_free(&service->seal_link);
    backlog_free(service->backlog);
    requests_free(service->reader);
    registry_free(service->registry);
    pause_free(service->pause);
    import_hold_free(service->hold);
    pending_table_free(service->table);
    authority_free(service->authority);
    board_free(service->board);
    memset(service, 0, sizeof *service);
}
