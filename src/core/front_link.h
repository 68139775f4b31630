/* core/front_link.h - the core's end of door A, across the lives of the front.
 *
 * WHAT      Which socket leads to the front now, and the thread that sends signatures there in batches.
 * PROMISE   No signature leaves before the audit log has it. An answer goes only to the front that asked: each door has an epoch, and answers of an older one are dropped
 *           (C2). A descriptor is closed only when no thread sends on it. A front that does not read for DOOR_STALL_MS is
 *           shut out and reported to the supervisor; nobody waits for it longer.
 * THREADS   offer/stop: the control thread. accept/drop: the reader thread. send, answer: any.
 * OWNERSHIP The link owns the descriptors given to it, and the rows given to front_link_answer().
 * ERRORS    DOOR_CLOSED.
 * SECRETS   None.
 */
#ifndef CORE_FRONT_LINK_H
#define CORE_FRONT_LINK_H

#include "core/audit.h"
#include "core/board.h"
#include "core/pending.h"
#include "core/seal.h"

struct front_link;

struct front_door {
    int fd;
    uint32_t life;
    uint32_t epoch;
};

/* `control_fd`: where a stalled front is reported. */
CC_ERR front_link_new(struct pending_table *table, int control_fd, struct front_link **ret_link);
/* Where answers are written down before they leave; NULL: nowhere. Before the first answer is queued. */
void front_link_set_audit(struct front_link *link, struct audit *audit);
/* Where refusals are shown; NULL: nowhere. The same. */
void front_link_set_board(struct front_link *link, struct board *board);
/* Which of the answers are traced; NULL: none. The same. */
void front_link_set_tracing(struct front_link *link, struct tracing *tracing);
/* Once it is sealed no signature leaves; the same. */
void front_link_set_seal(struct front_link *link, const struct seal *seal);
/* Ends the answering thread after what is queued; takes NULL. */
void front_link_free(struct front_link *link);

/* A door to a new front; shuts the one before. */
void front_link_offer(struct front_link *link, int fd, uint32_t life);
/* No more doors; wakes the reader. */
void front_link_stop(struct front_link *link);
/* Waits for a door that the reader has not had yet; DOOR_CLOSED after front_link_stop(). */
CC_ERR front_link_accept(struct front_link *link, struct front_door *ret_door);
/* The reader has done with its door: closes it when nobody sends any more. */
void front_link_drop(struct front_link *link);

/* Sends one message to the front of `epoch`; DOOR_CLOSED when that one is gone. */
CC_ERR front_link_send(struct front_link *link,
                       uint32_t epoch,
                       uint16_t type,
                       const void *items,
                       size_t size,
                       size_t n);
/* False when nobody waits any more for what was asked at the door of `epoch`. */
bool front_link_waits(struct front_link *link, uint32_t epoch);
/* Queues rows whose `answer` is set; they go back to the table. */
void front_link_answer(struct front_link *link, struct pending_list *list);
/* Answers rows that wait too long: BUSY. */
void front_link_shed(struct front_link *link, struct pending_list *list);

#endif
