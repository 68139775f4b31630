#include "front/batch.h"

#include "base/alloc.h"
#include "base/metric.h"

#include "codec/hex.h"
#include "eth/request_json.h"
#include "front/answer.h"

enum {
    ROOM_SIGNED = 240 /* one answer with a signature takes less */
};

CC_ERR batch_open(struct jdoc *doc, uint8_t *body, size_t len, uint32_t *ret_count)
{
    return sign_batch_parse(doc, body, len, ret_count);
}

bool batch_names_block(const struct jdoc *doc)
{
    struct jval_iter items = jval_iterate(jdoc_root(doc));
    struct jval item;
    while (jval_next(&items, &item)) {
        enum eth_kind kind;
        if (!sign_batch_kind(item, &kind).code && kind_info(kind)->rank == KIND_RANK_BLOCK)
            return true;
    }
    return false;
}

static struct batch *batch_new(uint32_t count)
{
    struct batch *b = cc_alloc(sizeof *b);
    if (!b)
        return NULL;
    b->count = count;
    b->items = cc_alloc_array(count, sizeof *b->items);
    b->asks = cc_alloc_array(count, sizeof *b->asks);
    b->answers = cc_alloc_array(count, sizeof *b->answers);
    if (b->items && b->asks && b->answers)
        return b;
    batch_free(b);
    return NULL;
}

static void read_item(struct batch *b,
                      struct batch_item *item,
                      const struct eth_network *network,
                      const struct batch_asker *asker,
                      struct jval from)
{
    struct a_sign *ask = &b->asks[b->asked];
    ask->client = asker->client;
    ask->caller = *asker->caller;
    if (asker->trace)
        ask->trace = *asker->trace;
    item->err = sign_batch_item(network, from, &ask->request);
    if (item->err.code) {
        const char *detail = error_detail();
        item->static_detail = detail[0] ? detail : NULL;
        return;
    }
    item->ask = b->asked;
    b->answers[b->asked++].error = BATCH_UNANSWERED;
    b->has_block |= kind_info((enum eth_kind)ask->request.kind)->rank == KIND_RANK_BLOCK;
}

CC_ERR batch_read(const struct jdoc *doc,
                  const struct eth_network *network,
                  const struct batch_asker *asker,
                  struct batch **ret_batch)
{
    struct jval_iter items = jval_iterate(jdoc_root(doc));
    struct jval item;
    struct batch *b = batch_new(jval_count(jdoc_root(doc)));
    if (!b)
        return CC_FAIL(NO_MEMORY, "batch");
    for (uint32_t i = 0; jval_next(&items, &item); i++)
        read_item(b, &b->items[i], network, asker, item);
    if (b->count > b->asked)
        metric_add(METRIC_HTTP_MALFORMED, 0, 0, b->count - b->asked);
    *ret_batch = b;
    return CC_OK;
}

void batch_free(struct batch *b)
{
    if (!b)
        return;
    if (b->asks)
        explicit_bzero(b->asks, b->count * sizeof *b->asks);
    if (b->answers)
        explicit_bzero(b->answers, b->count * sizeof *b->answers);
    cc_free(b->items);
    cc_free(b->asks);
    cc_free(b->answers);
    cc_free(b);
}

/* --- the answer --------------------------------------------------------------------------------------------------- */

static cc_err put_refusal(struct buf *out, const struct refusal *refusal)
{
    CC_TRY(buf_printf(out, "{\"status\":%d,\"error\":", error_status(refusal->err)));
    CC_TRY(answer_refusal(out, refusal));
    return buf_append_str(out, "}");
}

static cc_err put_signature(struct buf *out, const struct eth_signature *signature)
{
    CC_TRY(buf_append_str(out, "{\"status\":200,\"signature\":\""));
    CC_TRY(hex_append(out, signature->bytes, sizeof signature->bytes));
    return buf_append_str(out, "\"}");
}

static cc_err put_item(struct buf *out, const struct batch *b, uint32_t i, cc_err missing)
{
    const struct batch_item *item = &b->items[i];
    struct refusal refusal = {.err = item->err, .static_detail = item->static_detail};
    if (item->err.code)
        return put_refusal(out, &refusal);
    const struct a_signed *answer = &b->answers[item->ask];
    if (answer->error == 0)
        return put_signature(out, &answer->signature);
    refusal = answer->error == BATCH_UNANSWERED ? (struct refusal){.err = missing}
                                                : refusal_from_core(answer);
    return put_refusal(out, &refusal);
}

CC_ERR batch_answer(struct buf *out, const struct batch *b, cc_err missing)
{
    uint8_t *room;
    size_t len = out->len;
    CC_TRY(buf_grow(out, 2 + (size_t)b->count * ROOM_SIGNED, &room));
    out->len = len;
    for (uint32_t i = 0; i < b->count; i++) {
        CC_TRY(buf_append_str(out, i ? "," : "["));
        CC_TRY(put_item(out, b, i, missing));
    }
    return buf_append_str(out, b->count ? "]" : "[]");
}
