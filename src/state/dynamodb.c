#include "state/dynamodb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/num.h"

#include "aws/dynamodb_link.h"
#include "codec/base64.h"
#include "codec/hex.h"
#include "codec/json.h"
#include "crypto/random.h"
#include "state/lock.h"

enum {
    BODY_MAX = 8 << 20, /* of a transaction: the service takes 4 MB of items */
    WRITTEN_MAX = DYNAMODB_TRANSACTION_ITEMS_MAX - 1, /* beside the head */
    LOAD_MS = 5000,
    LOAD_FAULTS = 5, /* so often the same head without its records is no chance */
    SWAP_TRIES = 8,
    AFTER_MAX = STATE_KIND_SIZE + STATE_NAME_SIZE + 16
};

struct dynamodb_store {
    struct state_store base;
    struct dynamodb_link link;
    int lock_fd;
};

static const struct dynamodb_words words = {
    .away = ERROR_STATE,
    .missing = "the state store's table is missing",
    .making = "the state store's table is being made",
    .body_max = BODY_MAX,
};

static const struct state_store_ops dynamodb_ops;

static struct dynamodb_store *of(struct state_store *store)
{
    cc_assert(store->ops == &dynamodb_ops);
    return (struct dynamodb_store *)store;
}

/* --- calls ----------------------------------------------------------------------------------------------------------- */

static void pause_ms(long ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&pause, NULL);
}

/* --- items ------------------------------------------------------------------------------------------------------------- */

static cc_err odd(void)
{
    return CC_FAIL(TAMPERED, "an item of the state store's table is not one of this program's");
}

/* The text of {"N":"5"}, of a member of an item. */
static cc_err text_of(struct jval item, const char *name, const char *type, struct span *ret_text)
{
    struct jval attribute, value;
    if (!jval_member(item, name, &attribute) || jval_count(attribute) != 1 ||
        !jval_member(attribute, type, &value))
        return odd();
    return jval_text(value, ret_text).code ? odd() : CC_OK;
}

static cc_err count_of(struct jval item, const char *name, uint64_t *ret_count)
{
    struct span text;
    CC_TRY(text_of(item, name, "N", &text));
    return u64_parse(text, ret_count).code || *ret_count == 0 ? odd() : CC_OK;
}

/* Bytes in memory of their own. */
static cc_err
bytes_of(struct jval item, const char *name, size_t max, uint8_t **ret_bytes, size_t *ret_len)
{
    struct span text;
    CC_TRY(text_of(item, name, "B", &text));
    if (text.len > (max + 2) / 3 * 4)
        return odd();
    size_t room = text.len / 4 * 3;
    *ret_bytes = cc_alloc(room ? room : 1);
    if (!*ret_bytes)
        return CC_FAIL(NO_MEMORY, NULL);
    if (base64_decode(text, *ret_bytes, room, ret_len).code || *ret_len > max)
        return odd();
    return CC_OK;
}

static cc_err read_mark(struct jval item, struct state_mark *ret_mark)
{
    struct span text;
    size_t len = 0;
    CC_TRY(count_of(item, "generation", &ret_mark->generation));
    CC_TRY(text_of(item, "signature", "B", &text));
    if (base64_decode(text, ret_mark->signature, sizeof ret_mark->signature, &len).code ||
        len != sizeof ret_mark->signature)
        return odd();
    return CC_OK;
}

static cc_err append_bytes(struct buf *out, const char *name, const void *bytes, size_t len)
{
    CC_TRY(buf_printf(out, ",\"%s\":{\"B\":\"", name));
    CC_TRY(base64_append(out, bytes, len));
    return buf_append_str(out, "\"}");
}

/* --- reading ----------------------------------------------------------------------------------------------------------- */

