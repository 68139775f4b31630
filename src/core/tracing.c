#include "core/tracing.h"

#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/log.h"

#include "auth/policy.h"
#include "codec/hex.h"
#include "config/config_table.h"
#include "config/otlp_url.h"
#include "crypto/random.h"
#include "slash/rules.h"
#include "trace/exporter.h"
#include "trace/sampler.h"

enum {
    IDS_AT_ONCE = 64, /* trace ids that one call of the kernel fills */
    CA_MAX = 1 << 20
};

_Static_assert((int)CONFIG_RATIO_ONE == (int)SAMPLER_MILLION, "a ratio has one unit");

struct tracing {
    struct exporter *exporter;
    uint64_t bound; /* of the sampler */
    char url[OTLP_URL_SIZE];
    struct buf ca;
    /* The reader's: random bytes for ids. */
    uint8_t random[IDS_AT_ONCE * TRACE_ID_SIZE];
    size_t random_left;
};

/* --- beginning and end ------------------------------------------------------------------------------------------------- */

static cc_err open_exporter(const struct config *config, struct tracing *tracing)
{
    const struct tracing_config *c = &config->tracing;
    CC_TRY(otlp_url(c->otlp_endpoint, c->allow_plaintext, tracing->url));
    tracing->ca = buf_init(CA_MAX);
    if (c->ca_path[0] && file_read(c->ca_path, &tracing->ca).code)
        return CC_FAIL(CONFIG, "the file of tracing.ca_path can't be read");
    const struct exporter_options options = {
        .url = tracing->url, .ca_bundle = buf_span(&tracing->ca), .version = CC_VERSION};
    tracing->bound = sampler_bound(c->sample_millionths);
    return exporter_open(&options, &tracing->exporter);
}

CC_ERR tracing_open(const struct config *config, struct tracing **ret_tracing)
{
    *ret_tracing = NULL;
    if (!config_traces(config))
        return CC_OK;
    struct tracing *tracing = cc_alloc(sizeof *tracing);
    if (!tracing)
        return CC_FAIL(NO_MEMORY, NULL);
    cc_err err = open_exporter(config, tracing);
    if (err.code)
        tracing_close(tracing);
    else
        *ret_tracing = tracing;
    return err;
}

CC_ERR tracing_start(struct tracing *tracing, const char *instance)
{
    if (!tracing)
        return CC_OK;
    log_notice("signing requests are traced", KV_STR("url", tracing->url));
    return exporter_start(tracing->exporter, instance);
}

void tracing_close(struct tracing *tracing)
{
    if (!tracing)
        return;
    exporter_close(tracing->exporter);
    buf_release(&tracing->ca);
    cc_free(tracing);
}

/* --- a request --------------------------------------------------------------------------------------------------------- */

/* Ids are no secrets: many come with one call. False: the kernel gave none, and nothing is traced. */
static bool random_id(struct tracing *tracing, uint8_t *ret_id, size_t len)
{
    if (tracing->random_left < len) {
        if (random_bytes(tracing->random, sizeof tracing->random).code)
            return false;
        tracing->random_left = sizeof tracing->random;
    }
    tracing->random_left -= len;
    memcpy(ret_id, tracing->random + tracing->random_left, len);
    return !trace_id_is_none(ret_id, len);
}

/* Whose trace, and whether it is sampled; the caller's stands there already, zeros where nobody named one and ours is not. */
static bool
choose(struct tracing *tracing, const struct a_trace *from, uint8_t trace_id[static TRACE_ID_SIZE])
{
    if (!trace_id_is_none(from->trace_id, TRACE_ID_SIZE))
        return from->sampled != 0;
    uint8_t id[TRACE_ID_SIZE];
    if (!tracing->bound || !random_id(tracing, id, sizeof id) || !sampler_takes(tracing->bound, id))
        return false;
    memcpy(trace_id, id, TRACE_ID_SIZE);
    return true;
}

void tracing_decide(struct tracing *tracing,
                    const struct a_trace *from,
                    uint64_t arrived_ns,
                    struct traced *ret_traced)
{
    uint8_t span_id[SPAN_ID_SIZE];
    if (!choose(tracing, from, ret_traced->trace_id) ||
        !random_id(tracing, span_id, sizeof span_id))
        return;
    struct trace_record *record = exporter_take(tracing->exporter);
    if (!record)
        return;
    memcpy(record->trace_id, ret_traced->trace_id, TRACE_ID_SIZE);
    if (!trace_id_is_none(from->trace_id, TRACE_ID_SIZE))
        memcpy(record->parent_id, from->parent_id, SPAN_ID_SIZE);
    memcpy(record->span_id, span_id, SPAN_ID_SIZE);
    record->marks[TRACE_BEGAN] = from->began_ns;
    record->marks[TRACE_ASKED] = from->asked_ns;
    record->marks[TRACE_ARRIVED] = arrived_ns;
    ret_traced->record = record;
}

static const char *rule_of(const struct a_signed *answer)
{
    switch (answer->error) {
    case ERROR_SLASHABLE:
        return answer->rule < SLASH_RULE_END ? slash_rule_name((enum slash_rule)answer->rule)
                                             : NULL;
    case ERROR_DENIED:
    case ERROR_UNAUTHENTICATED:
        return policy_rule_name((enum policy_rule)answer->rule);
    default:
        return NULL;
    }
}

/* Zeros: it was refused before there was one. */
static void set_claim(struct trace_record *record, const struct slash_claim *claim)
{
    if (!claim->slot && !claim->source && !claim->target)
        return;
    if (claim->kind == SLASH_CLAIM_BLOCK) {
        trace_set_number(record, TRACE_SLOT, claim->slot);
        return;
    }
    trace_set_number(record, TRACE_SOURCE_EPOCH, claim->source);
    trace_set_number(record, TRACE_TARGET_EPOCH, claim->target);
}

void tracing_send(struct tracing *tracing,
                  struct trace_record *record,
                  const struct sign_outcome *outcome,
                  const struct a_signed *answer)
{
    const cc_err err = error_from_number(answer->error);
    record->operation = outcome->kind < KIND_END ? kind_operation(outcome->kind) : "UNKNOWN";
    record->status = (uint32_t)error_status(err);
    record->error = err.code ? error_name(err) : NULL;
    record->rule = rule_of(answer);
    if (outcome->slashable != SLASHABLE_NOTHING)
        set_claim(record, &outcome->claim);
    exporter_put(tracing->exporter, record);
}

void tracing_forget(struct tracing *tracing, struct trace_record *record)
{
    if (record)
        exporter_give_back(tracing->exporter, record);
}

void tracing_id_text(const uint8_t trace_id[static TRACE_ID_SIZE],
                     char ret_text[static TRACE_TEXT_SIZE])
{
    size_t len = 0;
    if (!trace_id_is_none(trace_id, TRACE_ID_SIZE)) {
        hex_encode(trace_id, TRACE_ID_SIZE, ret_text);
        len = 2 * (size_t)TRACE_ID_SIZE;
    }
    ret_text[len] = 0;
}
