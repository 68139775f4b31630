#include "core/first_set.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

#include "crypto/random.h"
#include "seal/record.h"

CC_ERR first_set_make(struct vault_call *vault, const struct b_chamber *chamber, struct buf *out)
{
    CC_CLEANUP(cc_freep) struct seal_current *current = cc_alloc(sizeof *current);
    struct seal_proposal proposal = {.mode = SEAL_LOCAL, .generation = 1};
    if (!current)
        return CC_FAIL(NO_MEMORY, NULL);
    memcpy(proposal.chamber_id, chamber->chamber_id, sizeof proposal.chamber_id);
    CC_TRY(random_bytes(proposal.id, sizeof proposal.id));
    CC_TRY(vault_call_make_set(vault, &proposal, &current->set));
    return seal_current_encode(current, out);
}

CC_ERR first_set_open(struct vault_call *vault,
                      const struct state_store *state,
                      bool latched,
                      struct b_seal_state *ret_state)
{
    CC_CLEANUP(cc_freep) struct seal_current *current = cc_alloc(sizeof *current);
    const struct state_record *record = state_find(state, SEAL_RECORD_KIND, SEAL_RECORD_CURRENT);
    *ret_state = (struct b_seal_state){0};
    if (!current)
        return CC_FAIL(NO_MEMORY, NULL);
    if (!record)
        return CC_OK;
    cc_err err = seal_current_decode(span_of(record->bytes, record->len), current);
    /* The key of a local set is open as soon as the vault has the set. */
    if (!err.code && latched && current->set.mode == SEAL_LOCAL)
        return vault_call_seal_state(vault, ret_state);
    if (!err.code)
        err = vault_call_open_set(vault, &current->set, ret_state);
    if (err.code)
        log_error("the set that opens the master key is refused", KV_ERR(err));
    return err;
}
