#include "core/vault_client.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/num.h"

#include "core/report.h"
#include "core/test_point.h"

/* What may be with the vault for each of its threads: enough that none is idle and one hash serves many, little enough
 * (some 20 ms) that a block does not wait long behind it.
 */
enum {
    WINDOW_PER_THREAD = 64,
    THREADS_MAX = 256
};

_Static_assert(WINDOW_PER_THREAD <= DOOR_FIT(sizeof(struct b_sign)),
               "a thread's share is one message");

struct vault_client {
    int fd;
    uint32_t life;
    uint32_t threads;
    struct pending_table *table;
    struct front_link *link;
    struct pending_queue waiting;
    pthread_t sender;
    pthread_t receiver;
    struct b_sign *outgoing;       /* the sender's: a whole window */
    struct door_message *incoming; /* the receiver's */
    atomic_bool up;
    atomic_bool sealed;
    pthread_mutex_t window_lock; /* guards in_vault */
    pthread_cond_t window_moved;
    size_t in_vault;
};

bool vault_client_is_up(const struct vault_client *client)
{
    return atomic_load(&client->up);
}

bool vault_client_is_sealed(const struct vault_client *client)
{
    return atomic_load(&client->sealed);
}

void vault_client_sign(struct vault_client *client, struct pending_list *list)
{
    pending_queue_put(&client->waiting, list);
}

static void
answer_with(struct vault_client *client, struct pending_list *list, enum error_code error)
{
    for (struct pending *row = list->head; row; row = row->next)
        row->answer.error = error;
    front_link_answer(client->link, list);
}

static size_t window_of(const struct vault_client *client)
{
    return (size_t)client->threads * WINDOW_PER_THREAD;
}

static void window_give(struct vault_client *client, size_t n)
{
    cc_assert(pthread_mutex_lock(&client->window_lock) == 0);
    client->in_vault -= n;
    (void)pthread_cond_signal(&client->window_moved);
    cc_assert(pthread_mutex_unlock(&client->window_lock) == 0);
}

static void window_use(struct vault_client *client, size_t n)
{
    cc_assert(pthread_mutex_lock(&client->window_lock) == 0);
    client->in_vault += n;
    cc_assert(pthread_mutex_unlock(&client->window_lock) == 0);
}

/* Waits until there is room; a vault that is gone gives all of it back. */
static size_t window_room(struct vault_client *client)
{
    cc_assert(pthread_mutex_lock(&client->window_lock) == 0);
    while (client->in_vault >= window_of(client))
        (void)pthread_cond_wait(&client->window_moved, &client->window_lock);
    size_t room = window_of(client) - client->in_vault;
    cc_assert(pthread_mutex_unlock(&client->window_lock) == 0);
    return room;
}

/* --- the sender ------------------------------------------------------------------------------------ */

static size_t build(struct vault_client *client, const struct pending_list *list)
{
    uint64_t now = clock_mono_ns();
    size_t n = 0;
    for (struct pending *row = list->head; row; row = row->next) {
        row->sent_ns = now;
        client->outgoing[n] = row->outcome.message;
        client->outgoing[n++].id = pending_id(client->table, row);
    }
    return n;
}

/* A failure is left to the receiver, which then sees the end of the door and answers all that is with the vault. */
static void send_claims(struct vault_client *client, size_t n)
{
    size_t each = (n + client->threads - 1) / client->threads;
    for (size_t at = 0; at < n; at += each) {
        size_t count = (size_t)u64_min(each, n - at);
        cc_err err = door_send(client->fd, client->life, B_SIGN, &client->outgoing[at],
                               sizeof *client->outgoing, count);
        if (err.code) {
            (void)shutdown(client->fd, SHUT_RDWR);
            return;
        }
        metric_observe(METRIC_VAULT_BATCH, 0, count);
    }
    test_point_pass(TEST_POINT_TO_VAULT);
}

/* What a front that is gone had asked for is not signed any more. */
static void drop_orphans(struct vault_client *client, struct pending_list *list)
{
    struct pending_list orphans = {0};
    struct pending_list wanted = {0};
    struct pending *row = NULL;
    while ((row = pending_list_shift(list)))
        pending_list_add(front_link_waits(client->link, row->front_epoch) ? &wanted : &orphans,
                         row);
    *list = wanted;
    answer_with(client, &orphans, ERROR_DOOR_CLOSED);
}

static void *sender_thread(void *argument)
{
    struct vault_client *client = argument;
    struct pending_list list;
    while (pending_queue_take(&client->waiting, window_room(client), 0, &list)) {
        drop_orphans(client, &list);
        if (!list.head)
            continue;
        /* Built before they are marked: a marked row belongs to the receiver. */
        size_t n = build(client, &list);
        window_use(client, n);
        if (pending_to_vault(client->table, &list)) {
            send_claims(client, n);
        } else {
            window_give(client, n);
            answer_with(client, &list, ERROR_DOOR_CLOSED);
        }
    }
    return NULL;
}

/* --- the receiver ---------------------------------------------------------------------------------- */

