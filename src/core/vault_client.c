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
#include "core/vault_window.h"
#include "secret/wipe.h"

static const uint64_t count_every_ns = 1000000000;

struct vault_client {
    int fd;
    uint32_t life;
    struct pending_table *table;
    struct front_link *link;
    struct pending_queue waiting;
    struct vault_window window;
    struct vault_question question;
    struct vault_batch batch;
    pthread_mutex_t room_lock; /* guards the room of `waiting`; above the locks of both */
    pthread_t sender;
    pthread_t receiver;
    /* the sender's */
    struct b_sign outgoing[B_SIGN_MAX];
    uint64_t counted_ns;
    bool uncounted; /* something was signed since the vault was asked for its counts */
    /* the receiver's */
    struct door_message *incoming;
    /* of each row that is with the vault: which message took it there; goes to the receiver with the row */
    uint16_t message_of[PENDING_MAX];
    atomic_bool up;
    atomic_bool sealed;
};

_Static_assert(WINDOW_MESSAGES_MAX <= UINT16_MAX, "message_of names every message");

bool vault_client_is_up(const struct vault_client *client)
{
    return atomic_load(&client->up);
}

bool vault_client_is_sealed(const struct vault_client *client)
{
    return atomic_load(&client->sealed);
}

CC_ERR vault_client_ask(struct vault_client *client, const struct vault_asking *asking)
{
    return vault_question_ask(&client->question, asking);
}

cc_err vault_client_sign_head(void *context,
                              const uint8_t digest[static SHA256_SIZE],
                              uint8_t ret_signature[static ED25519_SIGNATURE_SIZE])
{
    struct b_digest question = {.purpose = B_PURPOSE_STATE_HEAD};
    struct b_proof answer = {0};
    const struct vault_asking asking = {B_DIGEST, &question, sizeof question,
                                        B_PROOF,  &answer,   sizeof answer};
    memcpy(question.digest, digest, sizeof question.digest);
    CC_TRY(vault_client_ask(context, &asking));
    if (answer.len != ED25519_SIGNATURE_SIZE)
        return CC_FAIL(PROTOCOL, "length of a signature");
    memcpy(ret_signature, answer.bytes, ED25519_SIGNATURE_SIZE);
    return CC_OK;
}

CC_ERR vault_client_ask_many(struct vault_client *client, const struct vault_questions *questions)
{
    return vault_batch_ask(&client->batch, questions);
}

CC_ERR vault_client_take_out(struct vault_client *client, struct key_handle key)
{
    struct b_key question = {.key = key};
    struct b_answer answer = {0};
    const struct vault_asking asking = {B_REMOVE, &question, sizeof question,
                                        B_ANSWER, &answer,   sizeof answer};
    return vault_client_ask(client, &asking);
}

static CC_SENSITIVE cc_err ask_subkey(struct vault_client *client,
                                      struct b_subkey *question,
                                      uint8_t ret_key[static 32])
{
    struct b_subkey_is answer = {0};
    const struct vault_asking asking = {B_SUBKEY,    question, sizeof *question,
                                        B_SUBKEY_IS, &answer,  sizeof answer};
    cc_err err = vault_client_ask(client, &asking);
    if (!err.code)
        memcpy(ret_key, answer.key, sizeof answer.key);
    wipe(&answer, sizeof answer);
    return err;
}

CC_ERR vault_client_subkey(struct vault_client *client,
                           enum b_subkey_purpose purpose,
                           uint8_t ret_key[static 32])
{
    struct b_subkey question = {.purpose = (uint32_t)purpose};
    return ask_subkey(client, &question, ret_key);
}

CC_ERR vault_client_audit_key(struct vault_client *client,
                              const uint8_t replica[static B_CONTEXT_SIZE],
                              uint64_t segment,
                              uint8_t ret_key[static 32])
{
    struct b_subkey question = {.purpose = B_SUBKEY_AUDIT, .index = segment};
    memcpy(question.context, replica, sizeof question.context);
    return ask_subkey(client, &question, ret_key);
}

