#include "cli/slashing_live.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#include "app/supervisor.h"
#include "cli/signer_client.h"
#include "cli/slashing_report.h"
#include "codec/hex.h"
#include "codec/json.h"
#include "slash/interchange_read.h"

#define ROUTE "/api/v1/chamber/slashing"

enum {
    ANSWER_MAX = 4 << 20,
    PIECE_BYTES = 4 << 20,      /* of an import: a piece is sent when it has so much */
    PIECE_RECORDS = 200000,     /* or so many */
    PIECE_BYTES_MAX = 64 << 20, /* what a signer takes; one validator is never split */
    DISABLED_MAX = 1 << 20      /* keys that were deleted, of one history */
};

static cc_err keep(void *context, const void *data, size_t len)
{
    return buf_append(context, data, len);
}

/* A whole answer; *ret_status 0 when there was none. */
static cc_err ask(const struct signer *signer,
                  const char *method,
                  const char *target,
                  struct span body,
                  struct buf *ret_answer,
                  int *ret_status)
{
    struct http_answer *answer = cc_alloc(sizeof *answer);
    *ret_status = 0;
    if (!answer)
        return CC_FAIL(NO_MEMORY, NULL);
    answer->sink = keep;
    answer->sink_context = ret_answer;
    cc_err err = signer_ask(signer, method, target, body, answer);
    *ret_status = answer->status;
    cc_free(answer);
    return err;
}

static const struct {
    const char *method;
    const char *target;
} routes[SLASHING_VERB_END] = {
    [SLASHING_STATUS] = {"GET", ROUTE "/status"},
    [SLASHING_EXPORT] = {"GET", ROUTE},
    [SLASHING_IMPORT] = {"POST", ROUTE},
    [SLASHING_VERIFY] = {"POST", ROUTE "/verify"},
    [SLASHING_PRUNE] = {"POST", ROUTE "/prune"},
    [SLASHING_ENABLE] = {"POST", ROUTE "/enable"},
    [SLASHING_HAND_OVER] = {"POST", ROUTE "/hand-over"},
    [SLASHING_REPAIR] = {"POST", ROUTE "/repair-watermark"},
};

int slashing_live_ask(const struct signer *signer,
                      enum a_slashing_verb verb,
                      const char *arguments,
                      bool json)
{
    CC_CLEANUP(buf_release) struct buf answer = buf_init(ANSWER_MAX);
    int status;
    cc_err err = ask(signer, routes[verb].method, routes[verb].target, span_str(arguments), &answer,
                     &status);
    if (err.code)
        return slashing_say_error(signer->url, err);
    if (status == 200)
        return slashing_print(verb, &answer, json);
    int code = slashing_print_refusal(status, &answer);
    signer_hint(signer, status);
    return code;
}

/* --- import ---------------------------------------------------------------------------------------------------------------- */

struct upload {
    const struct signer *signer;
    struct eth_root genesis_validators_root;
    struct interchange_writer writer;
    struct buf body;
    uint64_t records;
    struct slash_import_report sum;
    struct buf answer;
    int refused; /* status of an answer that was no 200 */
};

static cc_err send_piece(struct upload *u)
{
    int status;
    CC_TRY(interchange_write_end(&u->writer));
    u->answer.len = 0;
    cc_err err = ask(u->signer, "POST", ROUTE, buf_span(&u->body), &u->answer, &status);
    u->body.len = 0;
    u->records = 0;
    u->writer.count = 0;
    interchange_writer_release(&u->writer);
    CC_TRY(err);
    if (status == 200)
        return slashing_take_import(&u->answer, &u->sum);
    u->refused = status;
    return CC_FAIL(IO, "the signer refused");
}

static cc_err add_validator(void *context, const struct slash_validator *v)
{
    struct upload *u = context;
    if (u->writer.count == 0)
        CC_TRY(interchange_write_begin(&u->writer, &u->genesis_validators_root));
    CC_TRY(interchange_write_validator(&u->writer, v));
    u->records += 1 + v->block_count + v->attestation_count;
    return u->body.len >= PIECE_BYTES || u->records >= PIECE_RECORDS ? send_piece(u) : CC_OK;
}

static cc_err look_only(void *context, const struct slash_validator *validator)
{
    (void)context;
    (void)validator;
    return CC_OK;
}

/* A file without validators is sent too: its network is the signer's to judge. */
static cc_err upload_all(struct upload *u,
                         struct interchange_reader *reader,
                         const struct interchange_source *source,
                         struct interchange_result *result)
{
    CC_TRY(interchange_read(reader, source, result, look_only, NULL));
    u->genesis_validators_root = reader->genesis_validators_root;
    CC_TRY(source->rewind(source->context));
    CC_TRY(interchange_read(reader, source, result, add_validator, u));
    if (u->writer.count)
        return send_piece(u);
    if (u->sum.validators)
        return CC_OK;
    CC_TRY(interchange_write_begin(&u->writer, &u->genesis_validators_root));
    return send_piece(u);
}

