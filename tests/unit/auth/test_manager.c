/* Signed management requests: one way to write each header, and a signature counts for one request alone. */
#include <stdio.h>
#include <string.h>

#include "base/macros.h"

#include "auth/manager.h"
#include "support/test.h"

static const uint8_t seed[ED25519_SEED_SIZE] = {1, 2, 3};
static const char body[] = "{\"rules\":[]}";
static const char keyid[] = "0123456789abcdef0123456789abcdef";

static struct manager_request request_of(const char *method, const char *path, const char *text)
{
    return (struct manager_request){
        .method = method, .path = path, .scheme = "https", .body = span_str(text)};
}

static struct manager_signed sign(const struct manager_request *request)
{
    struct manager_signed signed_;
    assert_int_equal(manager_sign(seed, request, 1700000000, "abc", &signed_).code, 0);
    return signed_;
}

static cc_err parse(const struct manager_signed *headers, struct manager_signature *ret_signature)
{
    const struct manager_headers h = {span_str(headers->input), span_str(headers->signature),
                                      span_str(headers->digest)};
    return manager_signature_parse(&h, ret_signature);
}

static enum error_code verify(const struct manager_signed *headers,
                              const struct manager_request *request)
{
    struct manager_signature signature;
    uint8_t public_key[ED25519_PUBLIC_SIZE];
    ed25519_public(seed, public_key);
    assert_int_equal(parse(headers, &signature).code, 0);
    return (enum error_code)manager_verify(&signature, request, public_key).code;
}

static void test_a_key_is_one_text(void **state)
{
    (void)state;
    char text[MANAGER_TEXT_SIZE];
    uint8_t back[ED25519_SEED_SIZE];
    manager_text(seed, text);
    assert_int_equal(strlen(text), MANAGER_TEXT_SIZE - 1);
    assert_memory_equal(text, "cc_management_AQID", 18);
    assert_int_equal(manager_text_parse(span_str(text), back).code, 0);
    assert_memory_equal(back, seed, sizeof seed);
    for (size_t len = 0; len < strlen(text); len++)
        assert_int_equal(manager_text_parse(span_of(text, len), back).code, ERROR_MALFORMED);
    text[0] = 'C';
    assert_int_equal(manager_text_parse(span_str(text), back).code, ERROR_MALFORMED);
    text[0] = 'c';
    text[20] = '+';
    assert_int_equal(manager_text_parse(span_str(text), back).code, ERROR_MALFORMED);
    text[20] = 'A';
    text[MANAGER_TEXT_SIZE - 2] = 'B'; /* bits beyond the last byte */
    assert_int_equal(manager_text_parse(span_str(text), back).code, ERROR_MALFORMED);
}

static void test_T03_a_signature_is_for_one_request(void **state)
{
    (void)state;
    struct manager_request request = request_of("PUT", "/api/v1/chamber/auth/policies/a", body);
    struct manager_signed headers = sign(&request);
    const struct manager_request others[] = {
        request_of("DELETE", request.path, body),
        request_of("PUT", "/api/v1/chamber/auth/policies/b", body),
        request_of("PUT", request.path, "{\"rules\":[] }"),
        request_of("PUT", request.path, ""),
    };
    assert_int_equal(verify(&headers, &request), 0);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_int_equal(verify(&headers, &others[i]), ERROR_UNAUTHENTICATED);
    for (size_t bit = 0; bit < 512; bit++) { /* each bit of the signature */
        struct manager_signature signature;
        uint8_t public_key[ED25519_PUBLIC_SIZE];
        ed25519_public(seed, public_key);
        assert_int_equal(parse(&headers, &signature).code, 0);
        signature.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(manager_verify(&signature, &request, public_key).code,
                         ERROR_UNAUTHENTICATED);
    }
    struct manager_signed other = sign(&others[2]);
    struct manager_signed mixed = headers; /* another body's digest beside the right signature */
    memcpy(mixed.digest, other.digest, sizeof mixed.digest);
    assert_int_equal(verify(&mixed, &request), ERROR_UNAUTHENTICATED);
    char *created = strstr(headers.input, "1700000000");
    assert_non_null(created);
    created[9] = '1';
    assert_int_equal(verify(&headers, &request), ERROR_UNAUTHENTICATED);
}