static cc_err get_head(struct dynamodb_store *s, struct jval *ret_item, bool *ret_found)
{
    struct jval answer;
    s->link.body.len = 0;
    CC_TRY(buf_printf(&s->link.body,
                      "{\"TableName\":\"%s\",\"ConsistentRead\":true,"
                      "\"Key\":{\"pk\":{\"S\":\"state\"},\"sk\":{\"S\":\"head\"}}}",
                      s->link.table));
    CC_TRY(dynamodb_link_ask(&s->link, "GetItem", NULL, &answer));
    *ret_found = jval_member(answer, "Item", ret_item);
    return CC_OK;
}

static cc_err dynamodb_peek(struct state_store *store, struct state_mark *ret_mark)
{
    struct jval item;
    bool found = false;
    *ret_mark = (struct state_mark){0};
    CC_TRY(dynamodb_link_look(&of(store)->link));
    CC_TRY(get_head(of(store), &item, &found));
    return found ? read_mark(item, ret_mark) : CC_OK;
}

static cc_err read_head(struct dynamodb_store *s, struct state_image *image)
{
    CC_CLEANUP(cc_freep) uint8_t *bytes = NULL;
    struct state_mark mark;
    struct jval item;
    bool found = false;
    size_t len = 0;
    image->head = buf_init(STATE_HEAD_MAX);
    CC_TRY(get_head(s, &item, &found));
    if (!found)
        return CC_OK;
    CC_TRY(read_mark(item, &mark));
    image->generation = mark.generation;
    memcpy(image->signature, mark.signature, sizeof image->signature);
    CC_TRY(bytes_of(item, "bytes", STATE_HEAD_MAX, &bytes, &len));
    return buf_append(&image->head, bytes, len);
}

/* "record/<kind>/<name>" */
static cc_err read_names(struct jval item, struct state_record *record)
{
    static const char prefix[] = "record/";
    struct span sort;
    CC_TRY(text_of(item, "sk", "S", &sort));
    if (sort.len < strlen(prefix) || !span_is(span_of(sort.data, strlen(prefix)), prefix))
        return odd();
    const uint8_t *kind = sort.data + strlen(prefix);
    size_t left = sort.len - strlen(prefix);
    const uint8_t *slash = memchr(kind, '/', left);
    size_t kind_len = slash ? (size_t)(slash - kind) : left;
    size_t name_len = slash ? left - kind_len - 1 : 0;
    if (kind_len == 0 || kind_len >= sizeof record->kind || name_len == 0 ||
        name_len >= sizeof record->name || memchr(kind, 0, left))
        return odd();
    memcpy(record->kind, kind, kind_len);
    memcpy(record->name, slash + 1, name_len);
    return CC_OK;
}

CC_ERR state_dynamodb_read(struct jval item, struct state_record *ret_record)
{
    struct state_record *record = ret_record;
    CC_TRY(read_names(item, record));
    CC_TRY(count_of(item, "version", &record->version));
    CC_TRY(count_of(item, "generation", &record->generation));
    return bytes_of(item, "bytes", STATE_RECORD_MAX, &record->bytes, &record->len);
}

static cc_err take_page(struct jval answer, struct state_image *image)
{
    struct jval items, item;
    if (!jval_member(answer, "Items", &items) || jval_type(items) != JVAL_ARRAY)
        return CC_FAIL(STATE, "DynamoDB's answer has no Items");
    struct jval_iter iter = jval_iterate(items);
    while (jval_next(&iter, &item)) {
        if (image->count >= STATE_RECORDS_MAX)
            return CC_FAIL(TAMPERED, "too many state records");
        CC_TRY(state_dynamodb_read(item, &image->records[image->count++]));
    }
    return CC_OK;
}

/* Where the next page begins; "" when there is none. It goes into the next call, so it must be plain. */
static cc_err take_after(struct jval answer, char ret_after[static AFTER_MAX])
{
    struct jval last;
    struct span sort;
    ret_after[0] = 0;
    if (!jval_member(answer, "LastEvaluatedKey", &last))
        return CC_OK;
    CC_TRY(text_of(last, "sk", "S", &sort));
    if (sort.len == 0 || sort.len >= AFTER_MAX)
        return odd();
    memcpy(ret_after, sort.data, sort.len);
    ret_after[sort.len] = 0;
    return strspn(ret_after, "abcdefghijklmnopqrstuvwxyz0123456789_-./") == sort.len ? CC_OK
                                                                                     : odd();
}

