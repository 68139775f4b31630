/* aws/dynamodb_table.h - what a DynamoDB table is.
 *
 * WHAT      The facts about a table that decide whether a store may be in it, and making one with the key pk, sk.
 * PROMISE   Says `fit` only of a table whose key is pk (hash), sk (range), that is in no other region too, and whose items don't
 *           expire (T27); where the session has an account, also of none that is not that account's, of that region and name (T11). Its id is that of no other table, also not of one that is restored under the same name.
 * THREADS   As aws/client.h.   OWNERSHIP Borrows.
 * ERRORS    As aws/client.h, of the call; AWS_REFUSED also for an answer that can't be understood.   SECRETS None.
 */
#ifndef AWS_DYNAMODB_TABLE_H
#define AWS_DYNAMODB_TABLE_H

#include "aws/dynamodb.h"
#include "codec/json.h"

enum {
    DYNAMODB_TABLE_NAME_MAX = 256,
    DYNAMODB_TABLE_ID_MAX = 256,
    DYNAMODB_TABLE_ARN_MAX = 512
};

struct dynamodb_table {
    bool exists;
    bool ready;        /* made, and not about to go */
    const char *unfit; /* a static sentence; NULL: nothing speaks against it */
    char id[DYNAMODB_TABLE_ID_MAX];
    char arn[DYNAMODB_TABLE_ARN_MAX]; /* "": the service gives none */
};

/* True for what the service takes as a table's name. */
bool dynamodb_table_name_is_valid(const char *name);
/* Asks about the table; of one that does not exist, only that. */
CC_ERR dynamodb_table_describe(struct aws_client *client,
                               const char *name,
                               struct dynamodb_table *ret_table);
/* What an answer of DescribeTable says, time to live apart. */
CC_ERR dynamodb_table_read(struct jval answer, struct dynamodb_table *ret_table);
/* True when `arn` is that of the table `name` of this account and region. */
bool dynamodb_arn_is(const char *arn, const char *region, const char *account, const char *name);
/* Makes it where there is none, billed on demand, protected from deletion, and waits until it can be used. */
CC_ERR
dynamodb_table_make(struct aws_client *client, const char *name, struct dynamodb_table *ret_table);

#endif
