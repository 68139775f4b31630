#include "slash/dynamodb_db.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "codec/base64.h"

enum {
    TOKENS_MAX = 1 << 20
};

/* The two conditions that everything rests on. */
static const char condition_new[] = "\"ConditionExpression\":\"attribute_not_exists(pk)\"";
static const char condition_version[] =
    "\"ConditionExpression\":\"#v = :v\",\"ExpressionAttributeNames\":{\"#v\":\"version\"},"
    "\"ExpressionAttributeValues\":{\":v\":{\"N\":\"%llu\"}}";

static cc_err send_all(struct dynamodb_db *db, struct aws_call *calls, size_t count)
{
    return aws_call_many(db->client, calls, count);
}

CC_ERR dynamodb_db_open(struct dynamodb_db *db, struct aws_session *session, const char *table)
{
    *db = (struct dynamodb_db){.doc = jdoc_init(TOKENS_MAX),
                               .body = buf_init(DYNAMODB_BODY_MAX),
                               .send = send_all,
                               .describe = dynamodb_table_describe};
    if (!dynamodb_table_name_is_valid(table))
        return CC_FAIL(CONFIG, "not the name of a DynamoDB table");
    (void)snprintf(db->table, sizeof db->table, "%s", table);
    return aws_client_open(session, &dynamodb_service, NULL, &db->client);
}

void dynamodb_db_close(struct dynamodb_db *db)
{
    if (db->client)
        aws_client_close(db->client);
    jdoc_release(&db->doc);
    buf_release(&db->answer);
    buf_release(&db->body);
    db->client = NULL;
}

/* --- bodies ------------------------------------------------------------------------------------------------------------ */

static cc_err begin(const struct dynamodb_db *db, struct buf *out)
{
    out->len = 0;
    return buf_printf(out, "{\"TableName\":\"%s\",", db->table);
}

CC_ERR dynamodb_body_get_head(const struct dynamodb_db *db,
                              const struct eth_pubkey *pubkey,
                              struct buf *out)
{
    char sort[DYNAMODB_SORT_MAX];
    dynamodb_head_sort(pubkey, sort);
    CC_TRY(begin(db, out));
    CC_TRY(buf_append_str(out, "\"ConsistentRead\":true,\"Key\":"));
    CC_TRY(dynamodb_key_append(out, pubkey, sort));
    return buf_append_str(out, "}");
}

static cc_err append_condition(struct buf *out, uint64_t version)
{
    return version ? buf_printf(out, condition_version, (unsigned long long)version)
                   : buf_append_str(out, condition_new);
}

CC_ERR dynamodb_body_put_head(const struct dynamodb_db *db,
                              const struct dynamodb_head *head,
                              struct buf *out)
{
    CC_TRY(begin(db, out));
    CC_TRY(append_condition(out, head->version - 1));
    CC_TRY(buf_append_str(out, ",\"ReturnValuesOnConditionCheckFailure\":\"ALL_OLD\",\"Item\":"));
    CC_TRY(dynamodb_head_append(out, head));
    return buf_append_str(out, "}");
}

CC_ERR dynamodb_body_query(const struct dynamodb_db *db,
                           const struct dynamodb_range *range,
                           struct buf *out)
{
    CC_TRY(begin(db, out));
    CC_TRY(buf_printf(
        out,
        "\"ConsistentRead\":true,\"Limit\":%u,"
        "\"KeyConditionExpression\":\"pk = :p AND sk BETWEEN :a AND :b\","
        "\"ExpressionAttributeValues\":{\":p\":{\"S\":\"validators/%x\"},\":a\":{\"S\":\"%s\"},"
        "\":b\":{\"S\":\"%s\"}}",
        range->limit, range->shard, range->first, range->last));
    if (range->after[0])
        CC_TRY(buf_printf(
            out, ",\"ExclusiveStartKey\":{\"pk\":{\"S\":\"validators/%x\"},\"sk\":{\"S\":\"%s\"}}",
            range->shard, range->after));
    return buf_append_str(out, "}");
}

