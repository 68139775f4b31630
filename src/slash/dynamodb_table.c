#include <string.h>

#include "base/log.h"

#include "slash/dynamodb_history.h"

CC_ERR dynamodb_table_fits(const char *name, cc_err err, const struct dynamodb_table *table)
{
    const char *why = error_detail();
    if (err.code)
        return error_make(ERROR_STORE, why[0] ? why : error_text(err), __FILE__, __LINE__);
    if (!table->exists)
        return CC_FAIL(HISTORY_MISSING, "there is no such DynamoDB table");
    if (table->unfit) {
        log_error("the DynamoDB table is not fit for a slashing-protection history",
                  KV_STR("table", name), KV_STR("why", table->unfit));
        return error_make(ERROR_IDENTITY, table->unfit, __FILE__, __LINE__);
    }
    return table->ready ? CC_OK : CC_FAIL(STORE, "the DynamoDB table is being made, or removed");
}

CC_ERR dynamodb_table_check(struct dynamodb_db *db, char ret_id[static DYNAMODB_TABLE_ID_MAX])
{
    struct dynamodb_table table = {0};
    cc_err err = db->describe(db->client, db->table, &table);
    CC_TRY(dynamodb_table_fits(db->table, err, &table));
    memcpy(ret_id, table.id, sizeof table.id);
    return CC_OK;
}

CC_ERR dynamodb_table_is_empty(struct dynamodb_db *db, bool *ret_empty)
{
    struct jval answer;
    struct jval_iter items;
    struct jval item;
    db->body.len = 0;
    CC_TRY(buf_printf(&db->body, "{\"TableName\":\"%s\",\"ConsistentRead\":true,\"Limit\":1}",
                      db->table));
    CC_TRY(dynamodb_ask(db, "Scan", &answer));
    CC_TRY(dynamodb_answer_items(answer, &items));
    *ret_empty = !jval_next(&items, &item);
    return CC_OK;
}
