#include "attest/verify.h"

#include "base/num.h"

#include "codec/cbor.h"
#include "codec/hex.h"
#include "crypto/certificate.h"
#include "crypto/sha256.h"

_Static_assert((int)ATTEST_SIGNATURE_SIZE == (int)CERTIFICATE_ES384_SIZE, "ES384");
_Static_assert(ATTEST_BUNDLE_MAX + 1 <= (int)CERTIFICATE_CHAIN_MAX, "chain");

enum {
    /* Image, kernel with its start, application: a debug enclave has zeros in all three, no other one has in any. */
    IMAGE_PCRS = 3
};

/* SHA-256 of the certificate (DER) that AWS publishes as the root of all Nitro Enclaves. */
static const uint8_t aws_root_digest[SHA256_SIZE] = {
    0x64, 0x1a, 0x03, 0x21, 0xa3, 0xe2, 0x44, 0xef, 0xe4, 0x56, 0x46, 0x31, 0x95, 0xd6, 0x06, 0x31,
    0x7e, 0xd7, 0xcd, 0xcc, 0x3c, 0x17, 0x56, 0xe0, 0x98, 0x93, 0xf3, 0xc6, 0x8f, 0x79, 0xbb, 0x5b,
};

/* The root is in the document too; it is trusted because we know it, not because it is there. */
static cc_err check_root(const struct attest_document *d, struct span root_der)
{
    uint8_t digest[SHA256_SIZE];
    if (root_der.len > 0)
        return span_equal(d->bundle[0], root_der)
                   ? CC_OK
                   : CC_FAIL(ATTEST_CHAIN, "the document's root is not the one that was given");
    sha256(d->bundle[0], digest);
    return span_equal(span_of(digest, sizeof digest),
                      span_of(aws_root_digest, sizeof aws_root_digest))
               ? CC_OK
               : CC_FAIL(ATTEST_CHAIN, "the document's root is not AWS's");
}

/* The certificates have to hold when they are looked at, and when the document says that it was made. */
static cc_err check_chain(const struct attest_document *d, const struct attest_policy *policy)
{
    struct span chain[ATTEST_BUNDLE_MAX + 1];
    for (uint32_t i = 0; i < d->bundle_count; i++)
        chain[i] = d->bundle[i];
    chain[d->bundle_count] = d->certificate;
    const struct certificate_time times[] = {
        {policy->now_ms > 0 ? policy->now_ms : d->timestamp_ms, policy->leeway_ms},
        {d->timestamp_ms, policy->leeway_ms},
    };
    return certificate_chain_check(chain, d->bundle_count + 1, times, ARRAY_LEN(times));
}

/* RFC 9052, 4.4: over the bytes as they came. */
static cc_err check_signature(const struct attest_document *d)
{
    uint8_t bytes[64];
    struct cbor_writer w = cbor_writer_init(bytes, sizeof bytes);
    struct span head;
    cbor_put_array(&w, 4);
    cbor_put_text(&w, "Signature1");
    cbor_put_bytes(&w, d->protected_header);
    cbor_put_bytes(&w, span_of("", 0)); /* no data from outside */
    cbor_put_bytes_head(&w, d->payload.len);
    CC_TRY(cbor_written(&w, &head));
    const struct span parts[] = {head, d->payload};
    return certificate_es384_check(d->certificate, parts, ARRAY_LEN(parts), d->signature.data);
}

static cc_err check_time(const struct attest_document *d, const struct attest_policy *policy)
{
    if (policy->now_ms == 0)
        return CC_OK;
    if (d->timestamp_ms > u64_add_sat(policy->now_ms, policy->leeway_ms))
        return CC_FAIL(ATTEST_TIME,
                       "the document is from the future: is this machine's clock right?");
    if (policy->max_age_ms > 0 && policy->now_ms > d->timestamp_ms &&
        policy->now_ms - d->timestamp_ms > policy->max_age_ms)
        return CC_FAIL(ATTEST_TIME, "the document is older than allowed");
    return CC_OK;
}