CC_ERR vault_client_seal(struct vault_client *client)
{
    struct b_seal question = {0};
    struct b_answer answer = {0};
    const struct vault_asking asking = {B_SEAL,   &question, sizeof question,
                                        B_ANSWER, &answer,   sizeof answer};
    return vault_client_ask(client, &asking);
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

/* Others than blocks wait here until the window has room for them. Under a lock: of two threads that set the
 * room, the one that has seen the window last must come last.
 */
static void set_room(struct vault_client *client)
{
    cc_assert(pthread_mutex_lock(&client->room_lock) == 0);
    pending_queue_set_room(&client->waiting, vault_window_room(&client->window));
    cc_assert(pthread_mutex_unlock(&client->room_lock) == 0);
}

/* --- the sender ------------------------------------------------------------------------------------ */

static size_t index_of(uint64_t id)
{
    return (size_t)(id >> 32);
}

/* Built before the rows are marked: a marked row belongs to the receiver. */
static void build(struct vault_client *client, const struct pending_list *list, uint64_t now_ns)
{
    size_t n = 0;
    for (struct pending *row = list->head; row; row = row->next) {
        row->sent_ns = now_ns;
        trace_mark(row->traced.record, TRACE_SENT, now_ns);
        client->outgoing[n] = row->outcome.message;
        client->outgoing[n++].id = pending_id(client->table, row);
    }
}

/* A failure is left to the receiver, which then sees the end of the door and answers all that is with the vault. */
static void send_built(struct vault_client *client, size_t n)
{
    cc_err err =
        door_send(client->fd, client->life, B_SIGN, client->outgoing, sizeof *client->outgoing, n);
    if (err.code)
        (void)shutdown(client->fd, SHUT_RDWR);
    else
        metric_observe(METRIC_VAULT_BATCH, 0, n);
    client->uncounted = true;
}

/* Sends the rows as one message. */
static void send_message(struct vault_client *client, struct pending_list *list)
{
    const uint64_t now_ns = clock_mono_ns();
    const size_t n = list->count;
    build(client, list, now_ns);
    uint32_t message = vault_window_send(&client->window, n, now_ns);
    for (size_t i = 0; i < n; i++)
        client->message_of[index_of(client->outgoing[i].id)] = (uint16_t)message;
    if (pending_to_vault(client->table, list)) {
        send_built(client, n);
    } else {
        vault_window_back(&client->window, message, n, now_ns);
        answer_with(client, list, ERROR_DOOR_CLOSED);
    }
}

/* Sends all, in pieces that the window names. */
static void send_pieces(struct vault_client *client, struct pending_list *list, bool blocks)
{
    while (list->head) {
        struct pending_list piece = {0};
        size_t n = vault_window_piece(&client->window, list->count, blocks);
        while (piece.count < n)
            pending_list_add(&piece, pending_list_shift(list));
        send_message(client, &piece);
    }
}

/* The signatures of a message come back together: blocks, which stand first, don't wait for what was taken with them. */
static void send_claims(struct vault_client *client, struct pending_list *list)
{
    struct pending_list blocks = {0};
    while (list->head && pending_is_block(list->head))
        pending_list_add(&blocks, pending_list_shift(list));
    send_pieces(client, &blocks, true);
    send_pieces(client, list, false);
    set_room(client);
    test_point_pass(TEST_POINT_TO_VAULT);
}

/* --- what the vault has counted ---------------------------------------------------------------------- */

/* When the sender should be awake for it; 0: not before the next claim. */
static uint64_t count_at(const struct vault_client *client)
{
    return client->uncounted ? client->counted_ns + count_every_ns : 0;
}

static void ask_for_counts(struct vault_client *client)
{
    const struct b_count question = {0};
    const uint64_t now_ns = clock_mono_ns();
    if (!client->uncounted || now_ns < count_at(client))
        return;
    client->counted_ns = now_ns;
    client->uncounted = false;
    if (door_send(client->fd, client->life, B_COUNT, &question, sizeof question, 1).code)
        (void)shutdown(client->fd, SHUT_RDWR);
}

static void take_counts(struct vault_client *client, const struct door_message *message)
{
    static const struct {
        enum signing_engine engine;
        enum metric_engine label;
    } labels[] = {{SIGNING_BLST, METRIC_ENGINE_BLST},
                  {SIGNING_FIXED_BASE, METRIC_ENGINE_FIXED_BASE},
                  {SIGNING_IFMA, METRIC_ENGINE_IFMA}};
    struct b_counts counts;
    memcpy(&counts, message->items, sizeof counts);
    vault_window_set_engine(&client->window, (enum signing_engine)counts.engine);
    set_room(client);
    for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
        metric_add(METRIC_VAULT_SIGNATURES, labels[i].label, 0,
                   counts.signatures[labels[i].engine]);
        metric_set(METRIC_VAULT_ENGINE, labels[i].label, counts.engine == labels[i].engine);
    }
    metric_add(METRIC_VAULT_HASH_HITS, 0, 0, counts.hash_hits);
    metric_add(METRIC_VAULT_HASH_MISSES, 0, 0, counts.hash_misses);
    metric_add(METRIC_VAULT_FLAGGED, 0, 0, counts.flagged);
    metric_add(METRIC_VAULT_FAILED_CHECKS, 0, 0, counts.failed_checks);
}

