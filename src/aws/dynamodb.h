/* aws/dynamodb.h - what is particular to DynamoDB's calls.
 *
 * WHAT      The service's names for aws/client.h, and why a transaction was cancelled.
 * PROMISE   A cancelled transaction has changed nothing. Its reasons come in the order of its items.
 * THREADS   As aws/client.h.   OWNERSHIP Borrows.   ERRORS As aws/client.h; JSON_* and FIELD_* for an answer of another form.
 * SECRETS   None of its own.
 */
#ifndef AWS_DYNAMODB_H
#define AWS_DYNAMODB_H

#include "aws/client.h"

enum {
    DYNAMODB_TRANSACTION_ITEMS_MAX = 100
};

extern const struct aws_service dynamodb_service;

/* Why an item of a transaction, or a single write, was refused. */
enum dynamodb_reason {
    DYNAMODB_NONE,      /* this item was not why */
    DYNAMODB_CONDITION, /* ConditionalCheckFailed */
    DYNAMODB_CONFLICT,  /* TransactionConflict: another transaction holds the item: ask again */
    DYNAMODB_THROTTLED, /* ThrottlingError, ProvisionedThroughputExceeded: ask again, more slowly */
    DYNAMODB_ITEM_TOO_LARGE, /* ItemCollectionSizeLimitExceeded */
    DYNAMODB_VALIDATION,     /* ValidationError: the request is wrong */
    DYNAMODB_OTHER           /* a code that this program doesn't know */
};

/* Of a call that ended with AWS_REFUSED. A TransactionCanceledException: one reason per item, at most `room`, and how many
 * there are; another refusal: one reason for all (ConditionalCheckFailedException, TransactionConflictException,
 * ValidationException, else OTHER).
 */
CC_ERR dynamodb_reasons(const struct aws_call *call,
                        enum dynamodb_reason *ret_reasons,
                        size_t room,
                        size_t *ret_count);
/* The reason that decides: the first of VALIDATION, ITEM_TOO_LARGE, OTHER, CONDITION, THROTTLED, CONFLICT among them; OTHER
 * when the answer can't be read.
 */
enum dynamodb_reason dynamodb_reason(const struct aws_call *call);

#endif
