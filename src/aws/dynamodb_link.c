#include "aws/dynamodb_link.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

enum {
    TOKENS_MAX = 1 << 17,
    DESCRIBE_EVERY_MS = 60000
};

/* --- the table ---------------------------------------------------------------------------------------------------- */

static cc_err
check(const struct dynamodb_words *words, cc_err err, const struct dynamodb_table *table)
{
    const char *why = error_detail();
    if (error_is(err, ERROR_NO_MEMORY))
        return err;
    if (err.code)
        return error_make(words->away, why[0] ? why : error_text(err), __FILE__, __LINE__);
    if (!table->exists)
        return error_make(ERROR_TAMPERED, words->missing, __FILE__, __LINE__);
    if (table->unfit)
        return error_make(ERROR_IDENTITY, table->unfit, __FILE__, __LINE__);
    return table->ready ? CC_OK : error_make(words->away, words->making, __FILE__, __LINE__);
}

/* T27. What a table was may change under a process that goes on. */
CC_ERR dynamodb_link_look(struct dynamodb_link *link)
{
    struct dynamodb_table found = {0};
    if (link->described_ms && clock_mono_ms() - link->described_ms < DESCRIBE_EVERY_MS)
        return CC_OK;
    link->described_ms = 0;
    CC_TRY(check(link->words, dynamodb_table_describe(link->client, link->table, &found), &found));
    if (link->table_id[0] && strcmp(link->table_id, found.id) != 0)
        return CC_FAIL(IDENTITY, "the table was replaced by another one of its name");
    memcpy(link->table_id, found.id, sizeof link->table_id);
    link->described_ms = clock_mono_ms();
    return CC_OK;
}

/* --- opening ------------------------------------------------------------------------------------------------------- */

static cc_err
open_client(struct aws_session *session, const char *table, struct aws_client **ret_client)
{
    return dynamodb_table_name_is_valid(table)
               ? aws_client_open(session, &dynamodb_service, NULL, ret_client)
               : CC_FAIL(CONFIG, "not the name of a DynamoDB table");
}

CC_ERR dynamodb_link_make(struct aws_session *session,
                          const char *table,
                          const struct dynamodb_words *words)
{
    struct aws_client *client = NULL;
    struct dynamodb_table found = {0};
    CC_TRY(open_client(session, table, &client));
    cc_err err = check(words, dynamodb_table_make(client, table, &found), &found);
    aws_client_close(client);
    return err;
}

CC_ERR dynamodb_link_open(struct dynamodb_link *link,
                          struct aws_session *session,
                          const char *table,
                          const struct dynamodb_words *words)
{
    *link = (struct dynamodb_link){.words = words};
    link->body = buf_init(words->body_max);
    link->doc = jdoc_init(TOKENS_MAX);
    (void)snprintf(link->table, sizeof link->table, "%s", table);
    return open_client(session, table, &link->client);
}

void dynamodb_link_release(struct dynamodb_link *link)
{
    aws_client_close(link->client);
    jdoc_release(&link->doc);
    buf_release(&link->body);
    buf_release(&link->answer);
    link->client = NULL;
}

/* --- calls ---------------------------------------------------------------------------------------------------------- */

CC_ERR dynamodb_link_error(const struct dynamodb_link *link, const struct aws_call *call)
{
    if (!call->error.code || error_is(call->error, ERROR_NO_MEMORY))
        return call->error;
    if (strcmp(call->fault.type, "ResourceNotFoundException") == 0)
        return error_make(ERROR_TAMPERED, link->words->missing, __FILE__, __LINE__);
    if (error_is(call->error, ERROR_AWS_REFUSED) && dynamodb_reason(call) == DYNAMODB_CONDITION)
        return CC_FAIL(CONFLICT, "the store has changed meanwhile");
    return error_make(link->words->away, aws_call_why(call), __FILE__, __LINE__);
}

CC_ERR
dynamodb_link_parse(struct dynamodb_link *link, struct aws_call *call, struct jval *ret_answer)
{
    buf_release(&link->answer);
    link->answer = call->answer;
    call->answer = buf_init(0);
    cc_err err = jdoc_parse(&link->doc, link->answer.data, link->answer.len);
    if (err.code)
        return error_is(err, ERROR_NO_MEMORY)
                   ? err
                   : error_make(link->words->away, "DynamoDB's answer is not JSON", __FILE__,
                                __LINE__);
    *ret_answer = jdoc_root(&link->doc);
    return CC_OK;
}

CC_ERR dynamodb_link_ask(struct dynamodb_link *link,
                         const char *operation,
                         bool *ret_unsure,
                         struct jval *ret_answer)
{
    CC_CLEANUP(aws_call_release)
    struct aws_call call = {
        .operation = operation, .body = buf_span(&link->body), .deadline_ms = DYNAMODB_LINK_MS};
    cc_err ignored = aws_call(link->client, &call);
    (void)ignored; /* call.error says it with more */
    if (ret_unsure)
        *ret_unsure = call.unsure;
    CC_TRY(dynamodb_link_error(link, &call));
    return dynamodb_link_parse(link, &call, ret_answer);
}
