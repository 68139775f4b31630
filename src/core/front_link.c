#include "core/front_link.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"

#include "core/audit_answer.h"
#include "core/backlog.h"
#include "core/report.h"
#include "core/test_point.h"
#include "wire/control.h"

enum {
    ANSWERS_PER_MESSAGE = DOOR_FIT(sizeof(struct a_signed))
};

struct front_link {
    struct pending_table *table;
    int control_fd;
    struct pending_queue answers;
    pthread_t thread;
    struct a_signed *items;      /* the thread's: one whole message */
    struct audit_entry *entries; /* and what is written down of it */
    struct audit *audit;
    struct board *board;     /* NULL: nothing */
    struct tracing *tracing; /* NULL: nothing */
    const struct seal *seal; /* NULL: none */
    pthread_mutex_t lock;    /* guards all below */
    pthread_cond_t changed;
    struct front_door now;  /* the reader's; fd -1: none */
    struct front_door next; /* not accepted yet; fd -1: none */
    unsigned senders;
    bool shut; /* `now` can't be sent on any more */
    bool stopped;
};

static void take_lock(struct front_link *link)
{
    cc_assert(pthread_mutex_lock(&link->lock) == 0);
}

static void drop_lock(struct front_link *link)
{
    cc_assert(pthread_mutex_unlock(&link->lock) == 0);
}

/* Wakes the reader out of its read; closing is for front_link_drop(). */
static void shut_now(struct front_link *link)
{
    if (link->now.fd >= 0 && !link->shut)
        (void)shutdown(link->now.fd, SHUT_RDWR);
    link->shut = true;
}

void front_link_offer(struct front_link *link, int fd, uint32_t life)
{
    take_lock(link);
    if (link->next.fd >= 0)
        (void)close(link->next.fd);
    link->next.fd = fd;
    link->next.life = life;
    link->next.epoch++;
    shut_now(link);
    (void)pthread_cond_broadcast(&link->changed);
    drop_lock(link);
}

void front_link_stop(struct front_link *link)
{
    take_lock(link);
    link->stopped = true;
    shut_now(link);
    (void)pthread_cond_broadcast(&link->changed);
    drop_lock(link);
}

CC_ERR front_link_accept(struct front_link *link, struct front_door *ret_door)
{
    take_lock(link);
    while (link->next.fd < 0 && !link->stopped)
        (void)pthread_cond_wait(&link->changed, &link->lock);
    bool stopped = link->stopped;
    if (!stopped) {
        link->now = link->next;
        link->next.fd = -1;
        link->shut = false;
        *ret_door = link->now;
    }
    drop_lock(link);
    return stopped ? CC_FAIL(DOOR_CLOSED, "the core ends") : CC_OK;
}

void front_link_drop(struct front_link *link)
{
    take_lock(link);
    shut_now(link);
    while (link->senders)
        (void)pthread_cond_wait(&link->changed, &link->lock);
    if (link->now.fd >= 0)
        (void)close(link->now.fd);
    link->now.fd = -1;
    drop_lock(link);
}

bool front_link_waits(struct front_link *link, uint32_t epoch)
{
    take_lock(link);
    bool waits = link->now.fd >= 0 && !link->shut && link->now.epoch == epoch;
    drop_lock(link);
    return waits;
}

static int lease(struct front_link *link, uint32_t epoch, uint32_t *ret_life)
{
    int fd = -1;
    take_lock(link);
    if (link->now.fd >= 0 && !link->shut && link->now.epoch == epoch) {
        fd = link->now.fd;
        *ret_life = link->now.life;
        link->senders++;
    }
    drop_lock(link);
    return fd;
}

static void give_lease(struct front_link *link, bool failed)
{
    take_lock(link);
    link->senders--;
    if (failed)
        shut_now(link);
    (void)pthread_cond_broadcast(&link->changed);
    drop_lock(link);
}

CC_ERR front_link_send(struct front_link *link,
                       uint32_t epoch,
                       uint16_t type,
                       const void *items,
                       size_t size,
                       size_t n)
{
    uint32_t life = 0;
    int fd = lease(link, epoch, &life);
    if (fd < 0)
        return CC_FAIL(DOOR_CLOSED, "the front that asked is gone");
    cc_err err = door_send(fd, life, type, items, size, n);
    bool stalled = err.code && errno == EAGAIN;
    give_lease(link, err.code != 0);
    if (stalled) {
        log_error("the front does not read its answers", KV_NUM("life", life));
        /* When the supervisor can't be reached it is gone, and this room ends with it. */
        (void)control_send(link->control_fd, CONTROL_PEER_STALLED, life, ROOM_FRONT, -1).code;
    }
    return err;
}

void front_link_answer(struct front_link *link, struct pending_list *list)
{
    backlog_answered(list);
    pending_queue_put(&link->answers, list);
}

void front_link_shed(struct front_link *link, struct pending_list *list)
{
    for (struct pending *row = list->head; row; row = row->next) {
        row->answer.error = ERROR_BUSY;
        metric_add(METRIC_SIGNING_SHED, report_label(row->outcome.kind), 0, 1);
    }
    front_link_answer(link, list);
}

