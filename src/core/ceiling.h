/* core/ceiling.h - the newest epoch that this chamber's history may have recorded, remembered outside of it.
 *
 * WHAT      A number that stands in the state store and in the history. No claim above it is given to the history, so a history
 *           whose own number is lower than the state store's is an older copy: of what it lost nothing lies above the
 *           ceiling. At a start both are compared and what is unfinished is finished; later core/keeper.h raises it.
 * PROMISE   A ceiling is raised in three durable steps: the state store names the next one (pending), the history takes it over,
 *           the state store calls it confirmed. A crash between any two leaves confirmed <= history <= pending. When the
 *           history is behind the confirmed one (T8), every key's low watermarks rise to it before anything is signed,
 *           and those of keys that get a row later; so they do when only the record of it was lost.
 * THREADS   The control thread before there are others, then the keeper's.
 * OWNERSHIP Borrows.
 * ERRORS    Those of state and history; TAMPERED for a record of another format.
 * SECRETS   None.
 *
 * Formats: docs/formats.md, "Record history/ceiling", "Record history/floor".
 */
#ifndef CORE_CEILING_H
#define CORE_CEILING_H

#include "slash/store.h"
#include "state/store.h"

/* The record `history/ceiling`. Without one, all zero: nothing was recorded yet. */
struct ceiling {
    bool has_confirmed;
    uint64_t confirmed; /* the history has it */
    uint64_t pending;   /* the history may have it; never below the confirmed one */
};

/* What is left to do at a start, by what the two stores say. */
enum ceiling_verdict {
    CEILING_AGREES,
    CEILING_UNFINISHED,   /* the history is told again, and then it is confirmed */
    CEILING_STATE_BEHIND, /* the state store is the older one */
    CEILING_ROLLED_BACK   /* the history is */
};

struct ceiling_stores {
    struct state_store *state;
    struct slash_store *history;
    const struct state_signer *signer;
    uint64_t slots_per_epoch;
};

/* `there`: whether the state store has the record. */
enum ceiling_verdict
ceiling_judge(bool there, const struct ceiling *ceiling, bool history_has, uint64_t history_epoch);
/* Compares, repairs, says in the log what was wrong, and makes the ceiling ready for ceiling_begin(). */
CC_ERR ceiling_settle(const struct ceiling_stores *stores, struct ceiling *ret_ceiling);

/* What the state store says now. */
CC_ERR ceiling_read(const struct state_store *state, bool *ret_there, struct ceiling *ret_ceiling);
/* First step: the state store names `epoch`, which is above the pending one, or is it. */
CC_ERR ceiling_begin(struct state_store *state,
                     const struct state_signer *signer,
                     uint64_t epoch,
                     struct ceiling *ceiling);
/* Third step: the history has the pending one. */
CC_ERR ceiling_confirm(struct state_store *state,
                       const struct state_signer *signer,
                       struct ceiling *ceiling);

/* Low watermarks below which no row lies that is made from now on, or imported into (record `history/floor`); without a record, none. */
CC_ERR ceiling_read_floor(const struct state_store *state, struct slash_watermark *ret_floor);
/* Raises them; they never go down. */
CC_ERR ceiling_raise_floor(struct state_store *state,
                           const struct state_signer *signer,
                           const struct slash_watermark *floor);

/* --- records as bytes (exported for tests and fuzzers) -------------------------------------------------- */

enum {
    CEILING_RECORD_SIZE = 4 + 1 + 8 + 8,
    FLOOR_RECORD_SIZE = 4 + 8 + 8 + 8
};

void ceiling_record_encode(const struct ceiling *ceiling, uint8_t out[static CEILING_RECORD_SIZE]);
CC_ERR ceiling_record_decode(struct span bytes, struct ceiling *ret_ceiling);
void floor_record_encode(const struct slash_watermark *floor,
                         uint8_t out[static FLOOR_RECORD_SIZE]);
CC_ERR floor_record_decode(struct span bytes, struct slash_watermark *ret_floor);

#endif
