/* slash/dynamodb_judge.h - a claim against one key's head, as pure functions.
 *
 * WHAT      What a head alone can say about a claim, what the key's older records are needed for, and the head after a claim
 *           was recorded. The rules are slash/rules.h; here is only what must be looked at.
 * PROMISE   Says the same as slash/rules.h over all records of the key, if those beside the head are the ones that
 *           dynamodb_judge_range() names.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS NO_MEMORY.   SECRETS None.
 */
#ifndef SLASH_DYNAMODB_JUDGE_H
#define SLASH_DYNAMODB_JUDGE_H

#include "slash/dynamodb_item.h"

/* A growing list of records. */
struct dynamodb_records {
    struct dynamodb_record *all;
    size_t count;
    size_t room;
};
CC_ERR dynamodb_records_add(struct dynamodb_records *list, const struct dynamodb_record *record);
void dynamodb_records_release(struct dynamodb_records *list);

/* The claim against the gate and the head. False: older records are needed, and *ret_verdict says nothing. */
bool dynamodb_judge_head(const struct dynamodb_head *head,
                         const struct slash_claim *claim,
                         struct slash_verdict *ret_verdict);
/* Slots or targets, both included, whose records decide together with the head. */
void dynamodb_judge_range(const struct slash_claim *claim, uint64_t *ret_first, uint64_t *ret_last);
/* The claim against the head and those records of its kind. */
CC_ERR dynamodb_judge_records(const struct dynamodb_head *head,
                              const struct slash_claim *claim,
                              const struct dynamodb_records *records,
                              struct slash_verdict *ret_verdict);

/* The head with the claim in it, one version on; its `recent` must have room. */
void dynamodb_head_record(struct dynamodb_head *head, const struct slash_claim *claim);

#endif
