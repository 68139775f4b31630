/* Authenticated encryption that commits to its key. */
#include <string.h>

#include "crypto/aead.h"
#include "crypto/committing.h"
#include "crypto/kdf.h"
#include "secret/wipe.h"
#include "support/test.h"

static const uint8_t key[32] = {1, 2, 3};
static const char label[] = "containment-chamber/test/v1";

enum {
    PLAIN_SIZE = 33,
    BLOB_SIZE = PLAIN_SIZE + COMMITTING_OVERHEAD
};

static const uint8_t plain[PLAIN_SIZE] = {9, 8, 7, [32] = 1};

static struct committing_place place(const char *data)
{
    return (struct committing_place){span_of(label, sizeof label), span_of(data, strlen(data))};
}

static void sealed(uint8_t ret_blob[static BLOB_SIZE])
{
    const struct committing_place here = place("here");
    assert_int_equal(committing_seal(key, &here, span_of(plain, sizeof plain), ret_blob).code, 0);
}

static uint32_t opens(const uint8_t k[static 32],
                      const struct committing_place *where,
                      const uint8_t *blob,
                      size_t len,
                      uint8_t ret_plain[static PLAIN_SIZE])
{
    return (uint32_t)committing_open(k, where, span_of(blob, len), ret_plain).code;
}

static void test_T18_a_blob_opens_in_its_place(void **state)
{
    (void)state;
    uint8_t blob[BLOB_SIZE];
    uint8_t other[BLOB_SIZE];
    uint8_t back[PLAIN_SIZE];
    const struct committing_place here = place("here");
    sealed(blob);
    sealed(other);
    assert_memory_not_equal(blob, other, sizeof blob);
    assert_int_equal(opens(key, &here, blob, sizeof blob, back), 0);
    assert_memory_equal(back, plain, sizeof back);
    assert_null(memmem(blob, sizeof blob, plain, 8));
}

static void test_T18_each_byte_counts(void **state)
{
    (void)state;
    static const uint8_t none[PLAIN_SIZE];
    uint8_t blob[BLOB_SIZE];
    uint8_t back[PLAIN_SIZE];
    const struct committing_place here = place("here");
    sealed(blob);
    for (size_t i = 0; i < sizeof blob; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            blob[i] ^= (uint8_t)(1 << bit);
            memset(back, 0xff, sizeof back);
            assert_int_equal(opens(key, &here, blob, sizeof blob, back), ERROR_TAMPERED);
            assert_memory_equal(back, none, sizeof back);
            blob[i] ^= (uint8_t)(1 << bit);
        }
    for (size_t len = 0; len < sizeof blob; len++) /* what fits no plain text is left alone */
        assert_int_equal(opens(key, &here, blob, len, back), ERROR_TAMPERED);
}

static void test_T18_another_place_or_key(void **state)
{
    (void)state;
    uint8_t blob[BLOB_SIZE];
    uint8_t back[PLAIN_SIZE];
    uint8_t other_key[32];
    const struct committing_place here = place("here");
    const struct committing_place there = place("there");
    const struct committing_place nowhere = place("");
    const struct committing_place other_label = {span_of("another", 8), here.data};
    sealed(blob);
    assert_int_equal(opens(key, &there, blob, sizeof blob, back), ERROR_TAMPERED);
    assert_int_equal(opens(key, &nowhere, blob, sizeof blob, back), ERROR_TAMPERED);
    assert_int_equal(opens(key, &other_label, blob, sizeof blob, back), ERROR_TAMPERED);
    memcpy(other_key, key, sizeof key);
    other_key[31] ^= 1;
    assert_int_equal(opens(other_key, &here, blob, sizeof blob, back), ERROR_TAMPERED);
}

/* What AES-GCM alone can't: a tag that is right under another key, made by who knows that key, is refused by the commitment. The cipher's
 * part is made for `other`, the commitment for `key`, and the other way round.
 */
static void test_T18_no_blob_for_two_keys(void **state)
{
    (void)state;
    static const uint8_t other[32] = {4, 5, 6};
    const struct committing_place here = place("here");
    uint8_t blob[BLOB_SIZE];
    uint8_t forged[BLOB_SIZE];
    uint8_t back[PLAIN_SIZE];
    char info[64];
    uint8_t derived[64];
    sealed(blob);
    memcpy(info, label, sizeof label);
    memcpy(info + sizeof label, "here", 4);
    kdf_hkdf_sha256(span_of(other, sizeof other), span_of(blob + 32, 12),
                    span_of(info, sizeof label + 4), derived, sizeof derived);
    memcpy(forged, blob, 32); /* commitment to `key`; then what opens under `other` */
    assert_int_equal(
        aead_seal_at(derived, blob + 32, span_of("", 0), span_of(plain, sizeof plain), forged + 32)
            .code,
        0);
    assert_int_equal(opens(key, &here, forged, sizeof forged, back), ERROR_TAMPERED);
    assert_int_equal(opens(other, &here, forged, sizeof forged, back), ERROR_TAMPERED);
    memcpy(forged, derived + 32,
           32); /* with its own commitment it opens: the construction is as written down */
    assert_int_equal(opens(other, &here, forged, sizeof forged, back), 0);
    assert_int_equal(opens(key, &here, forged, sizeof forged, back), ERROR_TAMPERED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_T18_a_blob_opens_in_its_place),
        cmocka_unit_test(test_T18_each_byte_counts),
        cmocka_unit_test(test_T18_another_place_or_key),
        cmocka_unit_test(test_T18_no_blob_for_two_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
