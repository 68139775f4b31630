#include "core/pending.h"

#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/alloc.h"

struct pending_table {
    pthread_mutex_t lock; /* guards all below, and of each row: in_vault */
    struct pending *rows; /* PENDING_MAX; memory that was never used is not there */
    struct pending *unused;
    size_t touched; /* rows from here on have not been used, or their memory was given back */
    size_t in_use;
    bool vault_gone;
    uint32_t generations[PENDING_MAX]; /* outlive the rows' memory */
};

void pending_list_add(struct pending_list *list, struct pending *row)
{
    row->next = NULL;
    if (list->tail)
        list->tail->next = row;
    else
        list->head = row;
    list->tail = row;
    list->count++;
}

struct pending *pending_list_shift(struct pending_list *list)
{
    struct pending *row = list->head;
    if (!row)
        return NULL;
    list->head = row->next;
    if (!list->head)
        list->tail = NULL;
    list->count--;
    row->next = NULL;
    return row;
}

CC_ERR pending_table_new(struct pending_table **ret_table)
{
    struct pending_table *table = cc_alloc(sizeof *table);
    struct pending *rows = cc_alloc_array(PENDING_MAX, sizeof *rows);
    if (!table || !rows) {
        cc_free(table);
        cc_free(rows);
        return CC_FAIL(NO_MEMORY, NULL);
    }
    cc_assert(pthread_mutex_init(&table->lock, NULL) == 0);
    table->rows = rows;
    *ret_table = table;
    return CC_OK;
}

void pending_table_free(struct pending_table *table)
{
    if (!table)
        return;
    (void)pthread_mutex_destroy(&table->lock);
    cc_free(table->rows);
    cc_free(table);
}

static void take_lock(pthread_mutex_t *lock)
{
    cc_assert(pthread_mutex_lock(lock) == 0);
}

static void drop_lock(pthread_mutex_t *lock)
{
    cc_assert(pthread_mutex_unlock(lock) == 0);
}

static struct pending *unused_row(struct pending_table *table)
{
    struct pending *row = table->unused;
    if (row)
        table->unused = row->next;
    else
        row = &table->rows[table->touched++];
    table->in_use++;
    memset(row, 0, sizeof *row);
    return row;
}

struct pending *pending_take(struct pending_table *table, enum kind_rank rank)
{
    size_t reserve = rank == KIND_RANK_BLOCK ? 0 : PENDING_BLOCK_RESERVE;
    struct pending *row = NULL;
    take_lock(&table->lock);
    if (table->in_use + reserve < PENDING_MAX)
        row = unused_row(table);
    drop_lock(&table->lock);
    if (row)
        row->rank = rank;
    return row;
}

/* After a burst the kernel gets back the whole pages; rows are zeroed when they are taken anyway. */
static void give_memory_back(struct pending_table *table)
{
    const uintptr_t page = 4096;
    uintptr_t from = ((uintptr_t)table->rows + page - 1) / page * page;
    uintptr_t to = (uintptr_t)&table->rows[table->touched] / page * page;
    table->unused = NULL;
    table->touched = 0;
    if (to > from)
        (void)madvise((void *)from, to - from,
                      MADV_DONTNEED); /* NOLINT(performance-no-int-to-ptr) */
}

static void give_one(struct pending_table *table, struct pending *row)
{
    cc_assert(!row->in_vault);
    table->generations[row - table->rows]++;
    row->next = table->unused;
    table->unused = row;
    table->in_use--;
}

void pending_give(struct pending_table *table, struct pending_list *list)
{
    struct pending *row = NULL;
    take_lock(&table->lock);
    while ((row = pending_list_shift(list)))
        give_one(table, row);
    if (table->in_use == 0 && table->touched > PENDING_KEPT)
        give_memory_back(table);
    drop_lock(&table->lock);
}

size_t pending_free_rows(struct pending_table *table)
{
    take_lock(&table->lock);
    size_t n = PENDING_MAX - table->in_use;
    drop_lock(&table->lock);
    return n;
}

uint64_t pending_id(const struct pending_table *table, const struct pending *row)
{
    size_t index = (size_t)(row - table->rows);
    return (uint64_t)index << 32 | table->generations[index];
}

