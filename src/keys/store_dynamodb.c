/* A key store in a DynamoDB table, which replicas share.
 *
 * A transaction of DynamoDB has at most 100 items, a change 256 rows. So a change is made by one conditional write of one item: the
 * head, which holds all rows of the newest change beside its mark. After it the rows are written to items of their own, each only
 * over a lower version, by whoever comes first: the writer, or the next one, who does it before the head is replaced. Who reads takes
 * the rows of the head for those that are in the items; and reads again when the head has become another meanwhile.
 */
#include "keys/store_dynamodb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#include "aws/dynamodb_link.h"
#include "codec/base64.h"
#include "crypto/random.h"
#include "keys/dynamodb_rows.h"

enum {
    LOAD_MS = 10000, /* for a page */
    BODY_MAX = 1 << 20,
    PAGE = 2048, /* rows: about 700 kB of JSON */
    SCAN_TRIES = 8,
    AFTER_MAX = 2 * sizeof(struct eth_pubkey) + 1
};

struct dynamodb_keys {
    struct key_store base;
    struct dynamodb_link link;
    uint8_t chamber[KEY_STORE_CHAMBER_SIZE];
    struct dynamodb_key_head head; /* as it was seen last */
    bool applied;                  /* its rows are in items of their own */
};

static const struct dynamodb_words words = {
    .away = ERROR_STORE,
    .missing = "the key store's table is missing",
    .making = "the key store's table is being made",
    .body_max = BODY_MAX,
};

static const struct key_store_ops dynamodb_ops;

static struct dynamodb_keys *of(struct key_store *store)
{
    cc_assert(store->ops == &dynamodb_ops);
    return (struct dynamodb_keys *)store;
}

/* --- calls ----------------------------------------------------------------------------------------------------------- */

static cc_err begin_body(const struct dynamodb_keys *s, struct buf *out)
{
    out->len = 0;
    return buf_printf(out, "{\"TableName\":\"%s\",", s->link.table);
}

/* --- the head ------------------------------------------------------------------------------------------------------------ */

static cc_err take_head(struct dynamodb_keys *s, bool found)
{
    const struct dynamodb_key_head *head = &s->head;
    s->base.has_id = found;
    s->base.mark = found ? head->mark : 0;
    s->applied = !found || head->count == 0;
    if (!found)
        return CC_OK;
    memcpy(s->base.id, head->id, sizeof s->base.id);
    if (!span_equal(span_of(head->chamber, sizeof head->chamber),
                    span_of(s->chamber, sizeof s->chamber)))
        return CC_FAIL(IDENTITY, "the key store is another chamber's");
    return strcmp(head->table_id, s->link.table_id) == 0
               ? CC_OK
               : CC_FAIL(IDENTITY, "the key store's table is another one: restored, or made anew");
}

static cc_err get_head(struct dynamodb_keys *s, bool *ret_found, struct dynamodb_key_head *ret_head)
{
    struct jval answer, item;
    CC_TRY(begin_body(s, &s->link.body));
    CC_TRY(buf_append_str(&s->link.body, "\"ConsistentRead\":true,\"Key\":"));
    CC_TRY(dynamodb_key_head_place(&s->link.body));
    CC_TRY(buf_append_str(&s->link.body, "}"));
    CC_TRY(dynamodb_link_ask(&s->link, "GetItem", NULL, &answer));
    *ret_found = jval_member(answer, "Item", &item);
    return *ret_found ? dynamodb_key_head_read(item, ret_head) : CC_OK;
}

static cc_err read_head(struct dynamodb_keys *s)
{
    bool found = false;
    CC_TRY(dynamodb_link_look(&s->link));
    CC_TRY(get_head(s, &found, &s->head));
    return take_head(s, found);
}

/* What a try that was not answered has done stands in the head. */
static cc_err look(struct dynamodb_keys *s, const struct dynamodb_key_head *next, cc_err otherwise)
{
    CC_CLEANUP(cc_freep) struct dynamodb_key_head *there = cc_alloc(sizeof *there);
    const char *why = error_detail(); /* of `otherwise`: the next call has its own */
    bool found = false;
    if (!there)
        return CC_FAIL(NO_MEMORY, NULL);
    CC_TRY(get_head(s, &found, there));
    return found && there->mark == next->mark &&
                   span_equal(span_of(there->token, sizeof there->token),
                              span_of(next->token, sizeof next->token))
               ? CC_OK
               : error_make((enum error_code)otherwise.code, why, __FILE__, __LINE__);
}

