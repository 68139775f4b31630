/* Door A's reader. Its refusals are sent from here; what goes on to history and vault is answered by the front link's
 * own thread, so that a vault or a disk that is slow does not keep the next message from being judged.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/num.h"

#include "core/report.h"
#include "core/service.h"
#include "core/test_point.h"
#include "wire/control.h"

enum {
    REFUSALS_MAX = DOOR_FIT(sizeof(struct a_sign))
};

_Static_assert((size_t)REFUSALS_MAX <= DOOR_FIT(sizeof(struct a_signed)),
               "all requests of one message can be refused in one");

struct reader {
    struct service *service;
    struct front_door door;
    struct door_message message;
    struct a_signed refused[REFUSALS_MAX];
    size_t refused_count;
    struct pending_list accepted;
};

/* --- signing ----------------------------------------------------------------------------------------- */

static void refuse(struct reader *reader,
                   const struct a_sign *item,
                   const struct sign_outcome *outcome,
                   uint64_t arrived_ns)
{
    struct a_signed answer = {
        .id = item->id, .error = outcome->error, .rule = outcome->rule, .root = outcome->root};
    report_answer(outcome, &item->request.pubkey, &answer, arrived_ns);
    reader->refused[reader->refused_count++] = answer;
}

static void accept(struct reader *reader,
                   const struct a_sign *item,
                   struct sign_outcome *outcome,
                   uint64_t arrived_ns)
{
    struct pending *row = pending_take(reader->service->table, kind_info(outcome->kind)->rank);
    if (!row) {
        outcome->error = ERROR_BUSY;
        metric_add(METRIC_SIGNING_SHED, report_label(outcome->kind), 0, 1);
        refuse(reader, item, outcome, arrived_ns);
        return;
    }
    row->client = item->client;
    row->front_epoch = reader->door.epoch;
    row->arrived_ns = arrived_ns;
    row->outcome = *outcome;
    row->answer.id = item->id;
    row->answer.root = outcome->root;
    pending_list_add(&reader->accepted, row);
}

/* Those that would wait too long are answered at once. */
static void queue_accepted(struct reader *reader)
{
    struct service *s = reader->service;
    struct pending_list refused;
    backlog_put(s->backlog, &reader->accepted, pending_free_rows(s->table), &refused);
    front_link_shed(s->link, &refused);
}

static void take_requests(struct reader *reader)
{
    struct service *s = reader->service;
    uint64_t arrived_ns = clock_mono_ns();
    uint64_t wall_ms = clock_wall_ms();
    struct sign_outcome outcome;
    struct key_lookup key;
    struct a_sign item;
    test_point_pass(TEST_POINT_RECEIVED);
    for (size_t i = 0; i < reader->message.head.count; i++) {
        memcpy(&item, &reader->message.items[i * sizeof item], sizeof item);
        registry_find(s->registry, &item.request.pubkey, &key);
        sign_path_judge(&s->settings.rules, &item.request, &key, wall_ms, &outcome);
        if (outcome.error)
            refuse(reader, &item, &outcome, arrived_ns);
        else
            accept(reader, &item, &outcome, arrived_ns);
    }
    queue_accepted(reader);
    test_point_pass(TEST_POINT_ENQUEUED);
    if (reader->refused_count)
        (void)front_link_send(s->link, reader->door.epoch, A_SIGNED, reader->refused,
                              sizeof *reader->refused, reader->refused_count)
            .code; /* a front that is gone is noticed by the next receive */
    reader->refused_count = 0;
}

/* --- questions --------------------------------------------------------------------------------------- */

static cc_err send_one(struct reader *reader, uint16_t type, const void *item, size_t size)
{
    return front_link_send(reader->service->link, reader->door.epoch, type, item, size, 1);
}

