#include "attest/atls.h"

#include "base/clock.h"
#include "base/num.h"

#include "crypto/attested_leaf.h"

_Static_assert((int)LEAF_SPKI_DIGEST_SIZE == (int)ATTEST_SPKI_DIGEST_SIZE, "one digest");
_Static_assert((int)LEAF_DOCUMENT_MAX >= (int)ATTEST_DOCUMENT_MAX, "every document fits");

static cc_err check_times(const struct leaf_times *times, uint64_t now_ms)
{
    const uint64_t now = now_ms / 1000;
    if (times->end <= times->begin || times->end - times->begin > ATLS_LIFE_MAX_S)
        return CC_FAIL(ATTEST_LEAF, "the certificate is valid for longer than two hours");
    if (now >= times->end)
        return CC_FAIL(ATTEST_LEAF, "the certificate has expired");
    if (now + ATTEST_LEEWAY_MS / 1000 < times->begin)
        return CC_FAIL(ATTEST_LEAF, "the certificate is not valid yet");
    return CC_OK;
}

CC_ERR atls_document_end(const struct attest_document *document, uint64_t *ret_end_s)
{
    CC_TRY(leaf_certificate_end(document->certificate, ret_end_s));
    for (uint32_t i = 0; i < document->bundle_count; i++) {
        uint64_t end;
        CC_TRY(leaf_certificate_end(document->bundle[i], &end));
        *ret_end_s = u64_min(*ret_end_s, end);
    }
    return CC_OK;
}

/* Until the document is too old, and no longer than the certificates under it hold. */
static cc_err find_end(const struct attest_document *document,
                       const struct attest_policy *policy,
                       uint64_t leaf_end,
                       uint64_t *ret_until_ms)
{
    uint64_t end;
    CC_TRY(atls_document_end(document, &end));
    *ret_until_ms = u64_min(end, leaf_end) * 1000;
    if (policy->max_age_ms)
        *ret_until_ms =
            u64_min(*ret_until_ms, u64_add_sat(document->timestamp_ms, policy->max_age_ms));
    return CC_OK;
}

/* A policy for now: nothing that a caller may have left in it counts. */
static struct attest_policy policy_now(const struct atls_policy *policy)
{
    struct attest_policy now = policy->attest;
    now.now_ms = clock_wall_ms();
    now.leeway_ms = ATTEST_LEEWAY_MS;
    now.nonce = now.user_data = now.public_key = span_of(NULL, 0);
    return now;
}

CC_ERR
atls_check_leaf(struct span der, const struct atls_policy *policy, struct atls_peer *ret_peer)
{
    CC_CLEANUP(buf_release) struct buf bytes = buf_init(LEAF_DOCUMENT_MAX);
    const struct attest_policy now = policy_now(policy);
    struct attested_leaf leaf;
    struct attest_document document;
    struct atls_peer peer = {.pcrs_known = true};
    *ret_peer = (struct atls_peer){.until_ms = 0};
    CC_TRY(attested_leaf_read(der, &leaf, &bytes));
    CC_TRY(check_times(&leaf.times, now.now_ms));
    cc_err err = attest_verify(buf_span(&bytes), &now, &document);
    if (!err.code || error_is(err, ERROR_ATTEST_PCRS) || error_is(err, ERROR_ATTEST_DEBUG))
        *ret_peer = (struct atls_peer){.pcrs_known = true, .pcrs = document.pcrs};
    CC_TRY(err);
    const struct attest_expected expected = {.purpose = ATTEST_FOR_TLS,
                                             .spki_digest = leaf.spki_digest,
                                             .chamber_id = policy->chamber_id,
                                             .config_digest = policy->config_digest};
    CC_TRY(attest_binding_check(&document, &expected, &peer.binding));
    CC_TRY(find_end(&document, &policy->attest, leaf.times.end, &peer.until_ms));
    peer.pcrs = document.pcrs;
    peer.timestamp_ms = document.timestamp_ms;
    *ret_peer = peer;
    return CC_OK;
}

CC_ERR atls_check_live(struct span bytes,
                       const struct atls_policy *policy,
                       const struct atls_peer *peer,
                       const uint8_t nonce[static ATLS_NONCE_SIZE])
{
    struct attest_policy now = policy_now(policy);
    struct attest_document document;
    now.nonce = span_of(nonce, ATLS_NONCE_SIZE);
    CC_TRY(attest_verify(bytes, &now, &document));
    const struct attest_expected expected = {.purpose = ATTEST_FOR_TLS,
                                             .spki_digest = peer->binding.spki_digest,
                                             .chamber_id = peer->binding.chamber_id,
                                             .config_digest = peer->binding.config_digest};
    return attest_binding_check(&document, &expected, NULL);
}
