/* core/board.h - what the status page shows and nobody else keeps.
 *
 * WHAT      Points of the last half hour (rates, latencies, sizes of batches), the latest refusals, the replicas that the state
 *           store knows, and what the history's writer last counted.
 * PROMISE   Everything has its fixed place: nothing grows with load. A refusal costs a copy under a lock that is never held over I/O.
 *           The history is counted only when somebody looks at the page, at most once in BOARD_HISTORY_MS, while nothing waits for the writer.
 * THREADS   Any; board.lock is a leaf. tick: the control thread. follow: the keeper's. wants_history, history: the writer.
 * OWNERSHIP board_free() frees.
 * ERRORS    NO_MEMORY.
 * SECRETS   None.
 */
#ifndef CORE_BOARD_H
#define CORE_BOARD_H

#include "core/audit_line.h"
#include "core/sign_path.h"
#include "slash/store.h"
#include "state/store.h"

enum {
    BOARD_POINT_S = 10,
    BOARD_POINTS = 180,
    BOARD_REFUSALS = 24,
    BOARD_REPLICAS = 16,
    BOARD_HISTORY_MS = 60000
};

/* What happened in one interval. */
struct board_point {
    uint64_t at; /* seconds since 1970: its end */
    uint64_t span_ms;
    uint64_t signed_count;
    uint64_t refused_count;
    uint64_t median_us; /* of the time from arrival to answer; 0: nothing was answered */
    uint64_t p99_us;
    uint64_t batch_tenths; /* mean claims of a history transaction */
};

struct board_refusal {
    uint64_t at; /* seconds since 1970 */
    uint32_t error;
    const char *operation; /* static */
    const char *rule;      /* the same; "" */
    struct eth_pubkey pubkey;
    char principal[PRINCIPAL_SIZE];
};

/* One that has ever written into its audit log, or that is part of a ceremony now. */
struct board_replica {
    uint8_t id[AUDIT_REPLICA_SIZE];
    uint64_t segment; /* of its audit log, as it is anchored */
    uint64_t lines;
};

struct board_view {
    uint32_t point_count; /* the oldest first */
    struct board_point points[BOARD_POINTS];
    uint32_t refusal_count; /* the newest first */
    struct board_refusal refusals[BOARD_REFUSALS];
    uint32_t replica_count;
    struct board_replica replicas[BOARD_REPLICAS];
    bool
        has_slot; /* the newest block and the newest target that this core has given signatures for */
    uint64_t newest_slot;
    bool has_target;
    uint64_t newest_target;
    uint64_t history_at; /* seconds since 1970; 0: nobody has counted yet */
    struct slash_status history;
};

struct board;

CC_ERR board_new(struct board **ret_board);
void board_free(struct board *board); /* takes NULL */

/* Once a second. */
void board_tick(struct board *board, uint64_t mono_ms, uint64_t wall_s);
/* A signature, or with `error` a refusal. Takes NULL. */
void board_answered(struct board *board,
                    const struct sign_outcome *outcome,
                    const struct eth_pubkey *pubkey,
                    uint32_t error,
                    uint32_t rule,
                    uint64_t wall_s);
void board_follow(struct board *board, const struct state_store *state);
/* Somebody looks, and what is known is too old. */
bool board_wants_history(struct board *board, uint64_t mono_ms);
void board_history(struct board *board,
                   const struct slash_status *status,
                   uint64_t mono_ms,
                   uint64_t wall_s);
/* Copies all; from now on somebody looks. */
void board_read(struct board *board, struct board_view *ret_view);

#endif