static void
set_answer(struct vault_client *client, struct pending *row, const struct b_signed *from)
{
    struct a_signed *answer = &row->answer;
    struct span computed = span_of(&row->outcome.root, sizeof row->outcome.root);
    answer->error = (uint32_t)error_from_number(from->error).code;
    atomic_store(&client->sealed, answer->error == ERROR_SEALED);
    if (answer->error == ERROR_SLASHABLE) {
        answer->rule = SLASH_VAULT_FLOOR;
        answer->earlier_slot = from->earlier_slot;
        answer->earlier_source = from->earlier_source;
        answer->earlier_target = from->earlier_target;
    }
    if (answer->error)
        return;
    if (!span_equal(computed, span_of(&from->root, sizeof from->root))) {
        answer->error = ERROR_PROTOCOL;
        log_error("core and vault computed different signing roots");
        return;
    }
    answer->signature = from->signature;
    metric_observe(METRIC_SIGNING_VAULT, report_label(row->outcome.kind),
                   clock_mono_ns() - row->sent_ns);
}

static void take_signed(struct vault_client *client, const struct door_message *message)
{
    struct pending_list answered = {0};
    struct b_signed from;
    for (size_t i = 0; i < message->head.count; i++) {
        memcpy(&from, &message->items[i * sizeof from], sizeof from);
        struct pending *row = pending_from_vault(client->table, from.id);
        if (!row) {
            log_error("the vault answered what was not asked");
            continue;
        }
        set_answer(client, row, &from);
        pending_list_add(&answered, row);
    }
    test_point_pass(TEST_POINT_SIGNED);
    window_give(client, answered.count);
    front_link_answer(client->link, &answered);
}

static void take_answers(const struct door_message *message)
{
    struct b_answer from;
    for (size_t i = 0; i < message->head.count; i++) {
        memcpy(&from, &message->items[i * sizeof from], sizeof from);
        cc_err err = error_from_number(from.error);
        if (err.code)
            log_warn("the vault could not remove a key", KV_STR("error", error_name(err)));
    }
}

static cc_err receive(struct vault_client *client)
{
    CC_TRY(door_receive(client->fd, client->life, door_b_to_core, client->incoming));
    switch (client->incoming->head.type) {
    case B_SIGNED:
        take_signed(client, client->incoming);
        return CC_OK;
    case B_ANSWER:
        take_answers(client->incoming);
        return CC_OK;
    }
    return CC_FAIL(PROTOCOL, "an answer to no question");
}

static void *receiver_thread(void *argument)
{
    struct vault_client *client = argument;
    cc_err err;
    do
        err = receive(client);
    while (!err.code);
    atomic_store(&client->up, false);
    if (error_is(err, ERROR_DOOR_CLOSED))
        log_notice("the door to the vault is closed");
    else
        log_error("the door to the vault failed", KV_ERR(err));
    (void)shutdown(client->fd, SHUT_RDWR);
    struct pending_list left = pending_vault_gone(client->table);
    window_give(client, left.count);
    answer_with(client, &left, ERROR_DOOR_CLOSED);
    return NULL;
}

CC_ERR
vault_client_remove(struct vault_client *client, const struct registry_key *keys, size_t count)
{
    enum {
        PER_MESSAGE = 64
    };
    struct b_key items[PER_MESSAGE];
    for (size_t at = 0; at < count; at += PER_MESSAGE) {
        size_t n = (size_t)u64_min(PER_MESSAGE, count - at);
        memset(items, 0, sizeof items);
        for (size_t i = 0; i < n; i++)
            items[i].key = keys[at + i].handle;
        CC_TRY(door_send(client->fd, client->life, B_REMOVE, items, sizeof *items, n));
    }
    return CC_OK;
}

static void release(struct vault_client *client)
{
    pending_queue_release(&client->waiting);
    (void)pthread_cond_destroy(&client->window_moved);
    (void)pthread_mutex_destroy(&client->window_lock);
    cc_free(client->outgoing);
    cc_free(client->incoming);
    cc_free(client);
}

CC_ERR vault_client_start(int fd,
                          uint32_t life,
                          uint32_t vault_threads,
                          struct pending_table *table,
                          struct front_link *link,
                          struct vault_client **ret_client)
{
    struct vault_client *client = cc_alloc(sizeof *client);
    if (!client)
        return CC_FAIL(NO_MEMORY, NULL);
    pending_queue_init(&client->waiting);
    cc_assert(pthread_mutex_init(&client->window_lock, NULL) == 0);
    cc_assert(pthread_cond_init(&client->window_moved, NULL) == 0);
    client->fd = fd;
    client->life = life;
    client->threads = (uint32_t)u64_max(1, u64_min(vault_threads, THREADS_MAX));
    client->table = table;
    client->link = link;
    client->outgoing = cc_alloc_array(window_of(client), sizeof *client->outgoing);
    client->incoming = cc_alloc(sizeof *client->incoming);
    atomic_init(&client->up, true);
    if (!client->outgoing || !client->incoming) {
        release(client);
        return CC_FAIL(NO_MEMORY, NULL);
    }
    if (pthread_create(&client->receiver, NULL, receiver_thread, client) != 0) {
        release(client);
        return CC_FAIL(SYSTEM, "thread");
    }
    if (pthread_create(&client->sender, NULL, sender_thread, client) != 0) {
        (void)shutdown(fd, SHUT_RDWR);
        (void)pthread_join(client->receiver, NULL);
        release(client);
        return CC_FAIL(SYSTEM, "thread");
    }
    *ret_client = client;
    return CC_OK;
}

void vault_client_stop(struct vault_client *client)
{
    if (!client)
        return;
    (void)shutdown(client->fd, SHUT_RDWR);
    (void)pthread_join(client->receiver, NULL);
    pending_queue_stop(&client->waiting);
    (void)pthread_join(client->sender, NULL);
    release(client);
}
