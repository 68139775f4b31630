/* core/vault_question.h - one question at a time to the vault of a serving core.
 *
 * WHAT      Door B while it serves has one receiver; who asks something that has one answer (a signature of the state's
 *           head, a subkey) sends it, waits here, and gets what the receiver brings.
 * PROMISE   The answer is the one to the question that was asked last; one that comes too late finds nobody. A vault that is
 *           gone, or silent for VAULT_QUESTION_MS, is an error, never a wait without end.
 * THREADS   ask: any but the receiver. answer, gone: the receiver. vault_question.lock is a leaf and not held over I/O.
 * OWNERSHIP Borrows the descriptor; an answer goes straight into its asker's memory.
 * ERRORS    DOOR_CLOSED, STORE (no answer in time), PROTOCOL, and what the vault says.
 * SECRETS   A subkey passes through, and stays nowhere.
 */
#ifndef CORE_VAULT_QUESTION_H
#define CORE_VAULT_QUESTION_H

#include <pthread.h>
#include <stdbool.h>

#include "wire/door_b.h"

enum {
    VAULT_QUESTION_MS = 5000
};

/* One item of door B, which begins with its id, and the one item that answers it, which begins with id and error. */
struct vault_asking {
    enum door_b_type type;
    void *item; /* its id is set by vault_question_ask() */
    size_t size;
    enum door_b_type answer_type;
    void *answer; /* written only on success, and when the vault refused */
    size_t answer_size;
};

struct vault_question {
    int fd;
    uint32_t life;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t news;
    bool taken; /* somebody asks */
    bool answered;
    bool gone; /* the vault is */
    uint64_t id;
    const struct vault_asking *asking; /* NULL: nobody */
};

void vault_question_init(struct vault_question *question, int fd, uint32_t life);
void vault_question_release(struct vault_question *question);

/* Asks, waits, and turns the answer's error into the result. */
CC_ERR vault_question_ask(struct vault_question *question, const struct vault_asking *asking);
/* Brings an item that the vault sent. *ret_taken: somebody waited for it. PROTOCOL: it bears the id of a question that it is no
 * answer to.
 */
CC_ERR vault_question_answer(
    struct vault_question *question, uint16_t type, const void *item, size_t size, bool *ret_taken);
void vault_question_gone(struct vault_question *question);

#endif
