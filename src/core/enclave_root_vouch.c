#include "core/enclave_root_vouch.h"

#include <string.h>

#include "base/log.h"

#include "attest/verify.h"
#include "codec/hex.h"

enum {
    PCR0_DIGITS = 2 * ATTEST_PCR_SIZE
};

/* What the log says of a record that nobody vouches for. */
struct sight {
    bool own;
    bool approved;
    bool genuine;                  /* there is a document of the authority for this record, */
    uint8_t pcr0[ATTEST_PCR_SIZE]; /* of this image */
    cc_err last;                   /* else what is wrong with the last one */
};

static bool is_pcr0(const uint8_t *a, const uint8_t *b)
{
    return span_equal(span_of(a, ATTEST_PCR_SIZE), span_of(b, ATTEST_PCR_SIZE));
}

static bool is_earlier(const struct config_text_list *images, const uint8_t *pcr0)
{
    for (uint32_t i = 0; i < images->count; i++) {
        uint8_t image[ATTEST_PCR_SIZE];
        if (!hex_decode(span_str(images->items[i]), image, sizeof image).code &&
            is_pcr0(image, pcr0))
            return true;
    }
    return false;
}

static cc_err look_at(const struct enclave_root_judge *judge,
                      const uint8_t *digest,
                      struct span bytes,
                      struct attest_document *ret_document)
{
    const struct attest_policy policy = {.root_der = judge->authority, .any_pcrs = true};
    const struct attest_expected expected = {.purpose = ATTEST_FOR_ROOT, .record_digest = digest};
    CC_TRY(attest_verify(bytes, &policy, ret_document));
    return attest_binding_check(ret_document, &expected, NULL);
}

static void see(const struct enclave_root_judge *judge,
                const uint8_t *digest,
                const struct enclave_root_document *document,
                struct sight *sight)
{
    struct attest_document d;
    sight->last = look_at(judge, digest, span_of(document->bytes, document->len), &d);
    if (sight->last.code)
        return;
    const uint8_t *pcr0 = d.pcrs.value[0];
    const bool own = is_pcr0(pcr0, judge->own.pcr0);
    sight->genuine = true;
    memcpy(sight->pcr0, pcr0, sizeof sight->pcr0);
    sight->own |= own;
    sight->approved |= own || is_earlier(&judge->config->images, pcr0);
}

static void say(const struct enclave_root_judge *judge, const struct sight *sight)
{
    char own[PCR0_DIGITS + 1] = "";
    char theirs[PCR0_DIGITS + 1] = "";
    hex_encode(judge->own.pcr0, sizeof judge->own.pcr0, own);
    if (!sight->genuine) {
        log_error(
            "no document vouches for the record of this enclave's chamber: it was changed, or is not of this authority",
            KV_STR("own_image", own), KV_ERR(sight->last));
        return;
    }
    hex_encode(sight->pcr0, sizeof sight->pcr0, theirs);
    log_error("another image has made this enclave's chamber, and this one may not take it over",
              KV_STR("image", theirs), KV_STR("own_image", own),
              KV_STR("hint", "an image takes chambers over whose PCR0 its tee.root.images names"));
}

/* The measured ones, in their order. */
static cc_err check_keys(const struct tee_root_config *config,
                         const struct enclave_root_record *record)
{
    bool same = record->count == config->kms_key_arns.count &&
                record->threshold == config_root_threshold(config);
    for (uint32_t i = 0; same && i < record->count; i++)
        same = span_equal(span_str(record->keys[i].arn), span_str(config->kms_key_arns.items[i]));
    if (same)
        return CC_OK;
    log_error("the record of this enclave's chamber has other KMS keys than the configuration",
              KV_STR("hint",
                     "tee.root.kms_key_arns and tee.root.threshold have to be what they were "
                     "when the chamber was made"));
    return CC_FAIL(ENCLAVE_ROOT, "other KMS keys");
}

CC_ERR enclave_root_check(const struct enclave_root_judge *judge,
                          const struct enclave_root_record *record,
                          bool *ret_own)
{
    uint8_t digest[ATTEST_RECORD_DIGEST_SIZE];
    struct sight sight = {.last = CC_FAIL(ATTEST_FORMAT, "there is no document")};
    if (!own_image_is_measured(&judge->own))
        return CC_FAIL(ENCLAVE_ROOT, "an enclave in debug mode has no chamber of an image");
    CC_TRY(enclave_root_digest(record, digest));
    for (uint32_t i = 0; i < record->document_count; i++)
        see(judge, digest, &record->documents[i], &sight);
    if (!sight.approved) {
        say(judge, &sight);
        return CC_FAIL(ENCLAVE_ROOT, sight.genuine ? "the image that has made it is not approved"
                                                   : "no document vouches for it");
    }
    *ret_own = sight.own;
    return check_keys(judge->config, record);
}

CC_ERR enclave_root_vouch(struct documents *documents, struct enclave_root_record *record)
{
    CC_CLEANUP(buf_release) struct buf document = buf_init(ATTEST_DOCUMENT_MAX);
    CC_TRY(documents_vouch(documents, record, &document));
    return enclave_root_add(record, buf_span(&document));
}
