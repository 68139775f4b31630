/* core/vault_batch.h - many questions of one kind to the vault of a serving core, with several under way.
 *
 * WHAT      Sends items as messages, keeps a bounded number of them with the vault, and gathers the answers, which may come in any
 *           order. For keystores (B_IMPORT), new keys (B_DERIVE) and rows (B_OPEN_ROW, B_SEAL_ROW).
 * PROMISE   One batch at a time; who comes second waits. Each answer belongs to the item that bears its id; one that comes too late
 *           finds nobody. A vault that is gone, or gives no answer for `patience_ms`, is an error, never a wait without end.
 * THREADS   ask: any but the receiver. answer, gone: the receiver. vault_batch.lock is a leaf and not held over I/O.
 * OWNERSHIP Borrows the descriptor; answers go straight into their asker's memory.
 * ERRORS    DOOR_CLOSED, STORE (no answer in time). What the vault says of an item stands in its answer.
 * SECRETS   Passwords of keystores pass through, from the asker's memory into the door.
 */
#ifndef CORE_VAULT_BATCH_H
#define CORE_VAULT_BATCH_H

#include <pthread.h>
#include <stdbool.h>

#include "wire/door_b.h"

/* Items begin with their id, which vault_batch_ask() sets; so do answers, all zero before. */
struct vault_questions {
    enum door_b_type type;
    void *items;
    size_t size;
    size_t count;
    size_t per_message;
    size_t under_way; /* items that are with the vault at most; at least per_message */
    enum door_b_type answer_type;
    void *answers;
    size_t answer_size;
    uint64_t patience_ms; /* from one answer to the next */
};

struct vault_batch {
    int fd;
    uint32_t life;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t news;
    bool gone;
    uint64_t last_id;
    const struct vault_questions *asking; /* NULL: nobody */
    uint64_t first_id;
    size_t answered;
};

void vault_batch_init(struct vault_batch *batch, int fd, uint32_t life);
void vault_batch_release(struct vault_batch *batch);

CC_ERR vault_batch_ask(struct vault_batch *batch, const struct vault_questions *questions);
/* Brings the items of a message. */
void vault_batch_answer(struct vault_batch *batch, const struct door_message *message);
void vault_batch_gone(struct vault_batch *batch);

#endif
