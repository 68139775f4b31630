/* aws/dynamodb_link.h - a store's table in DynamoDB: opening it, whether it is fit, one call after the other.
 *
 * WHAT      What the state store and the key store have in common. The history has more connections, and code of its own.
 * PROMISE   A table that is replicated, expires items, is missing or is being made is refused (T27) where it is looked at:
 *           dynamodb_link_look() does so at its first call, and then once a minute; so is another table in its place (T11).
 * THREADS   One at a time.
 * OWNERSHIP dynamodb_link_release() frees. Borrows the session; `answer` and what is read of it live until the next call.
 * ERRORS    words->away (can't be used now), TAMPERED (no table), IDENTITY (not fit), CONFLICT (a condition did not hold), CONFIG, NO_MEMORY.
 * SECRETS   None.
 */
#ifndef AWS_DYNAMODB_LINK_H
#define AWS_DYNAMODB_LINK_H

#include "aws/dynamodb_table.h"
#include "aws/session.h"
#include "codec/json.h"

enum {
    DYNAMODB_LINK_MS = 2000 /* of what a signer may wait for */
};

/* Whose table it is. */
struct dynamodb_words {
    enum error_code away;
    const char *missing; /* "the key store's table is missing" */
    const char *making;  /* "... is being made" */
    size_t body_max;     /* of a call */
};

struct dynamodb_link {
    const struct dynamodb_words *words;
    struct aws_client *client;
    char table[DYNAMODB_TABLE_NAME_MAX];
    char table_id[DYNAMODB_TABLE_ID_MAX]; /* as the service said last */
    uint64_t described_ms;                /* 0: never */
    struct buf body;
    struct buf answer; /* what `doc` was parsed from */
    struct jdoc doc;
};

/* Makes the table where there is none; what is there is kept. */
CC_ERR dynamodb_link_make(struct aws_session *session,
                          const char *table,
                          const struct dynamodb_words *words);
/* Asks nothing. */
CC_ERR dynamodb_link_open(struct dynamodb_link *link,
                          struct aws_session *session,
                          const char *table,
                          const struct dynamodb_words *words);
void dynamodb_link_release(struct dynamodb_link *link); /* takes one that was never opened */
CC_ERR dynamodb_link_look(struct dynamodb_link *link);

/* What a call that has ended came to. */
CC_ERR dynamodb_link_error(const struct dynamodb_link *link, const struct aws_call *call);
/* Takes the answer of one that went well. */
CC_ERR
dynamodb_link_parse(struct dynamodb_link *link, struct aws_call *call, struct jval *ret_answer);
/* Sends link->body. *ret_unsure (not NULL): whether it was carried out is not known. */
CC_ERR dynamodb_link_ask(struct dynamodb_link *link,
                         const char *operation,
                         bool *ret_unsure,
                         struct jval *ret_answer);

#endif
