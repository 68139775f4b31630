/* Bodies about the sealed chamber: the first byte says which route; refused with a place, or something that a proposal may be made of. */
#include <string.h>

#include "base/alloc.h"

#include "core/seal_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_wish(const struct ceremony_wish *wish)
{
    const struct seal_proposal *p = &wish->proposal;
    cc_assert(p->kms_threshold <= p->kms_count && p->kms_count <= SEAL_KMS_MAX);
    cc_assert(p->operator_threshold <= p->operator_count &&
              p->operator_count <= SEAL_OPERATORS_MAX);
    cc_assert(p->break_glass_threshold <= p->break_glass_count &&
              p->break_glass_count <= SEAL_BREAK_GLASS_MAX);
    for (uint32_t i = 0; i < p->operator_count; i++)
        cc_assert(seal_is_operator_name(span_str(p->operators[i].name)));
}

static void read_set(uint32_t kind, uint8_t *text, size_t len)
{
    static struct ceremony_wish wish;
    char secret[SEAL_BODY_SECRET_MAX];
    struct auth_fault fault = {.what = NULL};
    cc_err err = seal_body_wish(kind, text, len, &wish, secret, &fault);
    cc_assert(memchr(secret, 0, sizeof secret) && memchr(fault.place, 0, sizeof fault.place));
    if (!err.code)
        check_wish(&wish);
}

static void read_envelope(uint32_t purpose, uint8_t *text, size_t len)
{
    static struct ceremony_envelope envelope;
    struct auth_fault fault = {.what = NULL};
    if (seal_body_envelope(purpose, text, len, &envelope, &fault).code)
        return;
    cc_assert(envelope.len <= SEAL_ENVELOPE_MAX && envelope.purpose == purpose);
    cc_assert(purpose == SEAL_TO_APPROVE || seal_is_operator_name(span_str(envelope.name)));
}

static void read_image(uint8_t *text, size_t len)
{
    struct auth_fault fault = {.what = NULL};
    struct seal_image image;
    bool removes = false;
    (void)seal_body_image(text, len, &image, &removes, &fault).code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t key[32];
    struct auth_fault fault = {.what = NULL};
    if (size == 0)
        return 0;
    const size_t len = size - 1;
    uint8_t *text = cc_alloc(size);
    cc_assert(text);
    memcpy(text, data + 1, len);
    const unsigned route = (unsigned)(data[0] - 'a') % 13;
    if (route < 5)
        read_set(SEAL_KIND_INIT + route, text, len);
    else if (route < 10)
        read_envelope(SEAL_TO_REGISTER + (route - 5), text, len);
    else if (route == 10)
        (void)seal_body_key(text, len, key, &fault).code;
    else if (route == 11)
        read_image(text, len);
    else
        cc_assert(seal_body_purpose(span_of(text, len)) <= SEAL_TO_BREAK_GLASS);
    cc_free(text);
    return 0;
}
