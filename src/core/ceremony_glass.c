/* Break-glass files: the shares of a set that was made here, encrypted to who keeps them. They are in no store (T17): who made them has them in
 * memory, for as long as it lives. Of one proposal two replicas, or two tries, make two sets, and one of them is stored: what is given out
 * is of that one, by its commitments, or nothing is.
 */
#include <string.h>

#include "core/ceremony_inside.h"

void ceremony_glass_init(struct ceremony *c)
{
    for (size_t k = 0; k < CEREMONY_GLASS_MAX; k++)
        for (size_t i = 0; i < SEAL_BREAK_GLASS_MAX; i++)
            c->glass[k].texts[i] = buf_init(SEAL_TEXT_MAX);
}

void ceremony_glass_release(struct ceremony *c)
{
    for (size_t k = 0; k < CEREMONY_GLASS_MAX; k++)
        for (size_t i = 0; i < SEAL_BREAK_GLASS_MAX; i++)
            buf_release(&c->glass[k].texts[i]);
}

/* The oldest one gives way. */
static struct ceremony_glass *make_room(struct ceremony *c)
{
    const struct ceremony_glass oldest = c->glass[CEREMONY_GLASS_MAX - 1];
    if (c->glass[0].shares.count) {
        memmove(&c->glass[1], &c->glass[0], (CEREMONY_GLASS_MAX - 1) * sizeof c->glass[0]);
        c->glass[0] = oldest;
    }
    for (size_t i = 0; i < SEAL_BREAK_GLASS_MAX; i++)
        c->glass[0].texts[i].len = 0;
    c->glass[0].shares = (struct seal_shares){0};
    return &c->glass[0];
}

CC_ERR ceremony_glass_take(struct ceremony *c, const struct seal_next *next)
{
    const struct seal_shares *shares = &next->set.break_glass;
    if ((next->proposal.keep & SEAL_KEEP_KMS) || shares->count == 0)
        return CC_OK;
    struct ceremony_glass *glass = make_room(c);
    for (uint32_t i = 0; i < shares->count && i < SEAL_BREAK_GLASS_MAX; i++) {
        CC_TRY(ceremony_text(c, B_PART_BREAK_GLASS, i));
        CC_TRY(buf_append(&glass->texts[i], c->messages->text.bytes, c->messages->text.len));
        glass->recipients[i] = next->proposal.break_glass[i];
    }
    glass->shares = *shares;
    return CC_OK;
}

static bool is_of(const struct ceremony_glass *glass, const struct seal_shares *shares)
{
    const size_t size = sizeof shares->commitments[0] * shares->count;
    return shares->count != 0 && shares->count == glass->shares.count &&
           shares->threshold == glass->shares.threshold &&
           span_equal(span_of(shares->commitments, size), span_of(glass->shares.commitments, size));
}

void ceremony_glass_drop(struct ceremony *c, const struct seal_set *set)
{
    if (is_of(&c->glass[0], &set->break_glass))
        c->glass[0].shares.count = 0;
}

const struct ceremony_glass *ceremony_glass_of(const struct ceremony *c, const struct seal_set *set)
{
    for (size_t k = 0; k < CEREMONY_GLASS_MAX; k++)
        if (is_of(&c->glass[k], &set->break_glass))
            return &c->glass[k];
    return NULL;
}
