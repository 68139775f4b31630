/* core/ceiling_gate.h - the claims that wait for the ceiling to rise.
 *
 * WHAT      Stands before the history's writer. What is at or below the ceiling (core/keeper.h) passes; what is above it waits here
 *           and has the ceiling raised.
 * PROMISE   No row passes whose epoch the keeper does not allow. A row waits no longer than the patience, counted from its
 *           arrival. Those that wait hold up nobody else.
 * THREADS   The writer's.
 * OWNERSHIP Owns the rows that wait.
 * ERRORS    None: rows that waited in vain are handed back.
 * SECRETS   None.
 */
#ifndef CORE_CEILING_GATE_H
#define CORE_CEILING_GATE_H

#include "core/keeper.h"
#include "core/pending.h"

struct ceiling_gate {
    struct keeper *keeper; /* NULL: everything passes */
    uint64_t slots_per_epoch;
    uint64_t patience_ns;
    /* private */
    struct pending_list waiting;
};

/* Takes all of `list`; *list is then what passes now, older ones first, at most `max` rows, and *ret_late what has waited too
 * long.
 */
void ceiling_gate_pass(struct ceiling_gate *gate,
                       size_t max,
                       struct pending_list *list,
                       struct pending_list *ret_late);
/* When a row that waits becomes late; 0: none waits. */
uint64_t ceiling_gate_late_at(const struct ceiling_gate *gate);
/* Some row that waits may pass: there were more than `max`, or the ceiling has risen. */
bool ceiling_gate_is_open(const struct ceiling_gate *gate);
/* Hands all back that waits. */
struct pending_list ceiling_gate_empty(struct ceiling_gate *gate);

#endif