static cc_err begin_batch(const struct dynamodb_db *db, struct buf *out)
{
    out->len = 0;
    return buf_printf(out, "{\"RequestItems\":{\"%s\":[", db->table);
}

CC_ERR dynamodb_body_put_records(const struct dynamodb_db *db,
                                 const struct eth_pubkey *pubkey,
                                 const struct dynamodb_record *records,
                                 size_t count,
                                 struct buf *out)
{
    CC_TRY(begin_batch(db, out));
    for (size_t i = 0; i < count; i++) {
        CC_TRY(
            buf_append_str(out, i ? ",{\"PutRequest\":{\"Item\":" : "{\"PutRequest\":{\"Item\":"));
        CC_TRY(dynamodb_record_append(out, pubkey, &records[i]));
        CC_TRY(buf_append_str(out, "}}"));
    }
    return buf_append_str(out, "]}}");
}

CC_ERR dynamodb_body_delete_records(const struct dynamodb_db *db,
                                    const struct eth_pubkey *pubkey,
                                    const struct dynamodb_record *records,
                                    size_t count,
                                    struct buf *out)
{
    char sort[DYNAMODB_SORT_MAX];
    CC_TRY(begin_batch(db, out));
    for (size_t i = 0; i < count; i++) {
        dynamodb_record_sort(pubkey, records[i].kind, records[i].number, sort);
        CC_TRY(buf_append_str(out, i ? ",{\"DeleteRequest\":{\"Key\":"
                                     : "{\"DeleteRequest\":{\"Key\":"));
        CC_TRY(dynamodb_key_append(out, pubkey, sort));
        CC_TRY(buf_append_str(out, "}}"));
    }
    return buf_append_str(out, "]}}");
}

CC_ERR dynamodb_body_fenced_records(const struct dynamodb_db *db,
                                    const struct eth_pubkey *pubkey,
                                    uint64_t version,
                                    const struct dynamodb_record *records,
                                    size_t count,
                                    struct buf *out)
{
    char sort[DYNAMODB_SORT_MAX];
    dynamodb_head_sort(pubkey, sort);
    out->len = 0;
    CC_TRY(buf_printf(out, "{\"TransactItems\":[{\"ConditionCheck\":{\"TableName\":\"%s\",",
                      db->table));
    CC_TRY(append_condition(out, version));
    CC_TRY(buf_append_str(out, ",\"Key\":"));
    CC_TRY(dynamodb_key_append(out, pubkey, sort));
    CC_TRY(buf_append_str(out, "}}"));
    for (size_t i = 0; i < count; i++) {
        CC_TRY(buf_printf(out, ",{\"Put\":{\"TableName\":\"%s\",\"Item\":", db->table));
        CC_TRY(dynamodb_record_append(out, pubkey, &records[i]));
        CC_TRY(buf_append_str(out, "}}"));
    }
    return buf_append_str(out, "]}");
}

/* --- answers ------------------------------------------------------------------------------------------------------------- */

cc_err dynamodb_db_error(const struct aws_call *call)
{
    if (!error_is(call->error, ERROR_AWS_REFUSED))
        return call->error.code ? error_make(ERROR_STORE, aws_call_why(call), __FILE__, __LINE__)
                                : CC_OK;
    if (strcmp(call->fault.type, "ResourceNotFoundException") == 0)
        return CC_FAIL(HISTORY_MISSING, "there is no such DynamoDB table");
    switch (dynamodb_reason(call)) {
    case DYNAMODB_CONDITION:
        return CC_FAIL(CONFLICT, "another client has written at the same moment");
    case DYNAMODB_CONFLICT:
    case DYNAMODB_THROTTLED:
        return CC_FAIL(STORE, "DynamoDB is busy");
    case DYNAMODB_NONE:
    case DYNAMODB_ITEM_TOO_LARGE:
    case DYNAMODB_VALIDATION:
    case DYNAMODB_OTHER:
        break;
    }
    return CC_FAIL(STORE, "DynamoDB refuses a call: see its error type");
}

