#include "core/fair_queue.h"

#include <string.h>

#include "base/num.h"

enum {
    PROBES = 16,
    LOWER_SHARE = 8, /* one row of so many is not a block's where others wait */
    TAKEN_MOST = 256 /* at once */
};

void fair_queue_init(struct fair_queue *queue)
{
    memset(queue, 0, sizeof *queue);
}

/* The client's place, or the one that it would get. With more clients than places some share one. */
static size_t place_of(const struct fair_queue *queue, uint32_t client)
{
    size_t home = (client * 0x9e3779b1u) >> 24;
    size_t unused = FAIR_CLIENTS;
    _Static_assert(FAIR_CLIENTS == 1 << 8, "the upper 8 of 32 bits");
    for (size_t i = 0; i < PROBES; i++) {
        size_t at = (home + i) % FAIR_CLIENTS;
        if (queue->rows[at] && queue->clients[at] == client)
            return at;
        if (!queue->rows[at] && unused == FAIR_CLIENTS)
            unused = at;
    }
    return unused == FAIR_CLIENTS ? home : unused;
}

static void add_turn(struct fair_lane *lane, size_t place)
{
    lane->turns[(lane->first + lane->active++) % FAIR_CLIENTS] = (uint16_t)place;
}

static size_t next_turn(struct fair_lane *lane)
{
    size_t place = lane->turns[lane->first];
    lane->first = (lane->first + 1) % FAIR_CLIENTS;
    lane->active--;
    return place;
}

void fair_queue_put(struct fair_queue *queue, struct pending *row)
{
    struct fair_lane *lane = &queue->lanes[row->rank];
    size_t place = place_of(queue, row->client);
    if (queue->rows[place]++ == 0)
        queue->clients[place] = row->client;
    if (lane->of[place].count == 0)
        add_turn(lane, place);
    pending_list_add(&lane->of[place], row);
    lane->count++;
}

static void take_one(struct fair_queue *queue, struct fair_lane *lane, struct pending_list *list)
{
    size_t place = next_turn(lane);
    pending_list_add(list, pending_list_shift(&lane->of[place]));
    if (lane->of[place].count)
        add_turn(lane, place);
    lane->count--;
    queue->rows[place]--;
}

void fair_queue_take(struct fair_queue *queue,
                     enum kind_rank last,
                     size_t max,
                     struct pending_list *list)
{
    size_t lower = fair_queue_count(queue, last) - queue->lanes[KIND_RANK_BLOCK].count;
    size_t all = list->count + max;
    size_t end = all - (size_t)u64_min(lower, max / LOWER_SHARE);
    for (size_t rank = 0; rank <= last; rank++, end = all)
        while (queue->lanes[rank].count && list->count < end)
            take_one(queue, &queue->lanes[rank], list);
}

size_t fair_queue_count(const struct fair_queue *queue, enum kind_rank last)
{
    size_t n = 0;
    for (size_t rank = 0; rank <= last; rank++)
        n += queue->lanes[rank].count;
    return n;
}

size_t fair_queue_ahead(const struct fair_queue *queue, const struct pending *row)
{
    const struct fair_lane *lane = &queue->lanes[row->rank];
    size_t own = lane->of[place_of(queue, row->client)].count;
    size_t blocks = row->rank ? queue->lanes[KIND_RANK_BLOCK].count : 0;
    size_t n = row->rank ? fair_queue_count(queue, row->rank - 1) - blocks : 0;
    for (size_t i = 0; i < lane->active; i++) {
        size_t place = lane->turns[(lane->first + i) % FAIR_CLIENTS];
        n += (size_t)u64_min(lane->of[place].count, own + 1);
    }
    return n + (size_t)u64_min(blocks, (LOWER_SHARE - 1) * (n + TAKEN_MOST / LOWER_SHARE));
}

size_t fair_queue_of_client(const struct fair_queue *queue, const struct pending *row)
{
    return queue->rows[place_of(queue, row->client)];
}
