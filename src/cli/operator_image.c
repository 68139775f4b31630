#include "cli/operator_image.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"

#include "cli/operator_send.h"
#include "codec/hex.h"
#include "seal/proposal.h"

enum {
    WORDS_MAX = 16 << 10,
    BODY_SIZE = 512,
    PCR_DIGITS = 2 * SEAL_PCR_SIZE
};

/* --- reading -------------------------------------------------------------------------------------------------------------------- */

static cc_err member(struct jval object, const char *name, struct jval *ret_value)
{
    return jval_member(object, name, ret_value) ? CC_OK
                                                : CC_FAIL(FIELD_MISSING, "of an image's proposal");
}

static cc_err read_text(struct jval object, const char *name, struct span *ret_text)
{
    struct jval value;
    CC_TRY(member(object, name, &value));
    return jval_text(value, ret_text);
}

static cc_err read_bytes(struct jval object, const char *name, uint8_t *ret_bytes, size_t len)
{
    struct span text;
    CC_TRY(read_text(object, name, &text));
    return hex_decode(text, ret_bytes, len);
}

bool operator_image_is(struct jval object)
{
    struct span kind;
    return jval_type(object) == JVAL_OBJECT && !read_text(object, "kind", &kind).code &&
           span_is(kind, "image");
}

static cc_err read_keys(struct jval object, struct auto_proposed *p)
{
    struct jval list, value;
    uint64_t threshold = 0;
    CC_TRY(member(object, "kms_threshold", &value));
    CC_TRY(jval_u64(value, &threshold));
    CC_TRY(member(object, "kms_key_arns", &list));
    if (jval_type(list) != JVAL_ARRAY || jval_count(list) > SEAL_KMS_MAX ||
        threshold > SEAL_KMS_MAX)
        return CC_FAIL(NUMBER_RANGE, "KMS keys of an image's proposal");
    p->proposal.threshold = (uint32_t)threshold;
    p->proposal.count = jval_count(list);
    struct jval_iter iter = jval_iterate(list);
    for (uint32_t i = 0; jval_next(&iter, &value); i++) {
        struct span arn;
        CC_TRY(jval_text(value, &arn));
        if (!kms_arn_check(arn))
            return CC_FAIL(MALFORMED, "ARN of an image's proposal");
        memcpy(p->keys[i].arn, arn.data, arn.len);
    }
    seal_kms_keys_digest(p->keys, p->proposal.count, p->proposal.kms_keys);
    return CC_OK;
}

static cc_err read_image(struct jval object, struct seal_image *image)
{
    struct jval value;
    CC_TRY(read_bytes(object, "pcr0", image->pcr0, sizeof image->pcr0));
    return jval_member(object, "pcr8", &value)
               ? read_bytes(object, "pcr8", image->pcr8, sizeof image->pcr8)
               : CC_OK;
}

/* Nothing that a terminal would take for a command. */
static cc_err read_proposer(struct jval object, struct auto_proposed *p)
{
    struct span text;
    CC_TRY(read_text(object, "proposer", &text));
    if (text.len == 0 || text.len >= sizeof p->proposer)
        return CC_FAIL(MALFORMED, "proposer of an image");
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < 0x21 || text.data[i] > 0x7e)
            return CC_FAIL(MALFORMED, "proposer of an image");
    memcpy(p->proposer, text.data, text.len);
    return CC_OK;
}

static cc_err read_all(struct jval object, struct auto_proposed *p)
{
    struct jval inner;
    uint8_t said[32], own[32];
    CC_TRY(read_proposer(object, p));
    CC_TRY(member(object, "proposal", &inner));
    CC_TRY(read_bytes(inner, "chamber_id", p->proposal.chamber_id, sizeof p->proposal.chamber_id));
    CC_TRY(read_bytes(inner, "from", p->proposal.from, sizeof p->proposal.from));
    CC_TRY(read_bytes(inner, "id", p->proposal.id, sizeof p->proposal.id));
    CC_TRY(read_image(inner, &p->proposal.image));
    CC_TRY(read_keys(inner, p));
    CC_TRY(proposal_auto_check(&p->proposal));
    CC_TRY(read_bytes(object, "digest", said, sizeof said));
    proposal_auto_digest(&p->proposal, own);
    return span_equal(span_of(said, sizeof said), span_of(own, sizeof own))
               ? CC_OK
               : CC_FAIL(IDENTITY, "the digest is not that of what is shown: approve nothing here");
}

CC_ERR operator_image_read(struct jval object, struct auto_proposed **ret_proposal)
{
    *ret_proposal = cc_alloc(sizeof **ret_proposal);
    if (!*ret_proposal)
        return CC_FAIL(NO_MEMORY, NULL);
    cc_err err = operator_image_is(object) ? read_all(object, *ret_proposal)
                                           : CC_FAIL(FIELD_TYPE, "there is no image's proposal");
    if (err.code) {
        operator_image_free(*ret_proposal);
        *ret_proposal = NULL;
    }
    return err;
}

void operator_image_free(struct auto_proposed *proposal)
{
    cc_free(proposal);
}

/* --- in words --------------------------------------------------------------------------------------------------------------------- */

static cc_err put_hex(struct buf *out, const char *what, const uint8_t *bytes, size_t len)
{
    char digits[PCR_DIGITS + 1] = "";
    hex_encode(bytes, len, digits);
    return buf_printf(out, "%s%s\n", what, digits);
}

