/* front/batch.h - the signing requests of one body, and their answers in order.
 *
 * WHAT      From POST /api/v1/eth2/sign's array of {identifier, ...request} to struct a_sign items, and from the core's
 *           answers back to an array of {status, signature | error}.
 * PROMISE   Each item is judged alone: what is wrong with one is its own answer and changes no other. Answers stand in the
 *           order of the items, one for each. Memory is that of `count` items, whatever the body's size.
 * THREADS   One at a time for each batch.
 * OWNERSHIP batch_free() frees what batch_read() made, wiped; it takes NULL.
 * ERRORS    batch_open: INPUT class (no array, too many items, broken JSON), NO_MEMORY. batch_read: NO_MEMORY.
 * SECRETS   None.
 */
#ifndef FRONT_BATCH_H
#define FRONT_BATCH_H

#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

#include "codec/json.h"
#include "eth/network.h"
#include "wire/door_a.h"

enum {
    BATCH_UNANSWERED = ERROR_CODE_END /* `error` of an answer that has not come */
};

struct batch_item {
    cc_err err; /* refused here: never asked */
    const char *static_detail;
    uint32_t ask; /* which of `asks` it is otherwise */
};

struct batch {
    uint32_t count;
    uint32_t asked; /* how many of them are for the core to judge */
    bool has_block;
    struct batch_item *items;
    struct a_sign *asks;
    struct a_signed *answers; /* to `asks`; all BATCH_UNANSWERED at first */
};

/* Who asks for all of them. */
struct batch_asker {
    uint32_t client;
    const struct caller *caller;
    const struct a_trace *trace; /* of all; NULL: of none */
};

/* Parses the body as a whole; says how many items batch_read() will make. */
CC_ERR batch_open(struct jdoc *doc, uint8_t *body, size_t len, uint32_t *ret_count);
/* True when some item of the parsed body is to sign a block. */
bool batch_names_block(const struct jdoc *doc);
CC_ERR batch_read(const struct jdoc *doc,
                  const struct eth_network *network,
                  const struct batch_asker *asker,
                  struct batch **ret_batch);
void batch_free(struct batch *batch);
/* Appends the array of answers; items without one get `missing`. */
CC_ERR batch_answer(struct buf *out, const struct batch *batch, cc_err missing);

#endif