/* --- the sender's thread ----------------------------------------------------------------------------- */

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
    while (pending_queue_take(&client->waiting, SIZE_MAX, count_at(client), &list)) {
        drop_orphans(client, &list);
        if (list.head)
            send_claims(client, &list);
        ask_for_counts(client);
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
    const uint64_t now_ns = clock_mono_ns();
    metric_observe(METRIC_SIGNING_VAULT, report_label(row->outcome.kind), now_ns - row->sent_ns);
    trace_mark(row->traced.record, TRACE_DECIDED, now_ns);
}

/* The rows of an answer are of one message, but for a vault that cuts them otherwise. */
struct returned {
    uint32_t message;
    size_t claims;
};

static void give_back(struct vault_client *client, const struct returned *returned)
{
    if (!returned->claims)
        return;
    vault_window_back(&client->window, returned->message, returned->claims, clock_mono_ns());
    set_room(client);
}

static void note_return(struct vault_client *client, struct returned *returned, uint32_t message)
{
    if (returned->claims && returned->message != message) {
        give_back(client, returned);
        returned->claims = 0;
    }
    returned->message = message;
    returned->claims++;
}

static void take_signed(struct vault_client *client, const struct door_message *message)
{
    struct pending_list answered = {0};
    struct returned returned = {0};
    struct b_signed from;
    for (size_t i = 0; i < message->head.count; i++) {
        memcpy(&from, &message->items[i * sizeof from], sizeof from);
        struct pending *row = pending_from_vault(client->table, from.id);
        if (!row) {
            log_error("the vault answered what was not asked");
            continue;
        }
        note_return(client, &returned, client->message_of[index_of(from.id)]);
        set_answer(client, row, &from);
        pending_list_add(&answered, row);
    }
    test_point_pass(TEST_POINT_SIGNED);
    give_back(client, &returned);
    front_link_answer(client->link, &answered);
}

/* Answers to what vault_client_remove() sent, whose id is 0, are nobody's. */
static cc_err take_answers(struct vault_client *client, const struct door_message *message)
{
    struct b_answer from;
    bool taken = false;
    for (size_t i = 0; i < message->head.count; i++) {
        memcpy(&from, &message->items[i * sizeof from], sizeof from);
        CC_TRY(vault_question_answer(&client->question, B_ANSWER, &from, sizeof from, &taken));
        cc_err err = error_from_number(from.error);
        if (err.code && !taken)
            log_warn("the vault could not remove a key", KV_STR("error", error_name(err)));
    }
    return CC_OK;
}

/* One that comes when nobody waits for it any more is dropped. */
static cc_err take_one(struct vault_client *client, struct door_message *message)
{
    bool taken = false;
    cc_err err = vault_question_answer(&client->question, message->head.type, message->items,
                                       message->head.item_size, &taken);
    if (message->head.type == B_SUBKEY_IS || message->head.type == B_SHARE)
        door_message_wipe(message);
    return err;
}

static cc_err receive(struct vault_client *client)
{
    CC_TRY(door_receive(client->fd, client->life, door_b_to_core, client->incoming));
    switch (client->incoming->head.type) {
    case B_SIGNED:
        take_signed(client, client->incoming);
        return CC_OK;
    case B_ANSWER:
        return take_answers(client, client->incoming);
    case B_COUNTS:
        take_counts(client, client->incoming);
        return CC_OK;
    case B_ROW:
    case B_OPENED:
    case B_DERIVED:
        vault_batch_answer(&client->batch, client->incoming);
        return CC_OK;
    case B_PROOF:
    case B_SUBKEY_IS:
    case B_SET:
    case B_SHARE:
    case B_AUTO:
    case B_TEXT:
    case B_SEAL_STATE:
    case B_CHALLENGED:
    case B_ENVELOPED:
    case B_GENERATED:
        return take_one(client, client->incoming);
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
    vault_question_gone(&client->question);
    vault_batch_gone(&client->batch);
    struct pending_list left = pending_vault_gone(client->table);
    for (struct pending *row = left.head; row; row = row->next)
        give_back(client, &(struct returned){
                              client->message_of[index_of(pending_id(client->table, row))], 1});
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
    (void)pthread_mutex_destroy(&client->room_lock);
    vault_window_release(&client->window);
    vault_question_release(&client->question);
    vault_batch_release(&client->batch);
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
    vault_window_init(&client->window, vault_threads);
    vault_question_init(&client->question, fd, life);
    vault_batch_init(&client->batch, fd, life);
    cc_assert(pthread_mutex_init(&client->room_lock, NULL) == 0);
    set_room(client);
    client->fd = fd;
    client->life = life;
    client->table = table;
    client->link = link;
    client->uncounted = true; /* which engine signs is asked at once */
    client->incoming = cc_alloc(sizeof *client->incoming);
    atomic_init(&client->up, true);
    if (!client->incoming) {
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
