#include "aws/dynamodb_table.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

enum {
    CALL_MS = 5000,
    MAKE_MS = 120000, /* until a new table can be used */
    BODY_MAX = 4096,
    TOKENS_MAX = 1 << 14
};

bool dynamodb_table_name_is_valid(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    size_t len = strlen(name);
    return len >= 3 && len < DYNAMODB_TABLE_NAME_MAX && strspn(name, allowed) == len;
}

static cc_err send(struct aws_client *client, struct aws_call *call, const char *body)
{
    call->body = span_str(body);
    call->deadline_ms = CALL_MS;
    cc_err err = aws_call(client, call);
    call->body = span_of(NULL, 0);
    return err;
}

static cc_err
ask(struct aws_client *client, const char *operation, const char *name, struct aws_call *ret_call)
{
    char body[BODY_MAX];
    (void)snprintf(body, sizeof body, "{\"TableName\":\"%s\"}", name);
    *ret_call = (struct aws_call){.operation = operation};
    return send(client, ret_call, body);
}

static bool member_is(struct jval object, const char *name, const char *wanted)
{
    struct jval value;
    struct span text;
    return jval_member(object, name, &value) && !jval_text(value, &text).code &&
           span_is(text, wanted);
}

/* pk, then sk. */
static bool keys_fit(struct jval table)
{
    static const char *const names[] = {"pk", "sk"};
    static const char *const kinds[] = {"HASH", "RANGE"};
    struct jval schema, key;
    size_t n = 0;
    if (!jval_member(table, "KeySchema", &schema) || jval_count(schema) != ARRAY_LEN(names))
        return false;
    for (struct jval_iter iter = jval_iterate(schema);
         n < ARRAY_LEN(names) && jval_next(&iter, &key); n++)
        if (!member_is(key, "AttributeName", names[n]) || !member_is(key, "KeyType", kinds[n]))
            return false;
    return n == ARRAY_LEN(names);
}

static bool has_replicas(struct jval table)
{
    struct jval value;
    return (jval_member(table, "Replicas", &value) && jval_count(value) > 0) ||
           jval_member(table, "GlobalTableVersion", &value);
}

/* TableId; where a service gives none, what a restored table has otherwise too. */
static bool read_id(struct jval table, char ret_id[static DYNAMODB_TABLE_ID_MAX])
{
    struct jval value;
    struct span id, arn;
    int n = -1;
    if (jval_member(table, "TableId", &value) && !jval_text(value, &id).code)
        n = snprintf(ret_id, DYNAMODB_TABLE_ID_MAX, "%.*s", (int)id.len, (const char *)id.data);
    else if (jval_member(table, "TableArn", &value) && !jval_text(value, &arn).code &&
             jval_member(table, "CreationDateTime", &value) && !jval_number_text(value, &id).code)
        n = snprintf(ret_id, DYNAMODB_TABLE_ID_MAX, "%.*s@%.*s", (int)arn.len,
                     (const char *)arn.data, (int)id.len, (const char *)id.data);
    return n > 0 && n < DYNAMODB_TABLE_ID_MAX;
}

static void read_arn(struct jval table, char ret_arn[static DYNAMODB_TABLE_ARN_MAX])
{
    struct jval value;
    struct span arn;
    ret_arn[0] = 0;
    if (jval_member(table, "TableArn", &value) && !jval_text(value, &arn).code &&
        arn.len < DYNAMODB_TABLE_ARN_MAX)
        (void)snprintf(ret_arn, DYNAMODB_TABLE_ARN_MAX, "%.*s", (int)arn.len,
                       (const char *)arn.data);
}

/* arn:PARTITION:dynamodb:REGION:ACCOUNT:table/NAME; the partition goes with the region. */
bool dynamodb_arn_is(const char *arn, const char *region, const char *account, const char *name)
{
    char wanted[DYNAMODB_TABLE_ARN_MAX];
    const char *service = strncmp(arn, "arn:", 4) == 0 ? strchr(arn + 4, ':') : NULL;
    int n = snprintf(wanted, sizeof wanted, ":dynamodb:%s:%s:table/%s", region, account, name);
    return service && n > 0 && (size_t)n < sizeof wanted && strcmp(service, wanted) == 0;
}

static cc_err odd(void)
{
    return CC_FAIL(AWS_REFUSED, "an answer of DynamoDB about a table can't be understood");
}

static cc_err parse(struct jdoc *doc, struct aws_call *call, struct jval *ret_answer)
{
    if (jdoc_parse(doc, call->answer.data, call->answer.len).code)
        return odd();
    *ret_answer = jdoc_root(doc);
    return CC_OK;
}