CC_ERR dynamodb_answer(struct dynamodb_db *db, struct aws_call *call, struct jval *ret_answer)
{
    buf_release(&db->answer);
    db->answer = call->answer;
    call->answer = buf_init(0);
    cc_err err = jdoc_parse(&db->doc, db->answer.data, db->answer.len);
    if (error_is(err, ERROR_NO_MEMORY))
        return err;
    if (err.code)
        return CC_FAIL(STORE, "DynamoDB's answer is not JSON");
    *ret_answer = jdoc_root(&db->doc);
    return CC_OK;
}

CC_ERR dynamodb_answer_head(struct jval answer,
                            const struct eth_pubkey *pubkey,
                            bool *ret_found,
                            struct dynamodb_head *ret_head)
{
    struct jval item;
    *ret_found = jval_member(answer, "Item", &item);
    if (!*ret_found)
        return CC_OK;
    CC_TRY(dynamodb_head_read(item, ret_head));
    return memcmp(ret_head->pubkey.bytes, pubkey->bytes, sizeof pubkey->bytes) == 0
               ? CC_OK
               : CC_FAIL(TAMPERED, "DynamoDB answers with another key's item");
}

CC_ERR dynamodb_answer_after(struct jval answer, char ret_after[static DYNAMODB_SORT_MAX])
{
    struct jval last, sort, value;
    struct span text;
    ret_after[0] = 0;
    if (!jval_member(answer, "LastEvaluatedKey", &last))
        return CC_OK;
    if (!jval_member(last, "sk", &sort) || !jval_member(sort, "S", &value) ||
        jval_text(value, &text).code || text.len == 0 || text.len >= DYNAMODB_SORT_MAX)
        return CC_FAIL(STORE, "DynamoDB's answer has no usable LastEvaluatedKey");
    memcpy(ret_after, text.data, text.len);
    ret_after[text.len] = 0;
    /* It goes into the next call as it is. */
    return strspn(ret_after, "abcdefghijklmnopqrstuvwxyz0123456789/") == text.len
               ? CC_OK
               : CC_FAIL(STORE, "DynamoDB's answer has no usable LastEvaluatedKey");
}

CC_ERR dynamodb_answer_items(struct jval answer, struct jval_iter *ret_items)
{
    struct jval items;
    if (!jval_member(answer, "Items", &items) || jval_type(items) != JVAL_ARRAY)
        return CC_FAIL(STORE, "DynamoDB's answer has no Items");
    *ret_items = jval_iterate(items);
    return CC_OK;
}

CC_ERR dynamodb_answer_records(struct jval answer,
                               const struct eth_pubkey *pubkey,
                               struct dynamodb_records *list)
{
    struct jval_iter items;
    struct jval item;
    struct eth_pubkey of;
    struct dynamodb_record record;
    CC_TRY(dynamodb_answer_items(answer, &items));
    while (jval_next(&items, &item)) {
        CC_TRY(dynamodb_record_read(item, &of, &record));
        if (memcmp(of.bytes, pubkey->bytes, sizeof of.bytes) != 0)
            return CC_FAIL(TAMPERED, "DynamoDB answers with another key's item");
        CC_TRY(dynamodb_records_add(list, &record));
    }
    return CC_OK;
}

bool dynamodb_answer_all_written(struct jval answer)
{
    struct jval left;
    return jval_member(answer, "UnprocessedItems", &left) && jval_type(left) == JVAL_OBJECT &&
           jval_count(left) == 0;
}

/* --- one call at a time ---------------------------------------------------------------------------------------------------- */

