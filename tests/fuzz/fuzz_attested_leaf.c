/* A server's certificate, as a client of attested TLS gets it: from bytes to a verdict. Whatever comes: what is read has one key and one
 * document, and nobody's bytes are accepted, for the policy's root has signed nothing that a fuzzer could find.
 */
#include "attest/atls.h"
#include "crypto/attested_leaf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The same bytes give the same answer, and what was read is in bounds. */
static void read_twice(struct span der)
{
    struct attested_leaf one;
    struct attested_leaf two;
    uint64_t end = 0;
    CC_CLEANUP(buf_release) struct buf first = buf_init(LEAF_DOCUMENT_MAX);
    CC_CLEANUP(buf_release) struct buf second = buf_init(LEAF_DOCUMENT_MAX);
    cc_err err = attested_leaf_read(der, &one, &first);
    cc_assert(!err.code || error_is(err, ERROR_ATTEST_LEAF) || error_is(err, ERROR_NO_MEMORY));
    if (err.code) {
        (void)leaf_certificate_end(der, &end).code;
        return;
    }
    cc_assert(first.len > 0 && first.len <= LEAF_DOCUMENT_MAX);
    cc_assert(!attested_leaf_read(der, &two, &second).code);
    cc_assert(span_equal(buf_span(&first), buf_span(&second)));
    cc_assert(span_equal(span_of(one.spki_digest, sizeof one.spki_digest),
                         span_of(two.spki_digest, sizeof two.spki_digest)));
    cc_assert(!leaf_certificate_end(der, &end).code && end == one.times.end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct atls_policy policy = {.attest = {.any_pcrs = true, .allow_zero_pcrs = true}};
    struct atls_peer peer;
    read_twice(span_of(data, size));
    cc_assert(atls_check_leaf(span_of(data, size), &policy, &peer).code);
    return 0;
}