static cc_err send_keys(struct reader *reader, uint64_t id)
{
    CC_CLEANUP(cc_freep) struct eth_pubkey *keys = NULL;
    CC_CLEANUP(cc_freep) struct a_public_keys *chunk = cc_alloc(sizeof *chunk);
    size_t count = 0;
    if (!chunk)
        return CC_FAIL(NO_MEMORY, NULL);
    chunk->id = id;
    chunk->error = (uint32_t)registry_list(reader->service->registry, &keys, &count).code;
    size_t at = 0;
    do {
        chunk->count = (uint32_t)u64_min(A_PUBLIC_KEYS_CHUNK, count - at);
        memset(chunk->keys, 0, sizeof chunk->keys);
        if (chunk->count)
            memcpy(chunk->keys, &keys[at], chunk->count * sizeof *keys);
        at += chunk->count;
        chunk->last = at == count;
        CC_TRY(send_one(reader, A_PUBLIC_KEYS, chunk, sizeof *chunk));
        chunk->chunk++;
    } while (at < count);
    return CC_OK;
}

static cc_err answer_query(struct reader *reader, const struct a_query *query)
{
    struct service *s = reader->service;
    struct a_health health = {.id = query->id};
    struct a_reload reload = {.id = query->id};
    struct a_high_watermark high = {.id = query->id};
    switch ((enum a_question)query->question) {
    case ASK_PUBLIC_KEYS:
        return send_keys(reader, query->id);
    case ASK_HEALTH:
        service_health(s, &health);
        return send_one(reader, A_HEALTH, &health, sizeof health);
    case ASK_RELOAD_START: {
        cc_err err = loads_begin(s->loads);
        loads_status(s->loads, &reload);
        reload.error = (uint32_t)err.code;
        return send_one(reader, A_RELOAD, &reload, sizeof reload);
    }
    case ASK_RELOAD_STATUS:
        loads_status(s->loads, &reload);
        return send_one(reader, A_RELOAD, &reload, sizeof reload);
    case ASK_HIGH_WATERMARK:
        high.present = s->settings.high.set;
        high.slot = s->settings.high.slot;
        high.epoch = s->settings.high.epoch;
        return send_one(reader, A_HIGH_WATERMARK, &high, sizeof high);
    }
    return CC_FAIL(PROTOCOL, "unknown question");
}

static cc_err take_queries(struct reader *reader)
{
    struct a_query query;
    for (size_t i = 0; i < reader->message.head.count; i++) {
        memcpy(&query, &reader->message.items[i * sizeof query], sizeof query);
        CC_TRY(answer_query(reader, &query));
    }
    return CC_OK;
}

/* --- the thread --------------------------------------------------------------------------------------- */

static cc_err read_door(struct reader *reader)
{
    for (;;) {
        CC_TRY(door_receive(reader->door.fd, reader->door.life, door_a_to_core, &reader->message));
        if (reader->message.head.type == A_SIGN)
            take_requests(reader);
        else
            CC_TRY(take_queries(reader));
    }
}

static void end_door(struct reader *reader, cc_err err)
{
    if (error_is(err, ERROR_DOOR_CLOSED)) {
        log_info("the door to the front is closed", KV_NUM("life", reader->door.life));
        return;
    }
    metric_add(METRIC_DOOR_ERRORS, METRIC_ROOM_FRONT, 0, 1);
    log_error("the front is shut out", KV_ERR(err), KV_NUM("life", reader->door.life));
    (void)control_send(reader->service->settings.control_fd, CONTROL_PEER_STALLED,
                       reader->door.life, ROOM_FRONT, -1)
        .code; /* without a supervisor this room ends by itself */
}

void *requests_thread(void *argument)
{
    struct reader *reader = argument;
    while (!front_link_accept(reader->service->link, &reader->door).code) {
        end_door(reader, read_door(reader));
        front_link_drop(reader->service->link);
    }
    return NULL;
}

CC_ERR requests_new(struct service *service, struct reader **ret_reader)
{
    struct reader *reader = cc_alloc(sizeof *reader);
    if (!reader)
        return CC_FAIL(NO_MEMORY, NULL);
    reader->service = service;
    *ret_reader = reader;
    return CC_OK;
}

void requests_free(struct reader *reader)
{
    cc_free(reader);
}