bool pending_to_vault(struct pending_table *table, const struct pending_list *list)
{
    take_lock(&table->lock);
    bool there = !table->vault_gone;
    for (struct pending *row = list->head; row && there; row = row->next)
        row->in_vault = true;
    drop_lock(&table->lock);
    return there;
}

struct pending *pending_from_vault(struct pending_table *table, uint64_t id)
{
    uint64_t index = id >> 32;
    if (index >= PENDING_MAX)
        return NULL;
    struct pending *row = &table->rows[index];
    take_lock(&table->lock);
    if (index >= table->touched || !row->in_vault || table->generations[index] != (uint32_t)id)
        row = NULL;
    else
        row->in_vault = false;
    drop_lock(&table->lock);
    return row;
}

struct pending_list pending_vault_gone(struct pending_table *table)
{
    struct pending_list list = {0};
    take_lock(&table->lock);
    table->vault_gone = true;
    for (size_t i = 0; i < table->touched; i++) {
        if (!table->rows[i].in_vault)
            continue;
        table->rows[i].in_vault = false;
        pending_list_add(&list, &table->rows[i]);
    }
    drop_lock(&table->lock);
    return list;
}

void pending_queue_init(struct pending_queue *queue)
{
    pthread_condattr_t attributes;
    memset(queue, 0, sizeof *queue);
    cc_assert(pthread_mutex_init(&queue->lock, NULL) == 0);
    cc_assert(pthread_condattr_init(&attributes) == 0);
    cc_assert(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    cc_assert(pthread_cond_init(&queue->filled, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
    queue->room = SIZE_MAX;
}

void pending_queue_release(struct pending_queue *queue)
{
    (void)pthread_cond_destroy(&queue->filled);
    (void)pthread_mutex_destroy(&queue->lock);
}

void pending_queue_put(struct pending_queue *queue, struct pending_list *list)
{
    if (!list->head)
        return;
    take_lock(&queue->lock);
    struct pending *row;
    while ((row = pending_list_shift(list)))
        pending_list_add(pending_is_block(row) ? &queue->urgent : &queue->others, row);
    (void)pthread_cond_signal(&queue->filled);
    drop_lock(&queue->lock);
}

void pending_queue_stop(struct pending_queue *queue)
{
    take_lock(&queue->lock);
    queue->stopped = true;
    (void)pthread_cond_broadcast(&queue->filled);
    drop_lock(&queue->lock);
}

void pending_queue_set_room(struct pending_queue *queue, size_t rows)
{
    take_lock(&queue->lock);
    queue->room = rows;
    if (rows && queue->others.head)
        (void)pthread_cond_signal(&queue->filled);
    drop_lock(&queue->lock);
}

/* What was stopped is emptied. */
static bool gives_others(const struct pending_queue *queue)
{
    return queue->others.head && (queue->room || queue->stopped);
}

static bool has_news(const struct pending_queue *queue)
{
    return queue->urgent.head || gives_others(queue) || queue->stopped;
}

static void wait_for_news(struct pending_queue *queue, uint64_t until_ns)
{
    const struct timespec until = {(time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000)};
    int rc = 0;
    while (!has_news(queue) && rc == 0)
        rc = until_ns ? pthread_cond_timedwait(&queue->filled, &queue->lock, &until)
                      : pthread_cond_wait(&queue->filled, &queue->lock);
}

bool pending_queue_take(struct pending_queue *queue,
                        size_t max,
                        uint64_t until_ns,
                        struct pending_list *ret_list)
{
    struct pending *row = NULL;
    *ret_list = (struct pending_list){0};
    take_lock(&queue->lock);
    wait_for_news(queue, until_ns);
    while (ret_list->count < max && (row = pending_list_shift(&queue->urgent)))
        pending_list_add(ret_list, row);
    size_t others = 0;
    if (gives_others(queue))
        others = queue->stopped ? SIZE_MAX : queue->room;
    for (; others && ret_list->count < max && (row = pending_list_shift(&queue->others)); others--)
        pending_list_add(ret_list, row);
    bool going_on = !queue->stopped || ret_list->head;
    drop_lock(&queue->lock);
    return going_on;
}