CC_ERR dynamodb_ask(struct dynamodb_db *db, const char *operation, struct jval *ret_answer)
{
    CC_CLEANUP(aws_call_release)
    struct aws_call call = {
        .operation = operation, .body = buf_span(&db->body), .deadline_ms = DYNAMODB_WORK_MS};
    CC_TRY(db->send(db, &call, 1));
    CC_TRY(dynamodb_db_error(&call));
    return dynamodb_answer(db, &call, ret_answer);
}

CC_ERR dynamodb_get_head(struct dynamodb_db *db,
                         const struct eth_pubkey *pubkey,
                         bool *ret_found,
                         struct dynamodb_head *ret_head)
{
    struct jval answer;
    CC_TRY(dynamodb_body_get_head(db, pubkey, &db->body));
    CC_TRY(dynamodb_ask(db, "GetItem", &answer));
    return dynamodb_answer_head(answer, pubkey, ret_found, ret_head);
}

static cc_err
is_written(struct dynamodb_db *db, const struct dynamodb_head *head, bool *ret_written)
{
    CC_CLEANUP(buf_release) struct buf wanted = buf_init(DYNAMODB_BODY_MAX);
    CC_CLEANUP(buf_release) struct buf there = buf_init(DYNAMODB_BODY_MAX);
    struct dynamodb_head found_head;
    CC_TRY(dynamodb_get_head(db, &head->pubkey, ret_written, &found_head));
    if (!*ret_written)
        return CC_OK;
    CC_TRY(dynamodb_head_append(&wanted, head));
    CC_TRY(dynamodb_head_append(&there, &found_head));
    *ret_written = span_equal(buf_span(&wanted), buf_span(&there));
    return CC_OK;
}

/* The condition also fails where an own try that was not answered has been carried out. */
CC_ERR dynamodb_put_head(struct dynamodb_db *db, const struct dynamodb_head *head)
{
    bool written = false;
    CC_TRY(dynamodb_body_put_head(db, head, &db->body));
    CC_CLEANUP(aws_call_release)
    struct aws_call call = {
        .operation = "PutItem", .body = buf_span(&db->body), .deadline_ms = DYNAMODB_WORK_MS};
    CC_TRY(db->send(db, &call, 1));
    cc_err err = dynamodb_db_error(&call);
    if (error_is(err, ERROR_CONFLICT) && call.unsure)
        CC_TRY(is_written(db, head, &written));
    return written ? CC_OK : err;
}

CC_ERR dynamodb_get_records(struct dynamodb_db *db,
                            const struct eth_pubkey *pubkey,
                            struct dynamodb_range *range,
                            struct dynamodb_records *list)
{
    struct jval answer;
    do {
        CC_TRY(dynamodb_body_query(db, range, &db->body));
        CC_TRY(dynamodb_ask(db, "Query", &answer));
        CC_TRY(dynamodb_answer_records(answer, pubkey, list));
        CC_TRY(dynamodb_answer_after(answer, range->after));
    } while (range->after[0]);
    return CC_OK;
}

/* What was left out is sent again with the rest of its batch: both writes may be repeated. */
static cc_err write_batch(struct dynamodb_db *db)
{
    struct jval answer;
    for (int tries = 0; tries < 10; tries++) {
        CC_TRY(dynamodb_ask(db, "BatchWriteItem", &answer));
        if (dynamodb_answer_all_written(answer))
            return CC_OK;
        const struct timespec pause = {.tv_nsec = 50000000};
        (void)nanosleep(&pause, NULL);
    }
    return CC_FAIL(STORE, "DynamoDB is busy");
}

CC_ERR dynamodb_put_records(struct dynamodb_db *db,
                            const struct eth_pubkey *pubkey,
                            const struct dynamodb_record *records,
                            size_t count)
{
    for (size_t i = 0; i < count; i += DYNAMODB_WRITES_MAX) {
        size_t n = count - i < DYNAMODB_WRITES_MAX ? count - i : DYNAMODB_WRITES_MAX;
        CC_TRY(dynamodb_body_put_records(db, pubkey, records + i, n, &db->body));
        CC_TRY(write_batch(db));
    }
    return CC_OK;
}

