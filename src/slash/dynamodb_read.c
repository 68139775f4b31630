#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

#include "slash/dynamodb_history.h"

/* --- pages of heads ---------------------------------------------------------------------------------------------------------- */

/* What is read as a whole is refused as a whole, and whoever is to put the item right must know which it is: its sort key has
 * the public key, and a record's kind and number.
 */
static cc_err name_item(struct dynamodb_history *h, struct jval item, cc_err err)
{
    struct jval sort, value;
    struct span text = span_str("");
    char name[DYNAMODB_SORT_MAX] = "";
    if (!error_is(err, ERROR_TAMPERED))
        return err;
    if (jval_member(item, "sk", &sort) && jval_member(sort, "S", &value) &&
        jval_text(value, &text).code)
        text = span_str("");
    if (text.len >= sizeof name)
        text.len = sizeof name - 1;
    memcpy(name, text.data, text.len);
    if (strcmp(name, h->said_item) == 0)
        return err;
    memcpy(h->said_item, name, sizeof name);
    log_error(
        "an item of the history is of another form: the history can't be read until it is put right",
        KV_STR("table", h->db.table), KV_STR("sk", name), KV_ERR(err),
        KV_STR("hint", "put back what was there: an attribute that somebody added may go"));
    return err;
}

static cc_err take_heads(struct dynamodb_history *h,
                         struct jval answer,
                         struct dynamodb_head *heads,
                         size_t room,
                         size_t *ret_count)
{
    struct jval_iter items;
    struct jval item;
    size_t n = 0;
    CC_TRY(dynamodb_answer_items(answer, &items));
    while (jval_next(&items, &item)) {
        if (n == room)
            return CC_FAIL(STORE, "DynamoDB answers with more items than were asked for");
        CC_TRY(name_item(h, item, dynamodb_head_read(item, &heads[n++])));
    }
    *ret_count = n;
    return CC_OK;
}

CC_ERR dynamodb_page_heads(struct dynamodb_history *h,
                           struct dynamodb_cursor *cursor,
                           unsigned room,
                           struct dynamodb_head *ret_heads,
                           size_t *ret_count,
                           bool *ret_more)
{
    struct dynamodb_range range;
    struct jval answer;
    dynamodb_range_of_heads(cursor->shard, &range);
    range.limit = room;
    memcpy(range.after, cursor->after, sizeof range.after);
    CC_TRY(dynamodb_body_query(&h->db, &range, &h->db.body));
    CC_TRY(dynamodb_ask(&h->db, "Query", &answer));
    CC_TRY(take_heads(h, answer, ret_heads, room, ret_count));
    CC_TRY(dynamodb_answer_after(answer, cursor->after));
    if (!cursor->after[0])
        cursor->shard++;
    *ret_more = cursor->shard < DYNAMODB_SHARDS;
    return CC_OK;
}

/* --- records ------------------------------------------------------------------------------------------------------------------- */