static cc_err ask_page(struct dynamodb_store *s, const char *after, struct jval *ret_answer)
{
    s->link.body.len = 0;
    CC_TRY(buf_printf(
        &s->link.body,
        "{\"TableName\":\"%s\",\"ConsistentRead\":true,"
        "\"KeyConditionExpression\":\"pk = :p AND begins_with(sk, :r)\","
        "\"ExpressionAttributeValues\":{\":p\":{\"S\":\"state\"},\":r\":{\"S\":\"record/\"}}",
        s->link.table));
    if (after[0])
        CC_TRY(buf_printf(&s->link.body,
                          ",\"ExclusiveStartKey\":{\"pk\":{\"S\":\"state\"},\"sk\":{\"S\":\"%s\"}}",
                          after));
    CC_TRY(buf_append_str(&s->link.body, "}"));
    return dynamodb_link_ask(&s->link, "Query", NULL, ret_answer);
}

static int record_order(const void *a, const void *b)
{
    const struct state_record *x = a, *y = b;
    return state_record_order(x->kind, x->name, y->kind, y->name);
}

static cc_err read_records(struct dynamodb_store *s, struct state_image *image)
{
    char after[AFTER_MAX] = "";
    struct jval answer;
    image->records = cc_alloc_array(STATE_RECORDS_MAX, sizeof *image->records);
    if (!image->records)
        return CC_FAIL(NO_MEMORY, NULL);
    do {
        CC_TRY(ask_page(s, after, &answer));
        CC_TRY(take_page(answer, image));
        CC_TRY(take_after(answer, after));
    } while (after[0]);
    /* Sort keys are in order as one text, in which '/' is not the least character. */
    if (image->count)
        qsort(image->records, image->count, sizeof *image->records, record_order);
    return CC_OK;
}

static bool is_whole(const struct dynamodb_store *s, const struct state_image *image)
{
    static const uint8_t nobody[ED25519_PUBLIC_SIZE];
    struct state_fault fault;
    if (image->generation == 0 ||
        span_equal(span_of(s->base.identity_public, sizeof nobody), span_of(nobody, sizeof nobody)))
        return true;
    return !state_image_verify(image, s->base.chamber_id, s->base.identity_public, &fault).code;
}

/* *ret_still: the head is still the one that the image has. */
static cc_err
read_image(struct dynamodb_store *s, struct state_image *image, bool *ret_whole, bool *ret_still)
{
    struct state_mark read, now;
    CC_TRY(read_head(s, image));
    CC_TRY(read_records(s, image));
    *ret_still = true;
    *ret_whole = is_whole(s, image);
    if (*ret_whole)
        return CC_OK;
    state_image_mark(image, &read);
    CC_TRY(dynamodb_peek(&s->base, &now));
    *ret_still = state_mark_equal(&read, &now);
    return CC_OK;
}

/* Head and records are not read at one moment: others change them in between, and the items of a transaction that is just being
 * carried out don't change at one. Such an image doesn't verify, and a later one does. One that was tampered with never does,
 * while its head stays the same.
 */
static cc_err dynamodb_load(struct state_store *store, struct state_image *ret_image)
{
    struct dynamodb_store *s = of(store);
    uint64_t until = clock_mono_ms() + LOAD_MS;
    int faults = 0;
    CC_TRY(dynamodb_link_look(&s->link));
    do {
        struct state_image image = {0};
        bool whole = false, still = false;
        cc_err err = read_image(s, &image, &whole, &still);
        faults += still;
        if (!err.code && (whole || faults == LOAD_FAULTS)) {
            *ret_image = image;
            return CC_OK;
        }
        state_image_release(&image);
        CC_TRY(err);
        if (still)
            pause_ms(10L << faults);
    } while (clock_mono_ms() < until);
    return CC_FAIL(STATE, "the state store changes faster than it can be read");
}

