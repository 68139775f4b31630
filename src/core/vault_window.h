/* core/vault_window.h - how much is with the vault, and in what pieces.
 *
 * WHAT      Counts the messages that the vault has not answered, measures how fast it signs, and says how large the next
 *           message may be.
 *
 *           One message is one batch of one vault thread. With an engine that shares work between the keys of a root (its
 *           table, its check before release) a thread's next batch fills while it signs: there are at most as many messages
 *           out as threads, and a small backlog stays together, because one batch of 40 is cheaper than two of 20 although
 *           another thread is idle; from twice the engine's share on, all idle threads get some. What bounds a message is
 *           the time that a block may have to wait for a thread: WINDOW_BLOCK_WAIT_NS divided by the measured time of a
 *           claim. blst shares nothing: its messages are small, and the next one of each thread lies ready, so that answers
 *           go back and new requests come while it signs (a quarter more signatures from 64 connections).
 *           Blocks alone go beyond it, in messages of their own: the first thread that is done finds them.
 * PROMISE   No more than WINDOW_MESSAGES_MAX messages are out. Every claim that was sent is counted back once.
 * THREADS   Any.
 * OWNERSHIP By value, inside its holder.
 * ERRORS    None.   SECRETS None.
 */
#ifndef CORE_VAULT_WINDOW_H
#define CORE_VAULT_WINDOW_H

#include <pthread.h>
#include <stdbool.h>

#include "config/config.h"
#include "wire/door_b.h"

enum {
    WINDOW_THREADS_MAX = 256,
    WINDOW_MESSAGES_MAX = 2 * WINDOW_THREADS_MAX + 8,
    WINDOW_BLOCK_WAIT_NS =
        8000000,              /* of a slot's 12 s; 400 times the cost of handing a message over */
    WINDOW_CLAIM_NS = 150000, /* until it is measured: blst, with the hash at hand */
    WINDOW_CLAIMS_MIN = 16,   /* however slow the machine is */
    WINDOW_BLST_CLAIMS = 8,   /* a message of blst's: a millisecond's */
    WINDOW_BLST_MESSAGES = 2  /* of these, for each thread: one is signed, one lies ready */
};

/* Of messages for one engine. */
struct window_shape {
    uint32_t share;
    uint32_t most;
    uint32_t messages;
};

struct vault_window {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t moved;
    uint32_t threads;
    struct window_shape shape;
    uint64_t claim_ns;
    uint32_t out; /* messages */
    struct window_message {
        uint64_t sent_ns;
        uint32_t claims;
        uint32_t left; /* not answered yet; 0: the place is free */
    } messages[WINDOW_MESSAGES_MAX];
};

void vault_window_init(struct vault_window *window, uint32_t threads);
void vault_window_release(struct vault_window *window);
void vault_window_set_engine(struct vault_window *window, enum signing_engine engine);

/* How many claims may be taken for the threads that have no message. */
size_t vault_window_room(struct vault_window *window);
/* How many of `waiting` (at least 1) go into the next message: 1 to B_SIGN_MAX. Blocks, which share nothing, are spread. */
size_t vault_window_piece(struct vault_window *window, size_t waiting, bool blocks);
/* Counts a message that is about to be sent, and names it. */
uint32_t vault_window_send(struct vault_window *window, size_t claims, uint64_t now_ns);
/* `claims` of a message came back. */
void vault_window_back(struct vault_window *window,
                       uint32_t message,
                       size_t claims,
                       uint64_t now_ns);

#endif