static void test_the_whole_uri_may_be_signed(void **state)
{
    (void)state;
    struct manager_request request = request_of("GET", "/api/v1/chamber/auth/tokens", "");
    request.authority = span_str("signer:9000");
    struct manager_signed headers = sign(&request);
    assert_non_null(strstr(headers.input, "@target-uri"));
    assert_int_equal(verify(&headers, &request), 0);
    request.scheme = "http";
    assert_int_equal(verify(&headers, &request), ERROR_UNAUTHENTICATED);
    request.scheme = "https";
    request.authority = span_str("other:9000");
    assert_int_equal(verify(&headers, &request), ERROR_UNAUTHENTICATED);
    request.authority = span_str("");
    assert_int_equal(verify(&headers, &request), ERROR_UNAUTHENTICATED);
}

/* Puts what is covered and the key's id into a text. */
static void fill(const char *text, char input[static MANAGER_INPUT_MAX])
{
    static const char *const values[] = {"(\"@method\" \"@path\" \"content-digest\")", keyid};
    size_t n = 0;
    size_t value = 0;
    for (; *text; text++) {
        if (text[0] != '%') {
            input[n++] = *text;
            continue;
        }
        size_t len = strlen(values[value]);
        memcpy(input + n, values[value++], len);
        n += len;
        text++;
    }
    input[n] = 0;
}

static void test_only_one_way_to_write_it(void **state)
{
    (void)state;
    static const struct {
        const char *text; /* %s: what is covered, then the key's id */
        bool good;
    } inputs[] = {
        {"sig1=%s;created=1;keyid=\"%s\";alg=\"ed25519\"", true},
        {"sig1=%s;alg=\"ed25519\";keyid=\"%s\";created=1", true},
        {"sig1=%s;created=1;keyid=\"%s\";nonce=\"x y\";alg=\"ed25519\"", true},
        {"s_-9=%s;created=1;keyid=\"%s\";alg=\"ed25519\"",
         false}, /* another label than Signature's */
        {"sig1=%s;created=1;keyid=\"%s\"", false},
        {"sig1=%s;created=1;alg=\"ed25519\"", false},
        {"sig1=%s;keyid=\"%s\";alg=\"ed25519\"", false},
        {"sig1=%s;created=1;keyid=\"%s\";alg=\"rsa-pss-sha512\"", false},
        {"sig1=%s;created=01;keyid=\"%s\";alg=\"ed25519\"", false},
        {"sig1=%s;created=-1;keyid=\"%s\";alg=\"ed25519\"", false},
        {"sig1=%s;created=;keyid=\"%s\";alg=\"ed25519\"", false},
        {"sig1=%s;created=1234567890123456;keyid=\"%s\";alg=\"ed25519\"", false},
        {"sig1=%s;created=1;created=2;keyid=\"%s\";alg=\"ed25519\"", false},
        {"sig1=%s; created=1;keyid=\"%s\";alg=\"ed25519\"", false},
        {"sig1=%s;created=1;keyid=\"%s\";alg=\"ed25519\";expires=9", false},
        {"sig1=%s;created=1;keyid=\"%s\";nonce=\"\";alg=\"ed25519\"", false},
        {"sig1=%s;created=1;keyid=\"%s\";nonce=\"a\\\"b\";alg=\"ed25519\"", false},
        {"sig1=%s;created=1;keyid=\"%s\";alg=\"ed25519\", sig2=()", false},
        {"sig1=%s;created=1;keyid=\"0%s\";alg=\"ed25519\"", false},
        {" sig1=%s;created=1;keyid=\"%s\";alg=\"ed25519\"", false},
        {"Sig1=%s;created=1;keyid=\"%s\";alg=\"ed25519\"", false},
    };
    const struct manager_request request = request_of("GET", "/x", "");
    struct manager_signed headers = sign(&request);
    struct manager_signature signature;
    char input[MANAGER_INPUT_MAX];
    for (size_t i = 0; i < ARRAY_LEN(inputs); i++) {
        fill(inputs[i].text, input);
        (void)snprintf(headers.input, sizeof headers.input, "%s", input);
        if ((parse(&headers, &signature).code == 0) != inputs[i].good)
            fail_msg("%s", input);
    }
}