/* --- writing ------------------------------------------------------------------------------------------------------------- */

static cc_err append_head(struct dynamodb_store *s,
                          const struct state_mark *expected,
                          const struct state_image *next)
{
    struct buf *out = &s->link.body;
    CC_TRY(buf_printf(out, "{\"Put\":{\"TableName\":\"%s\",", s->link.table));
    if (expected->generation == 0) {
        CC_TRY(buf_append_str(out, "\"ConditionExpression\":\"attribute_not_exists(pk)\","));
    } else {
        CC_TRY(buf_printf(
            out,
            "\"ConditionExpression\":\"#g = :g AND #s = :s\",\"ExpressionAttributeNames\":{\"#g\":"
            "\"generation\",\"#s\":\"signature\"},\"ExpressionAttributeValues\":{\":g\":{\"N\":\"%llu\"},"
            "\":s\":{\"B\":\"",
            (unsigned long long)expected->generation));
        CC_TRY(base64_append(out, expected->signature, sizeof expected->signature));
        CC_TRY(buf_append_str(out, "\"}},"));
    }
    CC_TRY(buf_printf(
        out,
        "\"Item\":{\"pk\":{\"S\":\"state\"},\"sk\":{\"S\":\"head\"},\"generation\":{\"N\":\"%llu\"}",
        (unsigned long long)next->generation));
    CC_TRY(append_bytes(out, "signature", next->signature, sizeof next->signature));
    CC_TRY(append_bytes(out, "bytes", next->head.data, next->head.len));
    return buf_append_str(out, "}}}");
}

static cc_err append_record(struct dynamodb_store *s, const struct state_record *r)
{
    struct buf *out = &s->link.body;
    CC_TRY(buf_printf(
        out,
        ",{\"Put\":{\"TableName\":\"%s\",\"Item\":{\"pk\":{\"S\":\"state\"},"
        "\"sk\":{\"S\":\"record/%s/%s\"},\"version\":{\"N\":\"%llu\"},\"generation\":{\"N\":\"%llu\"}",
        s->link.table, r->kind, r->name, (unsigned long long)r->version,
        (unsigned long long)r->generation));
    CC_TRY(append_bytes(out, "bytes", r->bytes, r->len));
    return buf_append_str(out, "}}}");
}

static cc_err append_removal(struct dynamodb_store *s, const struct state_record *r)
{
    return buf_printf(&s->link.body,
                      ",{\"Delete\":{\"TableName\":\"%s\",\"Key\":{\"pk\":{\"S\":\"state\"},"
                      "\"sk\":{\"S\":\"record/%s/%s\"}}}}",
                      s->link.table, r->kind, r->name);
}

/* The token makes a repeat of an unanswered try the same try. It is random: the same change of a store that was put back is
 * another try.
 */
static cc_err write_body(struct dynamodb_store *s,
                         const struct state_mark *expected,
                         const struct state_image *next,
                         const struct state_delta *delta)
{
    uint8_t chance[16];
    char token[33];
    CC_TRY(random_bytes(chance, sizeof chance));
    hex_encode(chance, sizeof chance, token);
    token[32] = 0;
    s->link.body.len = 0;
    CC_TRY(buf_printf(&s->link.body, "{\"ClientRequestToken\":\"%s\",\"TransactItems\":[", token));
    CC_TRY(append_head(s, expected, next));
    for (size_t i = 0; i < delta->written_count; i++)
        CC_TRY(append_record(s, &next->records[delta->written[i]]));
    for (size_t i = 0; i < delta->removed_count; i++)
        CC_TRY(append_removal(s, delta->removed[i]));
    return buf_append_str(&s->link.body, "]}");
}

enum outcome {
    DONE,
    REFUSED, /* the condition */
    BUSY,    /* another transaction, or throttled: nothing was changed */
    UNKNOWN
};