void front_link_set_audit(struct front_link *link, struct audit *audit)
{
    link->audit = audit;
}

void front_link_set_board(struct front_link *link, struct board *board)
{
    link->board = board;
}

void front_link_set_tracing(struct front_link *link, struct tracing *tracing)
{
    link->tracing = tracing;
}

void front_link_set_seal(struct front_link *link, const struct seal *seal)
{
    link->seal = seal;
}

static void withhold(struct a_signed *items, size_t n, enum error_code error)
{
    for (size_t i = 0; i < n; i++) {
        if (items[i].error)
            continue;
        items[i].error = error;
        items[i].signature = (struct eth_signature){0};
    }
}

/* A signature that can't be written down is not given away; the history keeps that it was made. */
static void write_down(struct front_link *link, const struct pending_list *rows)
{
    struct a_signed *items = link->items;
    size_t n = 0;
    size_t wanted = 0;
    for (const struct pending *row = rows->head; row; row = row->next, n++)
        if (audit_wants(link->audit, items[n].error))
            audit_entry_of_answer(&row->outcome, &row->outcome.message.pubkey, &items[n],
                                  row->address, &link->entries[wanted++]);
    if (audit_write(link->audit, link->entries, wanted).code)
        withhold(items, n, ERROR_AUDIT);
}

static void report_batch(const struct front_link *link, const struct pending_list *rows)
{
    const uint64_t wall_s = clock_wall_ms() / 1000;
    size_t n = 0;
    for (const struct pending *row = rows->head; row; row = row->next) {
        const struct a_signed *item = &link->items[n++];
        report_answer(&row->outcome, &row->outcome.message.pubkey, item, &row->traced,
                      row->arrived_ns);
        tracing_end(link->tracing, row->traced.record, &row->outcome, item);
        board_answered(link->board, &row->outcome, &row->outcome.message.pubkey, item->error,
                       item->rule, wall_s);
    }
}

static void forget_batch(const struct front_link *link, const struct pending_list *rows)
{
    for (const struct pending *row = rows->head; row; row = row->next)
        tracing_forget(link->tracing, row->traced.record);
}

/* Answers of one door go in one message. */
static void send_batch(struct front_link *link, struct pending_list *list)
{
    struct a_signed *items = link->items;
    struct pending *row = NULL;
    uint32_t epoch = list->head->front_epoch;
    bool waits = front_link_waits(link, epoch);
    struct pending_list sent = {0};
    size_t n = 0;
    while (list->head && list->head->front_epoch == epoch && (row = pending_list_shift(list))) {
        items[n++] = row->answer;
        pending_list_add(&sent, row);
    }
    if (seal_is(link->seal))
        withhold(items, n, ERROR_SEALED);
    if (waits) {
        write_down(link, &sent);
        report_batch(link, &sent);
    } else {
        forget_batch(link, &sent);
    }
    pending_give(link->table, &sent);
    test_point_pass(TEST_POINT_ANSWER);
    /* A front that is gone has no use for them; the history keeps what was signed. */
    (void)front_link_send(link, epoch, A_SIGNED, items, sizeof *items, n).code;
    test_point_pass(TEST_POINT_ANSWERED);
}

static void *answer_thread(void *argument)
{
    struct front_link *link = argument;
    struct pending_list list;
    while (pending_queue_take(&link->answers, ANSWERS_PER_MESSAGE, 0, &list))
        while (list.head)
            send_batch(link, &list);
    return NULL;
}

static void release(struct front_link *link)
{
    if (link->now.fd >= 0)
        (void)close(link->now.fd);
    if (link->next.fd >= 0)
        (void)close(link->next.fd);
    pending_queue_release(&link->answers);
    (void)pthread_cond_destroy(&link->changed);
    (void)pthread_mutex_destroy(&link->lock);
    cc_free(link->items);
    cc_free(link->entries);
    cc_free(link);
}

CC_ERR front_link_new(struct pending_table *table, int control_fd, struct front_link **ret_link)
{
    struct front_link *link = cc_alloc(sizeof *link);
    if (!link)
        return CC_FAIL(NO_MEMORY, NULL);
    link->table = table;
    link->control_fd = control_fd;
    link->now.fd = -1;
    link->next.fd = -1;
    cc_assert(pthread_mutex_init(&link->lock, NULL) == 0);
    cc_assert(pthread_cond_init(&link->changed, NULL) == 0);
    pending_queue_init(&link->answers);
    link->items = cc_alloc_array(ANSWERS_PER_MESSAGE, sizeof *link->items);
    link->entries = cc_alloc_array(ANSWERS_PER_MESSAGE, sizeof *link->entries);
    const bool there = link->items && link->entries;
    if (!there || pthread_create(&link->thread, NULL, answer_thread, link) != 0) {
        cc_err err = there ? CC_FAIL(SYSTEM, "thread") : CC_FAIL(NO_MEMORY, NULL);
        release(link);
        return err;
    }
    *ret_link = link;
    return CC_OK;
}

void front_link_free(struct front_link *link)
{
    if (!link)
        return;
    pending_queue_stop(&link->answers);
    (void)pthread_join(link->thread, NULL);
    release(link);
}