static void test_odd_covers_signatures_and_digests(void **state)
{
    (void)state;
    static const char *const covers[] = {
        "(\"@method\" \"@path\")",
        "(\"@path\" \"@method\" \"content-digest\")",
        "(\"@method\" \"@path\" \"content-digest\" \"date\")",
        "(\"@method\"  \"@path\" \"content-digest\")",
        "(\"@method\" \"@path\" \"Content-Digest\")",
        "()",
    };
    const struct manager_request request = request_of("GET", "/x", "");
    const struct manager_signed good = sign(&request);
    struct manager_signature signature;
    for (size_t i = 0; i < ARRAY_LEN(covers); i++) {
        struct manager_signed headers = good;
        (void)snprintf(headers.input, sizeof headers.input,
                       "sig1=%s;created=1;keyid=\"%s\";alg=\"ed25519\"", covers[i], keyid);
        assert_int_equal(parse(&headers, &signature).code, ERROR_MALFORMED);
    }
    for (size_t len = 0; len < strlen(good.signature); len++) {
        struct manager_signed headers = good;
        headers.signature[len] = 0;
        assert_int_equal(parse(&headers, &signature).code, ERROR_MALFORMED);
    }
    for (size_t len = 0; len < strlen(good.digest); len++) {
        struct manager_signed headers = good;
        headers.digest[len] = 0;
        assert_int_equal(parse(&headers, &signature).code, ERROR_MALFORMED);
    }
    struct manager_signed two = good;
    (void)strcat(two.digest, ", sha-512=:AA==:");
    assert_int_equal(parse(&two, &signature).code, ERROR_MALFORMED);
}

static void test_the_record_comes_back(void **state)
{
    (void)state;
    struct managers managers = {.count = 2};
    struct managers back;
    CC_CLEANUP(buf_release) struct buf text = buf_init(MANAGERS_STORED_MAX);
    for (uint32_t i = 0; i < managers.count; i++) {
        struct manager *m = &managers.list[i];
        m->public_key[0] = (uint8_t)(i + 1);
        manager_keyid(m->public_key, m->keyid);
        m->added = 5 + i;
        m->last = UINT64_MAX - i;
    }
    assert_int_equal(managers_write(&managers, &text).code, 0);
    char kept[MANAGERS_STORED_MAX];
    memcpy(kept, text.data, text.len);
    assert_int_equal(managers_parse(text.data, text.len, &back).code, 0);
    assert_memory_equal(&back, &managers, sizeof back);
    assert_ptr_equal(managers_find(&back, managers.list[1].keyid), &back.list[1]);
    assert_null(managers_find(&back, keyid));
    for (size_t len = 0; len < text.len; len++) {
        char cut[MANAGERS_STORED_MAX];
        memcpy(cut, kept, len);
        assert_int_equal(managers_parse((uint8_t *)cut, len, &back).code, ERROR_TAMPERED);
    }
}

static void test_odd_records_are_refused(void **state)
{
    (void)state;
    static const char *const odd[] = {
        "{}",
        "[]",
        "{\"managers\":{}}",
        "{\"managers\":[],\"more\":1}",
        "{\"managers\":[{}]}",
        "{\"managers\":[{\"public_key\":\"00\",\"added\":1,\"last\":1}]}",
        "{\"managers\":[{\"public_key\":"
        "\"0000000000000000000000000000000000000000000000000000000000000000\",\"added\":1,\"last\":1,"
        "\"role\":1}]}",
        "{\"managers\":[{\"public_key\":"
        "\"0000000000000000000000000000000000000000000000000000000000000000\",\"added\":1}]}",
        "{\"managers\":[{\"public_key\":"
        "\"0000000000000000000000000000000000000000000000000000000000000000\",\"added\":1,\"last\":-1}]}",
    };
    struct managers managers;
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        char text[256];
        (void)snprintf(text, sizeof text, "%s", odd[i]);
        assert_int_equal(managers_parse((uint8_t *)text, strlen(text), &managers).code,
                         ERROR_TAMPERED);
    }
}

static void test_a_request_counts_for_a_minute_and_once(void **state)
{
    (void)state;
    const struct manager manager = {.last = 1000};
    assert_int_equal(manager_check_time(&manager, 1001, 1001).code, 0);
    assert_int_equal(manager_check_time(&manager, 1061, 1001).code, 0);
    assert_int_equal(manager_check_time(&manager, 1062, 1001).code, ERROR_UNAUTHENTICATED);
    assert_int_equal(manager_check_time(&manager, 1001, 1061).code, 0);
    assert_int_equal(manager_check_time(&manager, 1001, 1062).code, ERROR_UNAUTHENTICATED);
    assert_int_equal(manager_check_time(&manager, 1000, 1001).code, ERROR_REPLAYED);
    assert_int_equal(manager_check_time(&manager, 999, 1001).code, ERROR_REPLAYED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_key_is_one_text),
        cmocka_unit_test(test_T03_a_signature_is_for_one_request),
        cmocka_unit_test(test_the_whole_uri_may_be_signed),
        cmocka_unit_test(test_only_one_way_to_write_it),
        cmocka_unit_test(test_odd_covers_signatures_and_digests),
        cmocka_unit_test(test_the_record_comes_back),
        cmocka_unit_test(test_odd_records_are_refused),
        cmocka_unit_test(test_a_request_counts_for_a_minute_and_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