static enum outcome send(struct dynamodb_store *s, bool *ret_unsure, cc_err *ret_error)
{
    CC_CLEANUP(aws_call_release)
    struct aws_call call = {.operation = "TransactWriteItems",
                            .body = buf_span(&s->link.body),
                            .deadline_ms = DYNAMODB_LINK_MS};
    cc_err err = aws_call(s->link.client, &call);
    *ret_unsure = call.unsure;
    *ret_error = dynamodb_link_error(&s->link, &call);
    if (!err.code)
        return DONE;
    if (!error_is(call.error, ERROR_AWS_REFUSED))
        return UNKNOWN;
    switch (dynamodb_reason(&call)) {
    case DYNAMODB_CONDITION:
        return REFUSED;
    case DYNAMODB_CONFLICT:
    case DYNAMODB_THROTTLED:
        return BUSY;
    case DYNAMODB_NONE:
    case DYNAMODB_ITEM_TOO_LARGE:
    case DYNAMODB_VALIDATION:
    case DYNAMODB_OTHER:
        break;
    }
    return UNKNOWN;
}

/* What a try that was not answered has done stands in the head. */
static cc_err look(struct dynamodb_store *s, const struct state_image *next, cc_err otherwise)
{
    struct state_mark wanted, found;
    const char *why = error_detail(); /* of `otherwise`: the next call has its own */
    state_image_mark(next, &wanted);
    CC_TRY(dynamodb_peek(&s->base, &found));
    return state_mark_equal(&wanted, &found)
               ? CC_OK
               : error_make((enum error_code)otherwise.code, why, __FILE__, __LINE__);
}

static cc_err dynamodb_swap(struct state_store *store,
                            const struct state_mark *expected,
                            const struct state_image *next,
                            const struct state_delta *delta)
{
    struct dynamodb_store *s = of(store);
    cc_err err = CC_OK;
    if (delta->written_count + delta->removed_count > WRITTEN_MAX)
        return CC_FAIL(LIMIT, "records in one change of the state store");
    CC_TRY(dynamodb_link_look(&s->link));
    CC_TRY(write_body(s, expected, next, delta));
    for (int tries = 0; tries < SWAP_TRIES; tries++) {
        bool unsure = false;
        switch (send(s, &unsure, &err)) {
        case DONE:
            return CC_OK;
        case REFUSED:
            err = CC_FAIL(CONFLICT, "the state store has changed meanwhile");
            return unsure || tries ? look(s, next, err) : err;
        case UNKNOWN:
            return look(s, next, err);
        case BUSY:
            pause_ms(5L << tries);
        }
    }
    return look(s, next, err);
}

/* --- opening ---------------------------------------------------------------------------------------------------------------- */

static void dynamodb_close(struct state_store *store)
{
    struct dynamodb_store *s = of(store);
    dynamodb_link_release(&s->link);
    fd_closep(&s->lock_fd);
    cc_free(s);
}

static const struct state_store_ops dynamodb_ops = {
    .name = "dynamodb",
    .shared = true,
    .load = dynamodb_load,
    .peek = dynamodb_peek,
    .swap = dynamodb_swap,
    .close = dynamodb_close,
};

CC_ERR state_dynamodb_make(struct aws_session *session, const char *table)
{
    return dynamodb_link_make(session, table, &words);
}

static cc_err open_store(struct dynamodb_store *s,
                         struct aws_session *session,
                         const char *table,
                         const char *lock_path)
{
    CC_TRY(state_lock(lock_path, &s->lock_fd));
    CC_TRY(dynamodb_link_open(&s->link, session, table, &words));
    return dynamodb_link_look(&s->link);
}

CC_ERR state_dynamodb_open(struct aws_session *session,
                           const char *table,
                           const char *lock_path,
                           struct state_store **ret_store)
{
    struct dynamodb_store *s = cc_alloc(sizeof *s);
    if (!s)
        return CC_FAIL(NO_MEMORY, NULL);
    s->base.ops = &dynamodb_ops;
    s->lock_fd = -1;
    cc_err err = open_store(s, session, table, lock_path);
    if (err.code)
        dynamodb_close(&s->base);
    else
        *ret_store = &s->base;
    return err;
}