CC_ERR dynamodb_delete_records(struct dynamodb_db *db,
                               const struct eth_pubkey *pubkey,
                               const struct dynamodb_record *records,
                               size_t count)
{
    for (size_t i = 0; i < count; i += DYNAMODB_WRITES_MAX) {
        size_t n = count - i < DYNAMODB_WRITES_MAX ? count - i : DYNAMODB_WRITES_MAX;
        CC_TRY(dynamodb_body_delete_records(db, pubkey, records + i, n, &db->body));
        CC_TRY(write_batch(db));
    }
    return CC_OK;
}

CC_ERR dynamodb_get_root(struct dynamodb_db *db, struct dynamodb_root *ret_root)
{
    struct jval answer, item;
    CC_TRY(begin(db, &db->body));
    CC_TRY(buf_append_str(&db->body, "\"ConsistentRead\":true,\"Key\":"));
    CC_TRY(dynamodb_root_key_append(&db->body));
    CC_TRY(buf_append_str(&db->body, "}"));
    CC_TRY(dynamodb_ask(db, "GetItem", &answer));
    if (!jval_member(answer, "Item", &item))
        return CC_FAIL(HISTORY_MISSING, "the DynamoDB table has no history: no identity");
    return dynamodb_root_read(item, ret_root);
}

CC_ERR dynamodb_put_root(struct dynamodb_db *db, const struct dynamodb_root *root)
{
    struct jval answer;
    CC_TRY(begin(db, &db->body));
    CC_TRY(append_condition(&db->body, root->version - 1));
    CC_TRY(buf_append_str(&db->body, ",\"Item\":"));
    CC_TRY(dynamodb_root_append(&db->body, root));
    CC_TRY(buf_append_str(&db->body, "}"));
    return dynamodb_ask(db, "PutItem", &answer);
}

CC_ERR dynamodb_drop_root(struct dynamodb_db *db, const uint8_t history_id[static 32])
{
    struct jval answer;
    CC_TRY(begin(db, &db->body));
    CC_TRY(buf_append_str(&db->body, "\"ConditionExpression\":\"history_id = :h\","
                                     "\"ExpressionAttributeValues\":{\":h\":{\"B\":\""));
    CC_TRY(base64_append(&db->body, history_id, 32));
    CC_TRY(buf_append_str(&db->body, "\"}},\"Key\":"));
    CC_TRY(dynamodb_root_key_append(&db->body));
    CC_TRY(buf_append_str(&db->body, "}"));
    return dynamodb_ask(db, "DeleteItem", &answer);
}

/* --- ranges ---------------------------------------------------------------------------------------------------------------- */

static void range_init(const struct eth_pubkey *pubkey, struct dynamodb_range *range)
{
    *range = (struct dynamodb_range){.limit = DYNAMODB_PAGE};
    (void)dynamodb_shard(pubkey, &range->shard);
}

void dynamodb_range_of_key(const struct eth_pubkey *pubkey, struct dynamodb_range *ret_range)
{
    range_init(pubkey, ret_range);
    dynamodb_records_first(pubkey, ret_range->first);
    dynamodb_records_last(pubkey, ret_range->last);
}

void dynamodb_range_of_kind(const struct eth_pubkey *pubkey,
                            enum slash_claim_kind kind,
                            uint64_t first,
                            uint64_t last,
                            struct dynamodb_range *ret_range)
{
    range_init(pubkey, ret_range);
    dynamodb_record_sort(pubkey, kind, first, ret_range->first);
    dynamodb_record_sort(pubkey, kind, last, ret_range->last);
}

void dynamodb_range_of_heads(unsigned shard, struct dynamodb_range *ret_range)
{
    *ret_range = (struct dynamodb_range){.shard = shard, .limit = DYNAMODB_PAGE};
    (void)snprintf(ret_range->first, sizeof ret_range->first, "head/");
    (void)snprintf(ret_range->last, sizeof ret_range->last, "head0");
}