/* Over the head that was seen last; none: there must be none. */
static cc_err put_head(struct dynamodb_keys *s, struct dynamodb_key_head *next)
{
    struct jval answer;
    bool unsure = false;
    CC_TRY(random_bytes(next->token, sizeof next->token));
    CC_TRY(begin_body(s, &s->link.body));
    if (!s->base.has_id)
        CC_TRY(
            buf_append_str(&s->link.body, "\"ConditionExpression\":\"attribute_not_exists(pk)\","));
    else {
        CC_TRY(buf_printf(&s->link.body,
                          "\"ConditionExpression\":\"mark = :m AND store_id = :s\","
                          "\"ExpressionAttributeValues\":{\":m\":{\"N\":\"%llu\"},\":s\":{\"B\":\"",
                          (unsigned long long)s->base.mark));
        CC_TRY(base64_append(&s->link.body, s->base.id, sizeof s->base.id));
        CC_TRY(buf_append_str(&s->link.body, "\"}},"));
    }
    CC_TRY(buf_append_str(&s->link.body, "\"Item\":"));
    CC_TRY(dynamodb_key_head_append(&s->link.body, next));
    CC_TRY(buf_append_str(&s->link.body, "}"));
    cc_err err = dynamodb_link_ask(&s->link, "PutItem", &unsure, &answer);
    if (err.code && (unsure || !error_is(err, ERROR_CONFLICT)))
        err = look(s, next, err);
    if (err.code)
        return err;
    s->head = *next;
    return take_head(s, true);
}

/* --- rows in items of their own -------------------------------------------------------------------------------------------- */

/* Calls whose bodies are their own. */
struct calls {
    struct aws_call calls[KEY_STORE_CHANGE_MAX];
    struct buf bodies[KEY_STORE_CHANGE_MAX];
    size_t count;
};

static void calls_free(struct calls **at)
{
    struct calls *c = *at;
    if (!c)
        return;
    for (size_t i = 0; i < KEY_STORE_CHANGE_MAX; i++) {
        buf_release(&c->bodies[i]);
        aws_call_release(&c->calls[i]);
    }
    cc_free(c);
}

static struct buf *add_call(struct calls *c, const char *operation, uint32_t deadline_ms)
{
    c->calls[c->count] = (struct aws_call){.operation = operation, .deadline_ms = deadline_ms};
    c->bodies[c->count] = buf_init(BODY_MAX);
    return &c->bodies[c->count++];
}

static cc_err send_calls(struct dynamodb_keys *s, struct calls *c)
{
    for (size_t i = 0; i < c->count; i++)
        c->calls[i].body = buf_span(&c->bodies[i]);
    return c->count ? aws_call_many(s->link.client, c->calls, c->count) : CC_OK;
}

static cc_err append_put_row(struct dynamodb_keys *s, struct buf *out, const struct sealed_row *row)
{
    CC_TRY(begin_body(s, out));
    CC_TRY(buf_printf(out,
                      "\"ConditionExpression\":\"attribute_not_exists(pk) OR #v < :v\","
                      "\"ExpressionAttributeNames\":{\"#v\":\"version\"},"
                      "\"ExpressionAttributeValues\":{\":v\":{\"N\":\"%llu\"}},\"Item\":",
                      (unsigned long long)row->version));
    CC_TRY(dynamodb_key_row_append(out, row));
    return buf_append_str(out, "}");
}

/* An item that has this version already, or a later one, is as good. */
static cc_err apply(struct dynamodb_keys *s)
{
    if (s->applied)
        return CC_OK;
    CC_CLEANUP(calls_free) struct calls *c = cc_alloc(sizeof *c);
    if (!c)
        return CC_FAIL(NO_MEMORY, NULL);
    for (size_t i = 0; i < s->head.count; i++)
        CC_TRY(append_put_row(s, add_call(c, "PutItem", LOAD_MS), &s->head.rows[i]));
    CC_TRY(send_calls(s, c));
    for (size_t i = 0; i < c->count; i++) {
        cc_err err = dynamodb_link_error(&s->link, &c->calls[i]);
        if (err.code && !error_is(err, ERROR_CONFLICT))
            return err;
    }
    s->applied = true;
    return CC_OK;
}

/* --- reading --------------------------------------------------------------------------------------------------------------- */

struct rows {
    struct sealed_row *rows;
    size_t count;
    size_t room;
    char after[AFTER_MAX]; /* where the next page begins */
    bool more;
};

struct shards {
    struct rows shard[DYNAMODB_KEY_SHARDS];
};

static void shards_release(struct shards *shards)
{
    for (size_t i = 0; i < DYNAMODB_KEY_SHARDS; i++)
        cc_free(shards->shard[i].rows);
}

