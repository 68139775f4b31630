/* core/audit.h - the audit log: what was decided, written down before anybody is told.
 *
 * WHAT      Entries (core/audit_line.h) go to segments NNNNNNNN.jsonl in a directory, or to standard output, one write for each batch of
 *           answers. A thread of its own makes them durable within a second, begins the next segment, and gives the position
 *           that is durable to the state store.
 * PROMISE   audit_write() has returned when the lines are with the kernel: a killed signer loses none. AUDIT_SYNC_MS later they are on the disk.
 *           What can't be written is an error with on_failure refuse, and is counted with continue; the next line that can be
 *           says how many are missing. A failed write leaves no half line behind that the next one would not write over.
 *           Failures of anybody, who need show nothing for it, fill at most AUDIT_ANYBODY_PER_SECOND lines, and what slashing protection
 *           refuses of his as many; the rest is a number.
 * THREADS   write, event, wants, blocks: any. open, start, finish, close: one, the control thread.
 * OWNERSHIP Borrows what the settings point to, until audit_close().
 * ERRORS    AUDIT, IO, LIMIT, NO_MEMORY, SYSTEM.
 * SECRETS   The chain's key (docs/secrets.md).
 */
#ifndef CORE_AUDIT_H
#define CORE_AUDIT_H

#include "config/config.h"
#include "core/audit_line.h"

enum {
    AUDIT_SYNC_MS = 700,
    AUDIT_ANYBODY_PER_SECOND = 20,
    AUDIT_GAP_MAX = 16 /* numbers of segments that are looked for beyond the last one known */
};

struct audit;

struct audit_settings {
    enum audit_level level;
    enum audit_sink sink;
    enum audit_on_failure on_failure;
    uint64_t segment_bytes;
    const char *directory;
    uint8_t replica[AUDIT_REPLICA_SIZE];
    struct audit_position anchor; /* what the state store says; zeros: nothing */
};

/* What a running log needs of others; each may block, and is called by the log's own threads. NULL: there is none. */
struct audit_helpers {
    /* The key of a segment that no life of this vault was asked for. */
    cc_err (*key)(void *context, uint64_t segment, uint8_t ret_key[static AUDIT_KEY_SIZE]);
    cc_err (*anchor)(void *context, const struct audit_position *position);
    void *context;
    uint64_t anchor_ms; /* from one anchor to the next */
};

/* The number of the segment that comes next: above all that are there and above the anchor. */
CC_ERR audit_next_segment(const struct audit_settings *settings, uint64_t *ret_segment);
/* Begins that segment. */
CC_ERR audit_open(const struct audit_settings *settings,
                  uint64_t segment,
                  const uint8_t key[static AUDIT_KEY_SIZE],
                  struct audit **ret_audit);
/* Starts its threads. */
CC_ERR audit_start(struct audit *audit, const struct audit_helpers *helpers);
/* Writes the last line, makes it durable and anchors it; afterwards nothing may be written. */
void audit_finish(struct audit *audit);
void audit_close(struct audit *audit); /* takes NULL */

/* Whether a decision of this outcome is written down. */
bool audit_wants(const struct audit *audit, uint32_t error);
/* Writes entries, one line each; takes NULL as a log that wants nothing. AUDIT: what they decided must not be told. */
CC_ERR audit_write(struct audit *audit, const struct audit_entry *entries, size_t n);
/* The same for one administrative event. */
CC_ERR audit_event(struct audit *audit, const struct audit_entry *entry);
/* Nothing is answered because it can't be written down. */
bool audit_blocks(struct audit *audit);
/* The last write, or the last sync, failed. */
bool audit_failing(struct audit *audit);
/* What is on the disk. */
struct audit_position audit_durable(struct audit *audit);
/* The age of the oldest line that is not; 0 when all are. Takes NULL. */
uint64_t audit_lag_ns(struct audit *audit);

#endif
