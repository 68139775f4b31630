#include <string.h>

#include "config/config.h"
#include "support/test.h"
#include "wire/tls_files.h"

static size_t
make(uint8_t *out, uint32_t client_auth, const char *const contents[static TLS_FILE_END])
{
    struct tls_files_head head = {TLS_FILES_MAGIC, client_auth, {0}};
    size_t at = sizeof head;
    for (int i = 0; i < TLS_FILE_END; i++) {
        size_t len = contents[i] ? strlen(contents[i]) : 0;
        head.lengths[i] = contents[i] ? (uint32_t)len : TLS_FILE_NONE;
        if (len)
            memcpy(out + at, contents[i], len);
        at += len;
    }
    memcpy(out, &head, sizeof head);
    return at;
}

static void test_contents_come_back(void **state)
{
    (void)state;
    uint8_t bytes[256];
    const char *const contents[TLS_FILE_END] = {
        [TLS_CERTIFICATE] = "cert", [TLS_PASSWORD] = "", [TLS_KNOWN_CLIENTS] = "k"};
    size_t len = make(bytes, TLS_CLIENT_OPTIONAL, contents);
    struct tls_files files;
    assert_int_equal(tls_files_read(span_of(bytes, len), &files).code, 0);
    assert_int_equal(files.client_auth, TLS_CLIENT_OPTIONAL);
    for (int i = 0; i < TLS_FILE_END; i++) {
        assert_int_equal(files.has[i], contents[i] != NULL);
        assert_true(!contents[i] || span_is(files.files[i], contents[i]));
    }
}

static void test_what_does_not_fit_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[256] = {0};
    const char *const contents[TLS_FILE_END] = {[TLS_CERTIFICATE] = "cert", [TLS_KEY] = "key"};
    size_t len = make(bytes, TLS_CLIENT_REQUIRED, contents);
    struct tls_files files;
    for (size_t n = 0; n < len; n++)
        assert_int_equal(tls_files_read(span_of(bytes, n), &files).code, ERROR_PROTOCOL);
    assert_int_equal(tls_files_read(span_of(bytes, len + 1), &files).code, ERROR_PROTOCOL);
    struct tls_files_head head;
    memcpy(&head, bytes, sizeof head);
    head.lengths[TLS_KEY] = TLS_FILE_MAX + 1;
    memcpy(bytes, &head, sizeof head);
    assert_int_equal(tls_files_read(span_of(bytes, len), &files).code, ERROR_PROTOCOL);
    len = make(bytes, TLS_CLIENT_REQUIRED + 1, contents);
    assert_int_equal(tls_files_read(span_of(bytes, len), &files).code, ERROR_PROTOCOL);
    len = make(bytes, TLS_CLIENT_NONE, contents);
    bytes[0] ^= 1;
    assert_int_equal(tls_files_read(span_of(bytes, len), &files).code, ERROR_PROTOCOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contents_come_back),
        cmocka_unit_test(test_what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