static cc_err add_row(struct rows *rows, const struct sealed_row *row)
{
    if (rows->count >= KEY_STORE_ROWS_MAX)
        return CC_FAIL(LIMIT, "more rows than a key store may have");
    struct sealed_row *grown = cc_grow_array(rows->rows, rows->count, &rows->room, sizeof *grown);
    if (!grown)
        return CC_FAIL(NO_MEMORY, "rows of a key store");
    rows->rows = grown;
    rows->rows[rows->count++] = *row;
    return CC_OK;
}

static cc_err
append_query(struct dynamodb_keys *s, struct buf *out, unsigned shard, const char *after)
{
    CC_TRY(begin_body(s, out));
    CC_TRY(buf_printf(out,
                      "\"ConsistentRead\":true,\"Limit\":%u,\"KeyConditionExpression\":\"pk = :p\","
                      "\"ExpressionAttributeValues\":{\":p\":{\"S\":\"keys/%x\"}}",
                      (unsigned)PAGE, shard));
    if (after[0])
        CC_TRY(buf_printf(
            out, ",\"ExclusiveStartKey\":{\"pk\":{\"S\":\"keys/%x\"},\"sk\":{\"S\":\"%s\"}}", shard,
            after));
    return buf_append_str(out, "}");
}

/* It goes into the next call, so it must be plain. */
static cc_err take_after(struct jval answer, struct rows *rows)
{
    struct jval last, sort, value;
    struct span text;
    rows->more = jval_member(answer, "LastEvaluatedKey", &last);
    if (!rows->more)
        return CC_OK;
    if (!jval_member(last, "sk", &sort) || !jval_member(sort, "S", &value) ||
        jval_text(value, &text).code || text.len + 1 != AFTER_MAX)
        return CC_FAIL(STORE, "DynamoDB's answer has no usable LastEvaluatedKey");
    memcpy(rows->after, text.data, text.len);
    return strspn(rows->after, "0123456789abcdef") == text.len
               ? CC_OK
               : CC_FAIL(STORE, "DynamoDB's answer has no usable LastEvaluatedKey");
}

static cc_err take_page(struct jval answer, unsigned shard, struct rows *rows)
{
    struct jval items, item;
    struct sealed_row row;
    if (!jval_member(answer, "Items", &items) || jval_type(items) != JVAL_ARRAY)
        return CC_FAIL(STORE, "DynamoDB's answer has no Items");
    struct jval_iter iter = jval_iterate(items);
    while (jval_next(&iter, &item)) {
        unsigned of_row = 0;
        CC_TRY(dynamodb_key_row_read(item, &row));
        (void)dynamodb_key_shard(&row.pubkey, &of_row);
        if (of_row != shard ||
            (rows->count && key_store_order(&rows->rows[rows->count - 1].pubkey, &row.pubkey) >= 0))
            return CC_FAIL(TAMPERED, "order of the key store");
        CC_TRY(add_row(rows, &row));
    }
    return take_after(answer, rows);
}

/* One page of every shard that has more, all at once. */
static cc_err read_pages(struct dynamodb_keys *s, struct shards *shards, bool *ret_more)
{
    unsigned number[DYNAMODB_KEY_SHARDS];
    CC_CLEANUP(calls_free) struct calls *c = cc_alloc(sizeof *c);
    if (!c)
        return CC_FAIL(NO_MEMORY, NULL);
    for (unsigned i = 0; i < DYNAMODB_KEY_SHARDS; i++) {
        if (!shards->shard[i].more)
            continue;
        number[c->count] = i;
        CC_TRY(append_query(s, add_call(c, "Query", LOAD_MS), i, shards->shard[i].after));
    }
    CC_TRY(send_calls(s, c));
    *ret_more = false;
    for (size_t i = 0; i < c->count; i++) {
        struct jval answer;
        CC_TRY(dynamodb_link_error(&s->link, &c->calls[i]));
        CC_TRY(dynamodb_link_parse(&s->link, &c->calls[i], &answer));
        CC_TRY(take_page(answer, number[i], &shards->shard[number[i]]));
        *ret_more |= shards->shard[number[i]].more;
    }
    return CC_OK;
}

