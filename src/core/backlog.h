/* core/backlog.h - what waits before history and vault.
 *
 * WHAT      Two streams of rows: claims, which the history writer takes, and objects, which go to the vault at once. Each
 *           is a fair queue (core/fair_queue.h) whose pace is measured (core/pace.h). What the vault can't sign yet stays
 *           here, where the next batch grows, where a block overtakes, and where nothing has been recorded in vain.
 * PROMISE   A row whose expected wait is beyond the deadline is refused when it comes; one that has waited half as long
 *           again is refused when its turn comes: late signatures are worth nothing, and keep others waiting. A block is never
 *           refused; once the vault has more than BACKLOG_AHEAD of them, the next ones wait until those are signed. One
 *           client's duties never fill so many rows that others find none. No time is waited out: a taker gets whatever waits as
 *           soon as the vault has less than it signs during a commit.
 * THREADS   Any; a taker for each stream. backlog.lock is a leaf.
 * OWNERSHIP Owns the rows between put and take.
 * ERRORS    NO_MEMORY.
 * SECRETS   None.
 */
#ifndef CORE_BACKLOG_H
#define CORE_BACKLOG_H

#include "core/pending.h"

enum backlog_stream {
    BACKLOG_CLAIMS,
    BACKLOG_OBJECTS,
    BACKLOG_STREAMS
};

enum {
    BACKLOG_AHEAD = 16,       /* rows with the vault that hold nobody back */
    BACKLOG_AHEAD_MAX = 1024, /* however long a commit takes */
    BACKLOG_SHARE = 4 /* a client may have so many times the rows that are left for others */
};

struct backlog;

/* `batch_max`: what a taker takes at once, at most. */
CC_ERR backlog_new(uint64_t deadline_ms, size_t batch_max, struct backlog **ret_backlog);
void backlog_free(struct backlog *backlog);

/* Takes all rows of the list but those it refuses, which it moves to *ret_refused. `free_rows`: of the table. */
void backlog_put(struct backlog *backlog,
                 struct pending_list *list,
                 size_t free_rows,
                 struct pending_list *ret_refused);

/* Waits until there is something to take, a poke, a stop, or the monotonic time is `until_ns` (0: for ever). *ret_list gets
 * a batch, *ret_late those that waited too long. False once the backlog was stopped and the stream is empty.
 */
bool backlog_take(struct backlog *backlog,
                  enum backlog_stream stream,
                  uint64_t until_ns,
                  struct pending_list *ret_list,
                  struct pending_list *ret_late);
/* These rows go to the vault now; `answered` others that were taken have their answer without it. */
void backlog_passed(struct backlog *backlog,
                    enum backlog_stream stream,
                    const struct pending_list *list,
                    size_t answered);
/* These rows, of any backlog or none, are answered. */
void backlog_answered(const struct pending_list *list);
/* What a commit takes now: the vault gets that much ahead. */
void backlog_set_commit_time(struct backlog *backlog, uint64_t commit_ns);

/* Makes the taker of claims return although nothing waits. */
void backlog_poke(struct backlog *backlog);
/* Takers get all that is left, however much the vault has; then false. */
void backlog_stop(struct backlog *backlog);
/* Rows that wait. */
size_t backlog_count(struct backlog *backlog);
/* Rows that the vault has. */
size_t backlog_with_vault(struct backlog *backlog);

#endif
