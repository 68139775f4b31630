#include "attest/binding.h"

enum {
    PARTS_MAX = 3
};

/* The texts stand in user data with their terminator, so that none is the beginning of another one. */
static const struct purpose {
    enum attest_purpose purpose;
    bool spki;
    bool chamber;
    bool public_key;
    bool record;
    const char *text;
} purposes[] = {
    {ATTEST_FOR_TLS, true, true, false, false, "containment-chamber/atls/v1"},
    {ATTEST_FOR_KMS, false, true, true, false, "containment-chamber/kms/v1"},
    {ATTEST_FOR_CLOCK, false, false, false, false, "containment-chamber/clock/v1"},
    {ATTEST_FOR_ROOT, false, false, false, true, "containment-chamber/root/v1"},
};

static const struct purpose *purpose_of(enum attest_purpose purpose)
{
    for (size_t i = 0; i < ARRAY_LEN(purposes); i++) {
        if (purposes[i].purpose == purpose)
            return &purposes[i];
    }
    cc_assert_failed("a purpose out of the table", __FILE__, __LINE__);
}

/* Where what follows the text lies in a binding; spans of length zero for what the purpose has not. */
static size_t fields_of(const struct purpose *p,
                        struct attest_binding *b,
                        uint8_t *ret_at[static PARTS_MAX],
                        size_t ret_len[static PARTS_MAX])
{
    size_t count = 0;
    if (p->spki) {
        ret_at[count] = b->spki_digest;
        ret_len[count++] = sizeof b->spki_digest;
    }
    if (p->chamber) {
        ret_at[count] = b->chamber_id;
        ret_len[count++] = sizeof b->chamber_id;
        ret_at[count] = b->config_digest;
        ret_len[count++] = sizeof b->config_digest;
    }
    if (p->record) {
        ret_at[count] = b->record_digest;
        ret_len[count++] = sizeof b->record_digest;
    }
    return count;
}

size_t attest_binding_encode(const struct attest_binding *binding,
                             uint8_t ret_user_data[static ATTEST_BINDING_MAX])
{
    const struct purpose *p = purpose_of(binding->purpose);
    struct attest_binding copy = *binding;
    uint8_t *at[PARTS_MAX];
    size_t part_len[PARTS_MAX];
    size_t count = fields_of(p, &copy, at, part_len);
    size_t len = strlen(p->text) + 1;
    memcpy(ret_user_data, p->text, len);
    for (size_t i = 0; i < count; i++) {
        cc_assert(len + part_len[i] <= ATTEST_BINDING_MAX);
        memcpy(ret_user_data + len, at[i], part_len[i]);
        len += part_len[i];
    }
    return len;
}

static const struct purpose *purpose_read(struct span user_data)
{
    for (size_t i = 0; i < ARRAY_LEN(purposes); i++) {
        size_t len = strlen(purposes[i].text) + 1;
        if (user_data.len >= len &&
            span_equal(span_of(user_data.data, len), span_of(purposes[i].text, len)))
            return &purposes[i];
    }
    return NULL;
}

CC_ERR attest_binding_decode(struct span user_data, struct attest_binding *ret_binding)
{
    const struct purpose *p = purpose_read(user_data);
    if (!p)
        return CC_FAIL(ATTEST_BINDING, "the user data begin with no purpose of ours");
    struct attest_binding b = {.purpose = p->purpose};
    uint8_t *at[PARTS_MAX];
    size_t part_len[PARTS_MAX];
    size_t count = fields_of(p, &b, at, part_len);
    size_t len = strlen(p->text) + 1;
    for (size_t i = 0; i < count; i++) {
        if (part_len[i] > user_data.len - len)
            return CC_FAIL(ATTEST_BINDING, "the user data are too short for their purpose");
        memcpy(at[i], user_data.data + len, part_len[i]);
        len += part_len[i];
    }
    if (len != user_data.len)
        return CC_FAIL(ATTEST_BINDING, "the user data are too long for their purpose");
    *ret_binding = b;
    return CC_OK;
}

static bool as_expected(const uint8_t *expected, const uint8_t *value, size_t size)
{
    return !expected || span_equal(span_of(expected, size), span_of(value, size));
}

CC_ERR attest_binding_check(const struct attest_document *document,
                            const struct attest_expected *expected,
                            struct attest_binding *ret_binding)
{
    const struct purpose *p = purpose_of(expected->purpose);
    struct attest_binding b;
    cc_assert((expected->spki_digest || !p->spki) && (expected->record_digest || !p->record));
    if (!document->has_user_data)
        return CC_FAIL(ATTEST_BINDING, "there are no user data");
    CC_TRY(attest_binding_decode(document->user_data, &b));
    if (b.purpose != expected->purpose)
        return CC_FAIL(ATTEST_BINDING, "it has another purpose");
    if (document->has_public_key != p->public_key)
        return CC_FAIL(ATTEST_BINDING, "a public key is where its purpose has none, or is missing");
    if (!as_expected(expected->spki_digest, b.spki_digest, sizeof b.spki_digest))
        return CC_FAIL(ATTEST_BINDING, "it vouches for another key");
    if (!as_expected(expected->chamber_id, b.chamber_id, sizeof b.chamber_id))
        return CC_FAIL(ATTEST_BINDING, "it is of another chamber");
    if (!as_expected(expected->config_digest, b.config_digest, sizeof b.config_digest))
        return CC_FAIL(ATTEST_BINDING, "it runs with another configuration");
    if (!as_expected(expected->record_digest, b.record_digest, sizeof b.record_digest))
        return CC_FAIL(ATTEST_BINDING, "it vouches for another record");
    if (ret_binding)
        *ret_binding = b;
    return CC_OK;
}