/* The head's rows over those of the items. */
static cc_err lay_over(struct rows *rows, const struct sealed_row *row, bool *ret_differs)
{
    size_t at = 0;
    for (size_t count = rows->count; count;) { /* where it is, or where it belongs */
        const size_t half = count / 2;
        if (key_store_order(&rows->rows[at + half].pubkey, &row->pubkey) < 0) {
            at += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    const bool there =
        at < rows->count && key_store_order(&rows->rows[at].pubkey, &row->pubkey) == 0;
    if (there && rows->rows[at].version >= row->version)
        return CC_OK;
    *ret_differs = true;
    if (!there) {
        CC_TRY(add_row(rows, row));
        memmove(&rows->rows[at + 1], &rows->rows[at], (rows->count - 1 - at) * sizeof *row);
    }
    rows->rows[at] = *row;
    return CC_OK;
}

static cc_err lay_head_over(struct dynamodb_keys *s, struct shards *shards)
{
    bool differs = false;
    for (size_t i = 0; s->base.has_id && i < s->head.count; i++) {
        unsigned shard = 0;
        (void)dynamodb_key_shard(&s->head.rows[i].pubkey, &shard);
        CC_TRY(lay_over(&shards->shard[shard], &s->head.rows[i], &differs));
    }
    s->applied = !differs;
    return CC_OK;
}

/* *ret_whole: the head is still the one that the rows were read under. */
static cc_err read_all(struct dynamodb_keys *s, struct shards *shards, bool *ret_whole)
{
    bool more = true;
    CC_TRY(read_head(s));
    const bool had = s->base.has_id;
    const uint64_t mark = s->base.mark;
    for (unsigned i = 0; i < DYNAMODB_KEY_SHARDS; i++)
        shards->shard[i].more = true;
    while (more)
        CC_TRY(read_pages(s, shards, &more));
    CC_TRY(read_head(s));
    *ret_whole = s->base.has_id == had && s->base.mark == mark;
    return *ret_whole ? lay_head_over(s, shards) : CC_OK;
}

static cc_err visit_all(const struct shards *shards, key_store_visit_fn *visit, void *context)
{
    size_t count = 0;
    for (size_t i = 0; i < DYNAMODB_KEY_SHARDS; i++)
        count += shards->shard[i].count;
    if (count > KEY_STORE_ROWS_MAX)
        return CC_FAIL(LIMIT, "more rows than a key store may have");
    for (size_t i = 0; i < DYNAMODB_KEY_SHARDS; i++)
        for (size_t k = 0; k < shards->shard[i].count; k++)
            CC_TRY(visit(context, &shards->shard[i].rows[k]));
    return CC_OK;
}

static cc_err dynamodb_scan(struct key_store *store, key_store_visit_fn *visit, void *context)
{
    struct dynamodb_keys *s = of(store);
    for (unsigned tries = 0; tries < SCAN_TRIES; tries++) {
        CC_CLEANUP(shards_release) struct shards shards = {0};
        bool whole = false;
        CC_TRY(read_all(s, &shards, &whole));
        if (whole)
            return visit_all(&shards, visit, context);
    }
    return CC_FAIL(STORE, "the key store changes faster than it can be read");
}

/* --- writing ------------------------------------------------------------------------------------------------------------------ */

static cc_err
append_get_version(struct dynamodb_keys *s, struct buf *out, const struct key_change *change)
{
    CC_TRY(begin_body(s, out));
    CC_TRY(buf_append_str(out, "\"ConsistentRead\":true,\"ProjectionExpression\":\"#v\","
                               "\"ExpressionAttributeNames\":{\"#v\":\"version\"},\"Key\":"));
    CC_TRY(dynamodb_key_row_place(out, &change->next.pubkey));
    return buf_append_str(out, "}");
}

static cc_err compare(struct dynamodb_keys *s, struct aws_call *call, uint64_t expected)
{
    struct jval answer, item, attribute, value;
    uint64_t version = 0;
    CC_TRY(dynamodb_link_error(&s->link, call));
    CC_TRY(dynamodb_link_parse(&s->link, call, &answer));
    if (jval_member(answer, "Item", &item) &&
        (!jval_member(item, "version", &attribute) || !jval_member(attribute, "N", &value) ||
         jval_u64(value, &version).code || version == 0))
        return CC_FAIL(TAMPERED, "an item of the key store's table is not one of this program's");
    return version == expected ? CC_OK : CC_FAIL(CONFLICT, "a key's row has another version");
}

/* Under the mark that is known, rows change with the head alone: so they stay what they are until it is replaced. */
static cc_err compare_all(struct dynamodb_keys *s, const struct key_change *changes, size_t n)
{
    CC_CLEANUP(calls_free) struct calls *c = cc_alloc(sizeof *c);
    if (!c)
        return CC_FAIL(NO_MEMORY, NULL);
    for (size_t i = 0; i < n; i++)
        CC_TRY(append_get_version(s, add_call(c, "GetItem", DYNAMODB_LINK_MS), &changes[i]));
    CC_TRY(send_calls(s, c));
    for (size_t i = 0; i < n; i++)
        CC_TRY(compare(s, &c->calls[i], changes[i].expected));
    return CC_OK;
}

static int change_order(const void *a, const void *b)
{
    const struct sealed_row *x = a, *y = b;
    return key_store_order(&x->pubkey, &y->pubkey);
}

/* No key twice: the second would be over the first. */
static cc_err
take_changes(struct dynamodb_key_head *head, const struct key_change *changes, size_t n)
{
    for (head->count = 0; head->count < n; head->count++)
        head->rows[head->count] = changes[head->count].next;
    if (n)
        qsort(head->rows, n, sizeof *head->rows, change_order);
    for (size_t i = 1; i < n; i++)
        if (key_store_order(&head->rows[i - 1].pubkey, &head->rows[i].pubkey) == 0)
            return CC_FAIL(CONFLICT, "a key twice in one change");
    return CC_OK;
}

static cc_err write_head(struct dynamodb_keys *s, const struct key_change *changes, size_t n)
{
    CC_CLEANUP(cc_freep) struct dynamodb_key_head *next = cc_alloc(sizeof *next);
    if (!next)
        return CC_FAIL(NO_MEMORY, NULL);
    CC_TRY(dynamodb_link_look(&s->link));
    CC_TRY(apply(s));
    *next = s->head;
    next->mark++;
    CC_TRY(take_changes(next, changes, n));
    if (n)
        CC_TRY(compare_all(s, changes, n));
    return put_head(s, next);
}

static cc_err dynamodb_write(struct key_store *store, const struct key_change *changes, size_t n)
{
    struct dynamodb_keys *s = of(store);
    if (!store->has_id)
        return CC_FAIL(CONFLICT, "the key store is not begun");
    CC_TRY(write_head(s, changes, n));
    (void)apply(s).code; /* the change is made: who comes next does what is left */
    return CC_OK;
}

static cc_err dynamodb_fence(struct key_store *store)
{
    return store->has_id ? write_head(of(store), NULL, 0)
                         : CC_FAIL(CONFLICT, "the key store is not begun");
}

static cc_err dynamodb_reach(struct key_store *store)
{
    CC_CLEANUP(cc_freep) struct dynamodb_key_head *there = cc_alloc(sizeof *there);
    bool found = false;
    return there ? get_head(of(store), &found, there) : CC_FAIL(NO_MEMORY, NULL);
}

static cc_err dynamodb_begin(struct key_store *store)
{
    struct dynamodb_keys *s = of(store);
    if (store->has_id)
        return CC_OK;
    CC_CLEANUP(cc_freep) struct dynamodb_key_head *first = cc_alloc(sizeof *first);
    if (!first)
        return CC_FAIL(NO_MEMORY, NULL);
    CC_TRY(read_head(s));
    if (store->has_id)
        return CC_OK;
    first->mark = 1;
    memcpy(first->chamber, s->chamber, sizeof first->chamber);
    memcpy(first->table_id, s->link.table_id, sizeof first->table_id);
    CC_TRY(random_bytes(first->id, sizeof first->id));
    cc_err err = put_head(s, first);
    return error_is(err, ERROR_CONFLICT) ? read_head(s) : err;
}

/* --- opening ---------------------------------------------------------------------------------------------------------------- */

static void dynamodb_close(struct key_store *store)
{
    struct dynamodb_keys *s = of(store);
    dynamodb_link_release(&s->link);
    cc_free(s);
}

static const struct key_store_ops dynamodb_ops = {
    .name = "dynamodb",
    .shared = true,
    .scan = dynamodb_scan,
    .write = dynamodb_write,
    .begin = dynamodb_begin,
    .fence = dynamodb_fence,
    .reach = dynamodb_reach,
    .close = dynamodb_close,
};

CC_ERR key_store_dynamodb_open(struct aws_session *session,
                               const char *table,
                               const uint8_t chamber[static KEY_STORE_CHAMBER_SIZE],
                               struct key_store **ret_store)
{
    struct dynamodb_keys *s = cc_alloc(sizeof *s);
    if (!s)
        return CC_FAIL(NO_MEMORY, NULL);
    s->base.ops = &dynamodb_ops;
    memcpy(s->chamber, chamber, sizeof s->chamber);
    cc_err err = dynamodb_link_open(&s->link, session, table, &words);
    if (err.code)
        dynamodb_close(&s->base);
    else
        *ret_store = &s->base;
    return err;
}

CC_ERR key_store_dynamodb_make(struct aws_session *session, const char *table)
{
    return dynamodb_link_make(session, table, &words);
}
