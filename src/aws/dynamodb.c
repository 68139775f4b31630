#include "aws/dynamodb.h"

#include "codec/json.h"

enum {
    REASON_TOKENS_MAX = 1 << 16
};

const struct aws_service dynamodb_service = {"dynamodb", "DynamoDB_20120810",
                                             "application/x-amz-json-1.0"};

static const struct {
    const char *code;
    enum dynamodb_reason reason;
} reasons[] = {
    {"None", DYNAMODB_NONE},
    {"ConditionalCheckFailed", DYNAMODB_CONDITION},
    {"ConditionalCheckFailedException", DYNAMODB_CONDITION},
    {"TransactionConflict", DYNAMODB_CONFLICT},
    {"TransactionConflictException", DYNAMODB_CONFLICT},
    {"ThrottlingError", DYNAMODB_THROTTLED},
    {"ProvisionedThroughputExceeded", DYNAMODB_THROTTLED},
    {"ItemCollectionSizeLimitExceeded", DYNAMODB_ITEM_TOO_LARGE},
    {"ItemCollectionSizeLimitExceededException", DYNAMODB_ITEM_TOO_LARGE},
    {"ValidationError", DYNAMODB_VALIDATION},
    {"ValidationException", DYNAMODB_VALIDATION},
};

static enum dynamodb_reason reason_of(struct span code)
{
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (span_is(code, reasons[i].code))
            return reasons[i].reason;
    return DYNAMODB_OTHER;
}

static cc_err
read_reasons(struct jval list, enum dynamodb_reason *ret_reasons, size_t room, size_t *ret_count)
{
    if (jval_type(list) != JVAL_ARRAY || jval_count(list) > room)
        return CC_FAIL(FIELD_TYPE, "DynamoDB: the reasons of a cancelled transaction");
    struct jval_iter iter = jval_iterate(list);
    struct jval item, code;
    size_t count = 0;
    while (jval_next(&iter, &item)) {
        struct span text;
        if (!jval_member(item, "Code", &code))
            return CC_FAIL(FIELD_MISSING, "DynamoDB: the reasons of a cancelled transaction");
        CC_TRY(jval_text(code, &text));
        ret_reasons[count++] = reason_of(text);
    }
    *ret_count = count;
    return CC_OK;
}

CC_ERR dynamodb_reasons(const struct aws_call *call,
                        enum dynamodb_reason *ret_reasons,
                        size_t room,
                        size_t *ret_count)
{
    struct span type = span_str(call->fault.type);
    if (!span_is(type, "TransactionCanceledException")) {
        if (room == 0)
            return CC_FAIL(LIMIT, NULL);
        ret_reasons[0] = reason_of(type);
        *ret_count = 1;
        return CC_OK;
    }
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(REASON_TOKENS_MAX);
    CC_CLEANUP(buf_release)
    struct buf copy = buf_init(AWS_ANSWER_MAX); /* the parser changes its text */
    struct jval list;
    CC_TRY(buf_append(&copy, call->answer.data, call->answer.len));
    CC_TRY(jdoc_parse(&doc, copy.data, copy.len));
    if (!jval_member(jdoc_root(&doc), "CancellationReasons", &list))
        return CC_FAIL(FIELD_MISSING, "DynamoDB: the reasons of a cancelled transaction");
    return read_reasons(list, ret_reasons, room, ret_count);
}

enum dynamodb_reason dynamodb_reason(const struct aws_call *call)
{
    static const enum dynamodb_reason order[] = {DYNAMODB_VALIDATION, DYNAMODB_ITEM_TOO_LARGE,
                                                 DYNAMODB_OTHER,      DYNAMODB_CONDITION,
                                                 DYNAMODB_THROTTLED,  DYNAMODB_CONFLICT};
    enum dynamodb_reason found[DYNAMODB_TRANSACTION_ITEMS_MAX];
    size_t count = 0;
    if (dynamodb_reasons(call, found, ARRAY_LEN(found), &count).code)
        return DYNAMODB_OTHER;
    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        for (size_t k = 0; k < count; k++)
            if (found[k] == order[i])
                return order[i];
    return DYNAMODB_OTHER;
}