/* By kind, then number. */
static int record_order(const void *a, const void *b)
{
    const struct dynamodb_record *x = a, *y = b;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

static void split_sorted(const struct dynamodb_record *r, size_t n, struct dynamodb_split *split)
{
    for (size_t i = 0; i < n; i++) {
        /* A record may be in its head and an item already: the same twice. */
        if (i && record_order(&r[i - 1], &r[i]) == 0)
            continue;
        if (r[i].kind == SLASH_CLAIM_BLOCK)
            split->blocks[split->block_count++] =
                (struct slash_block){r[i].number, r[i].has_root, r[i].root};
        else
            split->attestations[split->attestation_count++] =
                (struct slash_attestation){r[i].source, r[i].number, r[i].has_root, r[i].root};
    }
}

CC_ERR dynamodb_split(const struct dynamodb_records *records, struct dynamodb_split *ret_split)
{
    size_t n = records->count;
    CC_CLEANUP(cc_freep) struct dynamodb_record *sorted = cc_alloc_array(n + 1, sizeof *sorted);
    *ret_split = (struct dynamodb_split){
        .blocks = cc_alloc_array(n + 1, sizeof *ret_split->blocks),
        .attestations = cc_alloc_array(n + 1, sizeof *ret_split->attestations),
    };
    if (!sorted || !ret_split->blocks || !ret_split->attestations)
        return CC_FAIL(NO_MEMORY, "records");
    if (n) {
        memcpy(sorted, records->all, n * sizeof *sorted);
        qsort(sorted, n, sizeof *sorted, record_order);
    }
    split_sorted(sorted, n, ret_split);
    return CC_OK;
}

void dynamodb_split_release(struct dynamodb_split *split)
{
    cc_free(split->blocks);
    cc_free(split->attestations);
    *split = (struct dynamodb_split){0};
}

/* --- the walk ------------------------------------------------------------------------------------------------------------------ */

/* Heads come page by page; the records of a page's keys are read after it, all in one range, so that each record is in the head
 * or comes later. Both are in order of public key: one key's records are held at a time.
 */
struct walk {
    struct dynamodb_history *h;
    slash_visit_fn *visit;
    void *context;
    const struct dynamodb_head *heads;
    size_t count, at; /* the page of heads, and whose records are being collected */
    struct dynamodb_records records;
};

static void walk_release(struct walk *w)
{
    dynamodb_records_release(&w->records);
}

static cc_err visit_head(struct walk *w)
{
    CC_CLEANUP(dynamodb_split_release) struct dynamodb_split split = {0};
    const struct dynamodb_head *head = &w->heads[w->at++];
    for (size_t i = 0; i < head->recent_count; i++)
        CC_TRY(dynamodb_records_add(&w->records, &head->recent[i]));
    CC_TRY(dynamodb_split(&w->records, &split));
    w->records.count = 0;
    const struct slash_validator v = {.pubkey = head->pubkey,
                                      .enabled = head->enabled,
                                      .low = head->low,
                                      .blocks = split.blocks,
                                      .block_count = split.block_count,
                                      .attestations = split.attestations,
                                      .attestation_count = split.attestation_count};
    return w->visit(w->context, &v);
}

/* What is newer than the head is not part of the moment that the head shows; what has no head is nobody's. */
static cc_err
take_record(struct walk *w, const struct eth_pubkey *of, const struct dynamodb_record *record)
{
    int order = -1;
    while (w->at < w->count) {
        order = memcmp(w->heads[w->at].pubkey.bytes, of->bytes, sizeof of->bytes);
        if (order >= 0)
            break;
        CC_TRY(visit_head(w));
    }
    if (order != 0 || record->version > w->heads[w->at].version)
        return CC_OK;
    return dynamodb_records_add(&w->records, record);
}

static cc_err take_page(struct walk *w, struct jval answer)
{
    struct jval_iter items;
    struct jval item;
    CC_TRY(dynamodb_answer_items(answer, &items));
    while (jval_next(&items, &item)) {
        struct eth_pubkey of;
        struct dynamodb_record record;
        CC_TRY(name_item(w->h, item, dynamodb_record_read(item, &of, &record)));
        CC_TRY(take_record(w, &of, &record));
    }
    return CC_OK;
}

static cc_err walk_page(struct walk *w)
{
    struct dynamodb_range range;
    struct jval answer;
    if (w->count == 0)
        return CC_OK;
    dynamodb_range_of_key(&w->heads[0].pubkey, &range);
    dynamodb_records_last(&w->heads[w->count - 1].pubkey, range.last);
    do {
        CC_TRY(dynamodb_body_query(&w->h->db, &range, &w->h->db.body));
        CC_TRY(dynamodb_ask(&w->h->db, "Query", &answer));
        CC_TRY(take_page(w, answer));
        CC_TRY(dynamodb_answer_after(answer, range.after));
    } while (range.after[0]);
    while (w->at < w->count)
        CC_TRY(visit_head(w));
    return CC_OK;
}

static cc_err visit_all(struct walk *w, struct dynamodb_head *heads)
{
    struct dynamodb_cursor cursor = {0};
    bool more = true;
    w->heads = heads;
    while (more) {
        w->at = w->count = 0;
        CC_TRY(dynamodb_page_heads(w->h, &cursor, DYNAMODB_PAGE, heads, &w->count, &more));
        CC_TRY(walk_page(w));
    }
    return CC_OK;
}

static cc_err visit_key(struct walk *w, const struct eth_pubkey *only)
{
    struct dynamodb_head head;
    bool found = false;
    CC_TRY(dynamodb_get_head(&w->h->db, only, &found, &head));
    w->heads = &head;
    w->count = found;
    return walk_page(w);
}

cc_err dynamodb_visit(struct slash_store *store,
                      const struct eth_pubkey *only,
                      slash_visit_fn *visit,
                      void *context)
{
    CC_CLEANUP(walk_release)
    struct walk w = {.h = dynamodb_history_of(store), .visit = visit, .context = context};
    CC_TRY(dynamodb_history_ready(w.h));
    if (only)
        return visit_key(&w, only);
    CC_CLEANUP(cc_freep) struct dynamodb_head *heads = cc_alloc_array(DYNAMODB_PAGE, sizeof *heads);
    if (!heads)
        return CC_FAIL(NO_MEMORY, "DynamoDB history");
    return visit_all(&w, heads);
}

/* From where on: the first shard, or behind `after` in its own. False when all keys come before `after`. */
static bool begin_after(const struct eth_pubkey *after, struct dynamodb_cursor *ret_cursor)
{
    *ret_cursor = (struct dynamodb_cursor){0};
    if (!after)
        return true;
    if (!dynamodb_shard(after,
                        &ret_cursor->shard)) { /* no key of a table: all of them lie on one side */
        ret_cursor->shard = 0;
        return after->bytes[0] < 0x80;
    }
    dynamodb_head_sort(after, ret_cursor->after);
    return true;
}

static cc_err
visit_next(struct walk *w, struct dynamodb_cursor *cursor, size_t max, struct dynamodb_head *heads)
{
    bool more = true;
    w->heads = heads;
    for (size_t left = max; more && left; left -= w->count) {
        w->at = w->count = 0;
        CC_TRY(dynamodb_page_heads(w->h, cursor, (unsigned)left, heads, &w->count, &more));
        CC_TRY(walk_page(w));
    }
    return CC_OK;
}

cc_err dynamodb_visit_after(struct slash_store *store,
                            const struct eth_pubkey *after,
                            size_t max,
                            slash_visit_fn *visit,
                            void *context)
{
    CC_CLEANUP(walk_release)
    struct walk w = {.h = dynamodb_history_of(store), .visit = visit, .context = context};
    struct dynamodb_cursor cursor;
    CC_TRY(dynamodb_history_ready(w.h));
    if (!begin_after(after, &cursor))
        return CC_OK;
    CC_CLEANUP(cc_freep) struct dynamodb_head *heads = cc_alloc_array(max, sizeof *heads);
    return heads ? visit_next(&w, &cursor, max, heads) : CC_FAIL(NO_MEMORY, "DynamoDB history");
}
