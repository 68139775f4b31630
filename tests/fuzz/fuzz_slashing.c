/* Any body of the routes that work on the history, and any answers of the core to the steps that follow. The first byte names
 * the work, two more how much of the input is the body; the rest are the answers. What is asked passes the core's own checks;
 * what is answered, or refused, is JSON; an import asks nothing before its body was read whole.
 */
#include <string.h>

#include "core/slashing_step.h"
#include "front/slashing.h"
#include "slash/records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    STEPS = 8
};

static struct jdoc doc = {.max = 64};

static void check_json(struct buf *text)
{
    static struct jdoc parsed = {.max = 1 << 16};
    cc_assert(!jdoc_parse(&parsed, text->data, text->len).code);
    buf_release(text);
}

static void check_refusal(const struct slashing *s, cc_err err)
{
    struct buf out = buf_init(4 << 20);
    cc_assert(!slashing_refusal(s, err, &out).code);
    check_json(&out);
}

static void check_ask(const struct a_slashing *ask)
{
    struct slash_record_list list = {0};
    cc_assert(!slashing_step_check(ask).code);
    cc_assert(!slash_records_read(ask->records, ask->head.count, &list).code);
    slash_record_list_release(&list);
}

/* An answer out of the input: a head whose parts fit sometimes, and records. */
static cc_err
answer(struct slashing *s, const struct a_slashing *ask, const uint8_t **data, size_t *size)
{
    struct a_slashing_head head = {.verb = ask->head.verb};
    struct buf records = buf_init(1 << 16);
    size_t n = *size < 2 ? *size : 2;
    uint8_t choice[2] = {0};
    memcpy(choice, *data, n);
    *data += n;
    *size -= n;
    size_t len = choice[1] * sizeof(struct a_record) / 4;
    len = len < *size ? len : *size;
    cc_assert(!buf_append(&records, *data, len - len % sizeof(struct a_record)).code);
    *data += len;
    *size -= len;
    head.more = choice[0] & 1;
    head.has_key = choice[0] & 2;
    head.validators = choice[0] >> 2;
    head.key = ask->head.key;
    head.key.bytes[47] = (uint8_t)(head.key.bytes[47] + (choice[0] & 4));
    cc_err err = slashing_took(s, &head, &records);
    buf_release(&records);
    return err;
}

static void play(struct slashing *s, bool exports, const uint8_t *data, size_t size)
{
    const struct a_slashing *ask;
    for (int step = 0; step < STEPS && (ask = slashing_next(s)); step++) {
        check_ask(ask);
        cc_err err = answer(s, ask, &data, &size);
        if (err.code) {
            check_refusal(s, err);
            return;
        }
        if (exports)
            slashing_sent(s, slashing_text(s).len);
    }
    if (exports)
        return;
    struct buf out = buf_init(4 << 20);
    cc_assert(!slashing_answer(s, &out).code);
    check_json(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t body[1 << 16];
    struct slashing *s;
    if (size < 3)
        return 0;
    enum a_slashing_verb verb =
        (enum a_slashing_verb)(SLASHING_STATUS + data[0] % (SLASHING_VERB_END - SLASHING_STATUS));
    size_t len = (size_t)data[1] << 8 | data[2];
    len = len < size - 3 ? len : size - 3;
    memcpy(body, data + 3, len);
    cc_assert(!slashing_new(verb, &s).code);
    cc_err err = slashing_read(s, &doc, body, len);
    if (err.code)
        check_refusal(s, err);
    else
        play(s, verb == SLASHING_EXPORT, data + 3 + len, size - 3 - len);
    slashing_free(s);
    return 0;
}
