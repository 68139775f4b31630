/* Packets of door A as a captured core may send them. Eight questions wait, one of them a batch, one about the history, one of management, one for a document; the input
 * answers, some of its ids made to fit. Whatever comes, each question ends once, and a list of keys is whole keys. A packet that breaks the
 * protocol closes the door, and the next input begins with a new one.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "front/exchange.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    LIFE = 1,
    QUESTIONS = 8,
    NAMED = 7, /* of them by small numbers of the input, the last one by large ones */
    BATCH = 4, /* the number of the batch */
    HISTORY = 5,
    MANAGEMENT = 6,
    DOCUMENT = 7,
    BATCH_ITEMS = 3,
    ALL = QUESTIONS + 1 /* the last one is asked after all packets */
};

static struct exchange exchange;
static int core = -1;
static _Atomic uint32_t ended[ALL];
static uint32_t numbers[ALL] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
static struct ticket *tickets[ALL];
static struct batch batch;

static void on_done(struct ticket *t)
{
    (void)atomic_fetch_add(&ended[*(uint32_t *)t->owner], 1);
}

static void open_exchange(void)
{
    int pair[2];
    cc_assert(!door_pair(pair).code);
    cc_assert(!exchange_init(&exchange, ALL, on_done).code);
    exchange_start(&exchange, pair[1], LIFE);
    core = pair[0];
}

static void close_exchange(void)
{
    int fd = exchange.fd;
    exchange_stop(&exchange);
    exchange_release(&exchange);
    (void)close(fd);
    (void)close(core);
    core = -1;
}

static void make_batch(void)
{
    if (!batch.asks) {
        batch.asks = calloc(BATCH_ITEMS, sizeof *batch.asks);
        batch.answers = calloc(BATCH_ITEMS, sizeof *batch.answers);
    }
    cc_assert(batch.asks && batch.answers);
    batch.count = batch.asked = BATCH_ITEMS;
    for (uint32_t i = 0; i < BATCH_ITEMS; i++)
        batch.answers[i].error = BATCH_UNANSWERED;
}

/* The id under which the question came out of the door; 0 when the door is closed by now. */
static uint64_t ask(uint32_t number)
{
    static const uint32_t questions[ALL] = {
        0, ASK_PUBLIC_KEYS, ASK_HEALTH, ASK_RELOAD_STATUS, 0, 0, 0, 0, ASK_HEALTH};
    static struct a_manage management = {.verb = MANAGE_POLICY_LIST};
    static struct a_slashing work = {.head = {.verb = SLASHING_EXPORT}};
    static struct door_message message;
    struct ticket *t = ticket_take(&exchange);
    uint64_t id;
    cc_assert(t);
    t->owner = &numbers[number];
    t->ask = number == BATCH        ? TICKET_BATCH
             : number == HISTORY    ? TICKET_SLASHING
             : number == MANAGEMENT ? TICKET_MANAGE
             : number == DOCUMENT   ? TICKET_ATTEST
             : number               ? TICKET_QUERY
                                    : TICKET_SIGN;
    if (number == MANAGEMENT) {
        t->question.manage = &management;
    } else if (number == HISTORY) {
        t->question.slashing = &work;
    } else if (number == BATCH) {
        make_batch();
        t->question.batch = &batch;
    } else if (number == DOCUMENT) {
        t->question.attest = (struct a_attest){.nonce_len = 0};
    } else {
        t->question.query.question = questions[number];
    }
    tickets[number] = t;
    atomic_store(&ended[number], 0);
    ticket_submit(&exchange, t);
    exchange_flush(&exchange);
    if (door_receive(core, LIFE, door_a_to_core, &message).code)
        return 0;
    memcpy(&id, message.items, sizeof id);
    return id;
}

static void read_door(void)
{
    struct pollfd door = {.fd = exchange.fd, .events = POLLIN};
    while (poll(&door, 1, 0) == 1 && exchange_receive(&exchange))
        ;
}

static size_t type_count(void)
{
    size_t n = 0;
    while (door_a_to_front[n].type)
        n++;
    return n;
}

/* One packet out of the input: type, count, which question its first id names, then the items. */
static size_t send_packet(const uint8_t *data, size_t size, const uint64_t ids[static QUESTIONS])
{
    static uint8_t packet[DOOR_PACKET_MAX];
    struct door_head head = {.version = DOOR_VERSION, .life = LIFE};
    if (size < 4)
        return size;
    const struct door_type *type = &door_a_to_front[data[0] % type_count()];
    size_t used = size - 4 < type->item_size ? size - 4 : type->item_size;
    head.type = type->type;
    head.item_size = type->item_size;
    head.count = data[1] % 8 == 7 ? data[1] : 1;
    memset(packet, data[3], sizeof head + type->item_size);
    memcpy(packet, &head, sizeof head);
    memcpy(packet + sizeof head, data + 4, used);
    if (data[2] < 8 * NAMED || data[2] >= 0xf0) {
        uint64_t id = data[2] >= 0xf0
                          ? ids[DOCUMENT]
                          : ids[data[2] % NAMED] + ((uint64_t)(data[2] / NAMED % 4) << 20);
        memcpy(packet + sizeof head, &id, sizeof id);
    }
    (void)send(core, packet, sizeof head + type->item_size, MSG_NOSIGNAL);
    read_door();
    return 4 + used;
}

/* What goes into a text is one, and no answer is larger than all parts may be. */
static void check_managed(const struct ticket *t)
{
    const char *detail = t->answer.managed.detail;
    cc_assert(t->keys.len <= A_MANAGED_TOTAL && memchr(detail, 0, A_MANAGED_DETAIL_MAX));
    for (; *detail; detail++)
        cc_assert(*detail >= 0x20 && *detail <= 0x7e);
    cc_assert(t->err.code || (t->answer.managed.status >= 200 && t->answer.managed.status <= 299));
}

static void check_end(uint32_t number)
{
    struct ticket *t = tickets[number];
    while (atomic_load(&ended[number]) == 0)
        exchange_expire(&exchange, UINT64_MAX, 0);
    cc_assert(atomic_load(&ended[number]) == 1);
    cc_assert(t->err.code >= 0 && t->err.code < ERROR_CODE_END);
    if (number == BATCH && !t->err.code)
        for (uint32_t i = 0; i < BATCH_ITEMS; i++)
            cc_assert(batch.answers[i].error < BATCH_UNANSWERED);
    if (number == DOCUMENT)
        cc_assert(t->keys.len <= A_DOCUMENT_MAX && (t->err.code || t->keys.len));
    size_t unit = number == DOCUMENT  ? 1
                  : number == HISTORY ? sizeof(struct a_record)
                                      : sizeof(struct eth_pubkey);
    if (number != MANAGEMENT)
        cc_assert(t->keys.len % unit == 0);
    else
        check_managed(t);
    ticket_release(&exchange, t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t ids[QUESTIONS];
    if (core < 0)
        open_exchange();
    for (uint32_t i = 0; i < QUESTIONS; i++)
        ids[i] = ask(i);
    for (size_t at = 0; at < size;)
        at += send_packet(data + at, size - at, ids);
    struct a_health last = {.id = ask(QUESTIONS)};
    if (last.id && door_send(core, LIFE, A_HEALTH, &last, sizeof last, 1).code == 0)
        read_door();
    cc_assert(!exchange_is_open(&exchange) || atomic_load(&ended[QUESTIONS]) == 1);
    for (uint32_t i = 0; i < ALL; i++)
        check_end(i);
    if (!exchange_is_open(&exchange))
        close_exchange();
    return 0;
}
