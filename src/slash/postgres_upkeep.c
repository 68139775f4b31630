#include <stdio.h>

#include "slash/postgres_history.h"

static cc_err send_step(struct postgres_history *h, const char *keep_slots, const char *keep_epochs)
{
    char after[24];
    struct postgres_params lock = {0}, blocks = {0}, votes = {0};
    (void)snprintf(after, sizeof after, "%llu", (unsigned long long)h->prune_after);
    postgres_put_text(&lock, after);
    postgres_put_text(&blocks, keep_slots);
    postgres_put_text(&votes, keep_epochs);
    CC_TRY(postgres_begin(h));
    CC_TRY(postgres_db_send(&h->db, POSTGRES_PRUNE_LOCK, &lock));
    CC_TRY(postgres_db_send(&h->db, POSTGRES_PRUNE_HEADS, NULL));
    CC_TRY(postgres_db_send(&h->db, POSTGRES_PRUNE_BLOCKS, &blocks));
    CC_TRY(postgres_db_send(&h->db, POSTGRES_PRUNE_VOTES, &votes));
    return postgres_end_sent(h);
}

static cc_err take_count(struct postgres_history *h, uint64_t *ret_count)
{
    CC_CLEANUP(postgres_clearp) PGresult *result = NULL;
    CC_TRY(postgres_db_take(&h->db, &result));
    return postgres_column_u64(result, 0, 0, ret_count);
}

static cc_err
take_step(struct postgres_history *h, struct slash_prune_step *ret_step, uint64_t *ret_last)
{
    CC_CLEANUP(postgres_clearp) PGresult *page = NULL;
    uint64_t seen, blocks, votes;
    CC_TRY(postgres_begun(h));
    CC_TRY(postgres_db_take(&h->db, &page));
    CC_TRY(postgres_column_u64(page, 0, 0, &seen));
    CC_TRY(postgres_db_pass(&h->db));
    CC_TRY(take_count(h, &blocks));
    CC_TRY(take_count(h, &votes));
    CC_TRY(postgres_ended(h));
    *ret_step = (struct slash_prune_step){.more = seen > 0, .removed = blocks + votes};
    *ret_last = 0;
    return seen ? postgres_column_u64(page, 0, 1, ret_last) : CC_OK;
}

/* Each step is one transaction over a page of validators. */
cc_err postgres_prune(struct slash_store *store,
                      uint64_t keep_epochs,
                      uint64_t slots_per_epoch,
                      struct slash_prune_step *ret_step)
{
    struct postgres_history *h = postgres_history_of(store);
    char slots[24], epochs[24];
    (void)snprintf(slots, sizeof slots, "%llu",
                   (unsigned long long)slash_keep_slots(keep_epochs, slots_per_epoch));
    (void)snprintf(epochs, sizeof epochs, "%llu", (unsigned long long)keep_epochs);
    CC_TRY(postgres_history_settled(h, POSTGRES_WORK_PATIENCE_MS));
    cc_err err = send_step(h, slots, epochs);
    if (!err.code)
        err = take_step(h, ret_step, &h->prune_after);
    return postgres_history_done(h, err);
}

/* --- raising all watermarks ------------------------------------------------------------------------------------------ */

/* The keys behind `after`, a page of them, in one transaction: first their locks, then their watermarks. */
static cc_err raise_page(struct postgres_history *h,
                         const struct slash_watermark *floor,
                         uint64_t *after,
                         uint64_t *ret_count)
{
    CC_CLEANUP(postgres_clearp) PGresult *page = NULL;
    char text[24];
    struct postgres_low low;
    struct postgres_params params = {0};
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)*after);
    postgres_put_text(&params, text);
    CC_TRY(postgres_begin(h));
    CC_TRY(postgres_db_send(&h->db, POSTGRES_LOCK_PAGE, &params));
    postgres_put_low(&params, floor, &low);
    CC_TRY(postgres_db_send(&h->db, POSTGRES_RAISE_PAGE, &params));
    CC_TRY(postgres_end_sent(h));
    CC_TRY(postgres_begun(h));
    CC_TRY(postgres_db_pass(&h->db));
    CC_TRY(postgres_db_take(&h->db, &page));
    CC_TRY(postgres_column_u64(page, 0, 0, ret_count));
    CC_TRY(postgres_column_u64(page, 0, 1, after));
    return postgres_ended(h);
}

cc_err postgres_raise_all(struct slash_store *store,
                          const struct slash_watermark *floor,
                          uint64_t *ret_count)
{
    struct postgres_history *h = postgres_history_of(store);
    uint64_t after = 0;
    *ret_count = 0;
    for (uint64_t n = 1; n > 0; *ret_count += n) {
        CC_TRY(postgres_history_ready(h, POSTGRES_WORK_PATIENCE_MS));
        CC_TRY(postgres_history_done(h, raise_page(h, floor, &after, &n)));
    }
    return CC_OK;
}