CC_ERR dynamodb_table_read(struct jval answer, struct dynamodb_table *ret_table)
{
    struct jval table;
    *ret_table = (struct dynamodb_table){0};
    if (!jval_member(answer, "Table", &table) || !read_id(table, ret_table->id))
        return odd();
    read_arn(table, ret_table->arn);
    ret_table->exists = true;
    ret_table->ready = !member_is(table, "TableStatus", "CREATING") &&
                       !member_is(table, "TableStatus", "DELETING");
    if (!keys_fit(table))
        ret_table->unfit = "the table's key is not pk (hash), sk (range), both strings";
    else if (has_replicas(table))
        ret_table->unfit =
            "it is a global table: a write in another region would overwrite what was written here";
    return CC_OK;
}

/* T11. */
static void
look_at_owner(const struct aws_session *session, const char *name, struct dynamodb_table *table)
{
    const char *account = aws_session_account(session);
    if (account[0] && !dynamodb_arn_is(table->arn, aws_session_region(session), account, name))
        table->unfit = "it is not the table of that name in the region of aws.region and the "
                       "account of tee.aws_account";
}

static cc_err look_at_ttl(struct aws_client *client, const char *name, struct dynamodb_table *table)
{
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(TOKENS_MAX);
    CC_CLEANUP(aws_call_release) struct aws_call call = {0};
    struct jval answer, ttl;
    CC_TRY(ask(client, "DescribeTimeToLive", name, &call));
    CC_TRY(parse(&doc, &call, &answer));
    if (!jval_member(answer, "TimeToLiveDescription", &ttl) ||
        !member_is(ttl, "TimeToLiveStatus", "DISABLED"))
        table->unfit = "its items may expire: switch the table's time to live (TTL) off";
    return CC_OK;
}

CC_ERR dynamodb_table_describe(struct aws_client *client,
                               const char *name,
                               struct dynamodb_table *ret_table)
{
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(TOKENS_MAX);
    CC_CLEANUP(aws_call_release) struct aws_call call = {0};
    struct jval answer;
    *ret_table = (struct dynamodb_table){0};
    cc_err err = ask(client, "DescribeTable", name, &call);
    if (error_is(err, ERROR_AWS_REFUSED) &&
        strcmp(call.fault.type, "ResourceNotFoundException") == 0)
        return CC_OK;
    CC_TRY(err);
    CC_TRY(parse(&doc, &call, &answer));
    CC_TRY(dynamodb_table_read(answer, ret_table));
    look_at_owner(aws_client_session(client), name, ret_table);
    return ret_table->ready && !ret_table->unfit ? look_at_ttl(client, name, ret_table) : CC_OK;
}

static cc_err create(struct aws_client *client, const char *name)
{
    CC_CLEANUP(aws_call_release) struct aws_call create = {.operation = "CreateTable"};
    char body[BODY_MAX];
    (void)snprintf(
        body, sizeof body,
        "{\"TableName\":\"%s\",\"BillingMode\":\"PAY_PER_REQUEST\",\"DeletionProtectionEnabled\":true,"
        "\"AttributeDefinitions\":[{\"AttributeName\":\"pk\",\"AttributeType\":\"S\"},"
        "{\"AttributeName\":\"sk\",\"AttributeType\":\"S\"}],"
        "\"KeySchema\":[{\"AttributeName\":\"pk\",\"KeyType\":\"HASH\"},"
        "{\"AttributeName\":\"sk\",\"KeyType\":\"RANGE\"}]}",
        name);
    cc_err err = send(client, &create, body);
    /* Made by a try that was not answered, or by somebody else at the same moment. */
    return strcmp(create.fault.type, "ResourceInUseException") == 0 ? CC_OK : err;
}

CC_ERR
dynamodb_table_make(struct aws_client *client, const char *name, struct dynamodb_table *ret_table)
{
    const struct timespec pause = {.tv_nsec = 250000000};
    uint64_t until = clock_mono_ms() + MAKE_MS;
    CC_TRY(dynamodb_table_describe(client, name, ret_table));
    if (!ret_table->exists)
        CC_TRY(create(client, name));
    while (!ret_table->ready && clock_mono_ms() < until) {
        CC_TRY(dynamodb_table_describe(client, name, ret_table));
        if (!ret_table->ready)
            (void)nanosleep(&pause, NULL);
    }
    return ret_table->ready
               ? CC_OK
               : CC_FAIL(AWS_UNREACHABLE, "a new table of DynamoDB does not become ready");
}
