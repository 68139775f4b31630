/* PROXY v2 headers: the ones that are taken, and each way to be none. */
#include <stdlib.h>
#include <string.h>

#include "front/proxy.h"
#include "support/test.h"

static const uint8_t signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                      0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

struct header {
    uint8_t bytes[PROXY_HEADER_MAX + 64];
    size_t len;
};

static struct header make(uint8_t command, uint8_t family, const void *rest, size_t len)
{
    struct header h = {.len = PROXY_HEAD + len};
    memcpy(h.bytes, signature, sizeof signature);
    h.bytes[12] = command;
    h.bytes[13] = family;
    h.bytes[14] = (uint8_t)(len >> 8);
    h.bytes[15] = (uint8_t)len;
    memcpy(h.bytes + PROXY_HEAD, rest, len);
    return h;
}

static cc_err read_header(const struct header *h, struct proxy_client *ret_client)
{
    uint8_t *exact = malloc(h->len);
    assert_non_null(exact);
    memcpy(exact, h->bytes, h->len);
    cc_err err = proxy_read(span_of(exact, h->len), ret_client);
    free(exact);
    return err;
}

static void assert_refused(const struct header *h)
{
    struct proxy_client client;
    assert_true(error_is(read_header(h, &client), ERROR_MALFORMED));
}

static const uint8_t v4[12] = {192, 0, 2, 7, 10, 0, 0, 1, 0x30, 0x39, 0x23, 0x28};
static const uint8_t v6[36] = {0x20, 0x01, 0x0d, 0xb8, [15] = 9, [31] = 1, 0, 80, 0, 81};

static void test_clients(void **state)
{
    (void)state;
    struct proxy_client client;
    char text[CIDR_TEXT_SIZE];
    size_t len = 0;
    struct header h = make(0x21, 0x11, v4, sizeof v4);
    assert_int_equal(proxy_rest(h.bytes, &len).code, 0);
    assert_int_equal(len, sizeof v4);
    assert_int_equal(read_header(&h, &client).code, 0);
    cidr_address_text(client.address, text);
    assert_string_equal(text, "192.0.2.7");
    assert_false(client.local);
    h = make(0x21, 0x21, v6, sizeof v6);
    assert_int_equal(read_header(&h, &client).code, 0);
    cidr_address_text(client.address, text);
    assert_string_equal(text, "2001:db8::9");
    /* The proxy's own, with or without something in it. */
    h = make(0x20, 0, "", 0);
    assert_int_equal(read_header(&h, &client).code, 0);
    assert_true(client.local);
    h = make(0x20, 0x11, v4, sizeof v4);
    assert_int_equal(read_header(&h, &client).code, 0);
    assert_true(client.local);
    assert_memory_equal(client.address, (uint8_t[CIDR_ADDRESS_SIZE]){0}, CIDR_ADDRESS_SIZE);
}

static void test_what_else_a_proxy_tells(void **state)
{
    (void)state;
    static const uint8_t tlvs[] = {0x04, 0, 0, 0x03, 0, 4, 1, 2, 3, 4, 0xea, 0, 2, 'a', 'b'};
    uint8_t rest[sizeof v4 + sizeof tlvs];
    struct proxy_client client;
    memcpy(rest, v4, sizeof v4);
    memcpy(rest + sizeof v4, tlvs, sizeof tlvs);
    for (size_t len = 0; len <= sizeof tlvs; len++) {
        const struct header h = make(0x21, 0x11, rest, sizeof v4 + len);
        bool whole = len == 0 || len == 3 || len == 10 || len == sizeof tlvs;
        assert_int_equal(!read_header(&h, &client).code, whole);
    }
}

static void test_what_is_no_header(void **state)
{
    (void)state;
    struct header h;
    size_t len;
    for (size_t i = 0; i < sizeof signature; i++) {
        h = make(0x21, 0x11, v4, sizeof v4);
        h.bytes[i] ^= 1;
        assert_refused(&h);
        assert_true(error_is(proxy_rest(h.bytes, &len), ERROR_MALFORMED));
    }
    static const uint8_t commands[] = {0x00, 0x01, 0x11, 0x22, 0x2f, 0x31, 0x10, 0xff};
    for (size_t i = 0; i < sizeof commands; i++) {
        h = make(commands[i], 0x11, v4, sizeof v4);
        assert_refused(&h);
    }
    /* Unspecified, datagrams, Unix sockets, what nobody knows: no client that has a TCP address. */
    static const uint8_t families[] = {0x00, 0x01, 0x10, 0x12, 0x13, 0x20,
                                       0x22, 0x31, 0x32, 0x41, 0xff};
    for (size_t i = 0; i < sizeof families; i++) {
        h = make(0x21, families[i], v6, sizeof v6);
        assert_refused(&h);
    }
    /* A client without an address. */
    static const uint8_t nowhere[36] = {[16] = 1, [33] = 80, [35] = 81};
    h = make(0x21, 0x21, nowhere, sizeof nowhere);
    assert_refused(&h);
    static const uint8_t nowhere_v4[12] = {[4] = 1, [9] = 80, [11] = 81};
    h = make(0x21, 0x11, nowhere_v4, sizeof nowhere_v4);
    assert_refused(&h);
    h = make(0x21, 0x11, v4, sizeof v4 - 1);
    assert_refused(&h);
    h = make(0x21, 0x21, v6, sizeof v6 - 1);
    assert_refused(&h);
    h = make(0x21, 0x11, v4, sizeof v4);
    h.len--; /* less than it says */
    assert_refused(&h);
    h.len += 2; /* more */
    assert_refused(&h);
    for (h.len = 0; h.len < PROXY_HEAD + sizeof v4; h.len++)
        assert_refused(&h);
    static uint8_t many[PROXY_REST_MAX + 1];
    memcpy(many, v4, sizeof v4);
    h = make(0x20, 0, many, sizeof many);
    assert_refused(&h);
    assert_true(error_is(proxy_rest(h.bytes, &len), ERROR_MALFORMED));
}

/* Version 1 is text; a proxy that speaks it is not understood, and is told by a closed connection. */
static void test_version_1(void **state)
{
    (void)state;
    struct header h = {.len = 43};
    memcpy(h.bytes, "PROXY TCP4 192.0.2.7 10.0.0.1 12345 9000\r\n", 42);
    assert_refused(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clients),
        cmocka_unit_test(test_what_else_a_proxy_tells),
        cmocka_unit_test(test_what_is_no_header),
        cmocka_unit_test(test_version_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