static bool set_holds(const struct attest_pcrs *set, const struct attest_pcrs *pcrs)
{
    if (set->present == 0 || (set->present & ~pcrs->present))
        return false;
    for (uint32_t i = 0; i < ATTEST_PCR_COUNT; i++) {
        if ((set->present >> i & 1) && !span_equal(span_of(set->value[i], ATTEST_PCR_SIZE),
                                                   span_of(pcrs->value[i], ATTEST_PCR_SIZE)))
            return false;
    }
    return true;
}

static cc_err check_pcrs(const struct attest_document *d, const struct attest_policy *policy)
{
    for (uint32_t i = 0; i < IMAGE_PCRS; i++) {
        if (!(d->pcrs.present >> i & 1))
            return CC_FAIL(ATTEST_PCRS, "PCR0, PCR1 or PCR2 is missing");
        if (!policy->allow_zero_pcrs && !attest_pcr_set(&d->pcrs, i))
            return CC_FAIL(ATTEST_DEBUG, "PCR0, PCR1 or PCR2 is zero");
    }
    if (policy->set_count == 0)
        return policy->any_pcrs ? CC_OK : CC_FAIL(ATTEST_PCRS, "no image is allowed");
    for (size_t i = 0; i < policy->set_count; i++) {
        if (set_holds(&policy->sets[i], &d->pcrs))
            return CC_OK;
    }
    return CC_FAIL(ATTEST_PCRS, NULL);
}

static cc_err check_asked(const struct attest_document *d, const struct attest_policy *policy)
{
    if (policy->nonce.len > 0 && (!d->has_nonce || !span_equal(d->nonce, policy->nonce)))
        return CC_FAIL(ATTEST_NONCE, "the nonce is another one");
    if (policy->user_data.len > 0 &&
        (!d->has_user_data || !span_equal(d->user_data, policy->user_data)))
        return CC_FAIL(ATTEST_BINDING, "the user data are others");
    if (policy->public_key.len > 0 &&
        (!d->has_public_key || !span_equal(d->public_key, policy->public_key)))
        return CC_FAIL(ATTEST_BINDING, "the public key is another one");
    return CC_OK;
}

CC_ERR attest_verify(struct span bytes,
                     const struct attest_policy *policy,
                     struct attest_document *ret_document)
{
    CC_TRY(attest_document_parse(bytes, ret_document));
    CC_TRY(check_root(ret_document, policy->root_der));
    CC_TRY(check_signature(
        ret_document)); /* before the chain: what was changed on the way fails here, and is called so */
    CC_TRY(check_chain(ret_document, policy));
    CC_TRY(check_time(ret_document, policy));
    CC_TRY(check_pcrs(ret_document, policy));
    return check_asked(ret_document, policy);
}

bool attest_is_genuine(cc_err err)
{
    return !err.code || error_is(err, ERROR_ATTEST_DEBUG) || error_is(err, ERROR_ATTEST_PCRS) ||
           error_is(err, ERROR_ATTEST_NONCE) || error_is(err, ERROR_ATTEST_BINDING);
}

CC_ERR attest_pcrs_add(struct attest_pcrs *set, struct span text)
{
    size_t at = 0;
    while (at < text.len && text.data[at] != '=')
        at++;
    uint64_t index;
    uint8_t value[ATTEST_PCR_SIZE];
    CC_TRY(u64_parse(span_of(text.data, at), &index));
    if (at == text.len || index >= ATTEST_PCR_COUNT)
        return CC_FAIL(NUMBER_RANGE, "a register is named as N=HEX, N from 0 to 31");
    if (set->present >> index & 1)
        return CC_FAIL(EXISTS, "a register is named twice");
    CC_TRY(hex_decode(span_of(text.data + at + 1, text.len - at - 1), value, sizeof value));
    memcpy(set->value[index], value, sizeof value);
    set->present |= (uint32_t)1 << index;
    return CC_OK;
}
