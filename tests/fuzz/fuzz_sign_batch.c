/* Any body of the batch endpoint: refused as the client's fault, or read; then any answers to it, and the array of answers is
 * JSON with one entry for each item.
 */
#include <stdlib.h>
#include <string.h>

#include "eth/request_json.h"
#include "front/batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct eth_network network;
static struct jdoc doc = {.max = SIGN_TOKENS_MAX};

/* Answers that depend on the input: signatures, refusals of the table and beyond it, and none. */
static void answer_some(struct batch *b, const uint8_t *data, size_t size)
{
    for (uint32_t i = 0; i < b->asked; i++) {
        uint8_t choice = data[i % size];
        cc_assert(b->answers[i].error == BATCH_UNANSWERED);
        cc_assert(b->asks[i].request.kind < KIND_END);
        if (choice % 3 == 0)
            b->answers[i] = (struct a_signed){.signature.bytes = {choice}};
        else if (choice % 3 == 1)
            b->answers[i] = (struct a_signed){
                .error = choice % ERROR_CODE_END, .rule = choice, .earlier_slot = choice};
    }
}

static void check_answer(const struct batch *b)
{
    static struct jdoc answer = {.max = SIGN_TOKENS_MAX};
    struct buf out = buf_init(64 << 20);
    struct jval entry;
    cc_assert(!batch_answer(&out, b, (cc_err){ERROR_BUSY}).code);
    cc_assert(!jdoc_parse(&answer, out.data, out.len).code);
    struct jval_iter entries = jval_iterate(jdoc_root(&answer));
    cc_assert(jval_count(jdoc_root(&answer)) == b->count);
    for (uint32_t i = 0; jval_next(&entries, &entry); i++) {
        struct jval member;
        uint64_t status;
        cc_assert(jval_member(entry, "status", &member) && !jval_u64(member, &status).code);
        cc_assert(jval_member(entry, status == 200 ? "signature" : "error", &member));
        cc_assert(!b->items[i].err.code || status == (uint64_t)error_status(b->items[i].err));
    }
    jdoc_wipe(&answer);
    buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t count = 0;
    struct batch *b = NULL;
    if (size == 0)
        return 0;
    static const struct caller caller;
    static const struct batch_asker asker = {1, &caller, NULL};
    if (!network.seconds_per_slot)
        cc_assert(!network_load("minimal", &network).code);
    uint8_t *body = malloc(size);
    if (!body)
        return 0;
    memcpy(body, data, size);
    cc_err err = batch_open(&doc, body, size, &count);
    if (err.code) {
        cc_assert(error_class(err) == CLASS_INPUT);
    } else {
        bool named = batch_names_block(&doc);
        cc_assert(count <= BATCH_ITEMS_MAX);
        cc_assert(!batch_read(&doc, &network, &asker, &b).code);
        cc_assert(b->count == count && b->asked <= count && (named || !b->has_block));
        answer_some(b, data, size);
        check_answer(b);
        batch_free(b);
    }
    jdoc_wipe(&doc);
    free(body);
    return 0;
}
