#include "core/ceiling_gate.h"

#include "base/clock.h"
#include "base/num.h"

static uint64_t epoch_of(const struct ceiling_gate *gate, const struct pending *row)
{
    const struct slash_claim *claim = &row->outcome.claim;
    return claim->kind == SLASH_CLAIM_BLOCK ? claim->slot / gate->slots_per_epoch : claim->target;
}

static bool may_pass(const struct ceiling_gate *gate, const struct pending *row)
{
    return keeper_allows(gate->keeper, epoch_of(gate, row));
}

/* The newest epoch of a list that is not empty. */
static uint64_t newest_of(const struct ceiling_gate *gate, const struct pending_list *list)
{
    uint64_t newest = 0;
    for (const struct pending *row = list->head; row; row = row->next)
        newest = u64_max(newest, epoch_of(gate, row));
    return newest;
}

static void sort(struct ceiling_gate *gate,
                 size_t max,
                 struct pending_list *from,
                 struct pending_list *ret_passed,
                 struct pending_list *ret_late)
{
    const uint64_t now = clock_mono_ns();
    struct pending *row = NULL;
    while ((row = pending_list_shift(from))) {
        const bool may = may_pass(gate, row);
        if (may && ret_passed->count < max)
            pending_list_add(ret_passed, row);
        else if (!may && now - row->arrived_ns > gate->patience_ns)
            pending_list_add(ret_late, row);
        else
            pending_list_add(&gate->waiting, row);
    }
}

void ceiling_gate_pass(struct ceiling_gate *gate,
                       size_t max,
                       struct pending_list *list,
                       struct pending_list *ret_late)
{
    struct pending_list before = gate->waiting;
    struct pending_list passed = {0};
    *ret_late = (struct pending_list){0};
    if (!gate->keeper)
        return;
    gate->waiting = (struct pending_list){0};
    sort(gate, max, &before, &passed, ret_late);
    sort(gate, max, list, &passed, ret_late);
    *list = passed;
    if (passed.head)
        keeper_note(gate->keeper, newest_of(gate, &passed));
    if (gate->waiting.head)
        keeper_need(gate->keeper, newest_of(gate, &gate->waiting));
}

uint64_t ceiling_gate_late_at(const struct ceiling_gate *gate)
{
    uint64_t at = 0;
    for (const struct pending *row = gate->waiting.head; row; row = row->next) {
        const uint64_t late = row->arrived_ns + gate->patience_ns + 1;
        at = at ? u64_min(at, late) : late;
    }
    return at;
}

bool ceiling_gate_is_open(const struct ceiling_gate *gate)
{
    for (const struct pending *row = gate->waiting.head; row; row = row->next)
        if (may_pass(gate, row))
            return true;
    return false;
}

struct pending_list ceiling_gate_empty(struct ceiling_gate *gate)
{
    struct pending_list all = gate->waiting;
    gate->waiting = (struct pending_list){0};
    return all;
}