static int report(const char *from,
                  bool json,
                  struct upload *u,
                  const struct interchange_result *result,
                  cc_err err)
{
    (void)fprintf(stderr, "%.*s", (int)result->messages.len,
                  result->messages.len ? (const char *)result->messages.data : "");
    int code = slashing_exit_code(err);
    if (u->refused)
        code = slashing_print_refusal(u->refused, &u->answer);
    else if (err.code)
        code = slashing_say_error(from, err);
    if (result->faults) {
        (void)fprintf(stderr, "Nothing was imported: %u fault(s) in the file.\n", result->faults);
        return code;
    }
    slashing_print_import(&u->sum, json);
    if (err.code)
        (void)fprintf(stderr, "The import is not complete. It can be repeated.\n");
    return code;
}

int slashing_live_import(const struct signer *signer,
                         const char *from,
                         bool json,
                         const struct interchange_source *source)
{
    struct upload u = {.signer = signer,
                       .writer = {.write = keep},
                       .body = buf_init(PIECE_BYTES_MAX),
                       .answer = buf_init(ANSWER_MAX)};
    struct interchange_result result = {.messages = buf_init(INTERCHANGE_MESSAGES_MAX)};
    struct interchange_reader *reader = cc_alloc(sizeof *reader);
    u.writer.context = &u.body;
    cc_err err = reader ? upload_all(&u, reader, source, &result) : CC_FAIL(NO_MEMORY, NULL);
    int code = report(from, json, &u, &result, err);
    if (reader)
        interchange_reader_release(reader);
    cc_free(reader);
    interchange_writer_release(&u.writer);
    buf_release(&u.body);
    buf_release(&u.answer);
    buf_release(&result.messages);
    return code;
}

/* --- export ---------------------------------------------------------------------------------------------------------------- */

struct download {
    interchange_write_fn *write;
    void *context;
    uint64_t *count;
    size_t matched; /* characters of `mark` that the text so far ends with */
    struct buf refusal;
};

/* Counts validators, and hands the text on. */
static cc_err take_text(void *context, const void *data, size_t len)
{
    static const char mark[] = "\"pubkey\"";
    struct download *d = context;
    const char *text = data;
    for (size_t i = 0; i < len; i++) {
        d->matched = text[i] == mark[d->matched] ? d->matched + 1 : text[i] == mark[0];
        if (mark[d->matched])
            continue;
        ++*d->count;
        d->matched = 0;
    }
    return d->write(d->context, data, len);
}

static void choose_sink(struct http_answer *answer)
{
    struct download *d = answer->sink_context;
    if (answer->status == 200)
        return;
    answer->sink = keep;
    answer->sink_context = &d->refusal;
}

int slashing_live_export(const struct signer *signer,
                         interchange_write_fn *write,
                         void *context,
                         uint64_t *ret_count)
{
    struct download d = {write, context, ret_count, 0, buf_init(ANSWER_MAX)};
    struct http_answer *answer = cc_alloc(sizeof *answer);
    *ret_count = 0;
    if (!answer)
        return slashing_say_error(signer->url, CC_FAIL(NO_MEMORY, NULL));
    answer->sink = take_text;
    answer->sink_context = &d;
    answer->head = choose_sink;
    cc_err err = signer_ask(signer, "GET", ROUTE, span_str(""), answer);
    int code = err.code                ? slashing_say_error(signer->url, err)
               : answer->status != 200 ? slashing_print_refusal(answer->status, &d.refusal)
                                       : EXIT_CODE_DONE;
    buf_release(&d.refusal);
    cc_free(answer);
    return code;
}

/* --- disabled keys --------------------------------------------------------------------------------------------------------- */

typedef cc_err put_key_fn(struct buf *out, const struct eth_pubkey *pubkey);

static cc_err put_disabled(struct jval root, put_key_fn *put, struct buf *out)
{
    struct jval list, item;
    if (!jval_member(root, "disabled", &list) || jval_type(list) != JVAL_ARRAY)
        return CC_FAIL(PROTOCOL, "the signer's list of disabled keys");
    struct jval_iter items = jval_iterate(list);
    while (jval_next(&items, &item)) {
        struct eth_pubkey pubkey;
        struct span text;
        CC_TRY(jval_text(item, &text));
        CC_TRY(hex_decode(hex_digits(text), pubkey.bytes, sizeof pubkey.bytes));
        CC_TRY(put(out, &pubkey));
    }
    return CC_OK;
}

CC_ERR slashing_live_disabled(const struct signer *signer, put_key_fn *put, struct buf *out)
{
    CC_CLEANUP(buf_release) struct buf answer = buf_init((size_t)DISABLED_MAX * 128);
    struct jdoc doc = jdoc_init(DISABLED_MAX);
    int status;
    CC_TRY(ask(signer, "GET", ROUTE "/disabled", span_str(""), &answer, &status));
    if (status != 200)
        return CC_FAIL(PROTOCOL, "the signer does not tell which keys are disabled");
    cc_err err = jdoc_parse(&doc, answer.data, answer.len);
    if (!err.code)
        err = put_disabled(jdoc_root(&doc), put, out);
    jdoc_release(&doc);
    return err;
}