CC_ERR operator_image_describe(const struct auto_proposed *proposal, struct buf *out)
{
    static const uint8_t none[SEAL_PCR_SIZE];
    const struct seal_auto_proposal *p = &proposal->proposal;
    uint8_t digest[32];
    proposal_auto_digest(p, digest);
    CC_TRY(
        buf_printf(out,
                   "LETS AN IMAGE OPEN this chamber at each of its starts, WITHOUT ITS OPERATORS:\n"
                   "whoever runs that image has it sign\n"
                   "proposed        auto-unseal, by %s\n",
                   proposal->proposer));
    CC_TRY(put_hex(out, "image, PCR0     ", p->image.pcr0, sizeof p->image.pcr0));
    if (span_equal(span_of(p->image.pcr8, SEAL_PCR_SIZE), span_of(none, sizeof none)))
        CC_TRY(buf_append_str(out, "signed by       anybody or nobody\n"));
    else
        CC_TRY(put_hex(out, "signed by, PCR8 ", p->image.pcr8, sizeof p->image.pcr8));
    CC_TRY(put_hex(out, "chamber         ", p->chamber_id, sizeof p->chamber_id));
    CC_TRY(put_hex(out, "present set     ", p->from, sizeof p->from));
    CC_TRY(buf_printf(out, "KMS keys        %" PRIu32 " of %" PRIu32 "\n", p->threshold, p->count));
    for (uint32_t i = 0; i < p->count; i++)
        CC_TRY(buf_printf(out, "                %s\n", proposal->keys[i].arn));
    return put_hex(out, "digest          ", digest, sizeof digest);
}

/* --- proposing -------------------------------------------------------------------------------------------------------------------- */

/* "0=HEX" or "8=HEX": what follows, or NULL. */
static const char *digits_of(const char *text, char which)
{
    uint8_t bytes[SEAL_PCR_SIZE];
    if (text[0] != which || text[1] != '=' || strlen(text + 2) != PCR_DIGITS ||
        hex_decode(span_str(text + 2), bytes, sizeof bytes).code)
        return NULL;
    return text + 2;
}

static int find_pcrs(const struct operator_wanted *w, const char **ret_pcr0, const char **ret_pcr8)
{
    for (size_t i = 0; i < w->pcrs.count; i++) {
        const char *zero = digits_of(w->pcrs.each[i], '0');
        const char *eight = digits_of(w->pcrs.each[i], '8');
        if ((!zero && !eight) || (zero && *ret_pcr0) || (eight && *ret_pcr8))
            return operator_refuse(w, "is 0=HEX or 8=HEX, 96 digits, each once", w->pcrs.each[i]);
        *ret_pcr0 = zero ? zero : *ret_pcr0;
        *ret_pcr8 = eight ? eight : *ret_pcr8;
    }
    if (!*ret_pcr0)
        return operator_refuse(w, "needs --pcr 0=HEX, the image's measurement", NULL);
    return w->remove && *ret_pcr8 ? operator_refuse(w, "goes by --pcr 0=HEX alone", "--remove")
                                  : EXIT_CODE_DONE;
}

static int remove_image(const struct operator_wanted *w, struct span body)
{
    CC_CLEANUP(operator_reply_release) struct operator_reply reply = {0};
    int code = operator_ask_and_print(w, "POST", "auto-unseal", body, &reply);
    if (code == EXIT_CODE_DONE && !w->json)
        (void)printf(
            "that image opens nothing by itself any more. Take it out of the KMS keys' policies "
            "as well: with an older copy of the tables it still would\n");
    return code;
}

static int propose_image(const struct operator_wanted *w, struct span body)
{
    CC_CLEANUP(operator_reply_release) struct operator_reply reply = {0};
    CC_CLEANUP(buf_release) struct buf words = buf_init(WORDS_MAX);
    struct auto_proposed *proposal = NULL;
    int code = operator_propose_into(w, "auto-unseal", body, &reply);
    if (code != EXIT_CODE_DONE || w->json)
        return code;
    cc_err err = operator_image_read(jdoc_root(&reply.doc), &proposal);
    if (!err.code)
        err = operator_image_describe(proposal, &words);
    operator_image_free(proposal);
    if (err.code)
        return operator_say("what is proposed", err);
    (void)printf("%.*s", (int)words.len, (const char *)words.data);
    (void)fprintf(stderr, "It does nothing before it is approved: `operator approve`.\n");
    return EXIT_CODE_DONE;
}

int operator_propose_image(struct operator_wanted *w)
{
    const char *pcr0 = NULL, *pcr8 = NULL;
    char body[BODY_SIZE];
    int code = operator_needs_one_signer(w);
    if (code == EXIT_CODE_DONE)
        code = find_pcrs(w, &pcr0, &pcr8);
    if (code != EXIT_CODE_DONE)
        return code;
    (void)snprintf(body, sizeof body, "{\"pcr0\":\"%s\"%s%s%s%s}", pcr0, pcr8 ? ",\"pcr8\":\"" : "",
                   pcr8 ? pcr8 : "", pcr8 ? "\"" : "", w->remove ? ",\"remove\":true" : "");
    return w->remove ? remove_image(w, span_str(body)) : propose_image(w, span_str(body));
}
