/* Clients as numbers: one address, one number; another address, another key, another number. */
#include <arpa/inet.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <unistd.h>

#include "front/peer.h"
#include "support/test.h"

static uint32_t number_of(uint64_t key, const char *text, uint16_t port)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in *four = (void *)&address;
    struct sockaddr_in6 *six = (void *)&address;
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &six->sin6_addr), 1);
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
    }
    return peer_number(key, -1, &address);
}

static void test_one_address_is_one_client(void **state)
{
    (void)state;
    assert_int_equal(number_of(1, "10.0.0.1", 1000), number_of(1, "10.0.0.1", 2000));
    assert_int_equal(number_of(1, "10.0.0.1", 1000), number_of(1, "::ffff:10.0.0.1", 5));
    assert_int_equal(number_of(1, "fe80::1", 1000), number_of(1, "fe80::1", 2000));
    assert_int_not_equal(number_of(1, "10.0.0.1", 1000), number_of(1, "10.0.0.2", 1000));
    assert_int_not_equal(number_of(1, "fe80::1", 1000), number_of(1, "fe80::2", 1000));
    assert_int_not_equal(number_of(1, "fe80::1", 1000), number_of(1, "fe81::1", 1000));
    assert_int_not_equal(number_of(1, "10.0.0.1", 1000), number_of(2, "10.0.0.1", 1000));
}

/* Whom a proxy names is the client that would come by itself. */
static void test_addresses_as_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *range;
    } cases[] = {
        {"10.0.0.1", "10.0.0.1"}, {"2001:db8::1", "2001:db8::1"}, {"::ffff:1.2.3.4", "1.2.3.4"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sockaddr_storage address = {.ss_family = AF_INET6};
        struct sockaddr_in *four = (void *)&address;
        uint8_t bytes[CIDR_ADDRESS_SIZE];
        struct cidr one;
        if (inet_pton(AF_INET, cases[i].text, &four->sin_addr) == 1)
            address.ss_family = AF_INET;
        else
            assert_int_equal(inet_pton(AF_INET6, cases[i].text,
                                       &((struct sockaddr_in6 *)(void *)&address)->sin6_addr),
                             1);
        peer_address(&address, bytes);
        assert_int_equal(cidr_parse(span_str(cases[i].range), &one).code, 0);
        assert_memory_equal(bytes, one.address, sizeof bytes);
        assert_int_equal(peer_number_of_address(7, bytes), number_of(7, cases[i].text, 99));
    }
    const struct sockaddr_storage local = {.ss_family = AF_UNIX};
    uint8_t none[CIDR_ADDRESS_SIZE] = {9};
    peer_address(&local, none);
    assert_memory_equal(none, (uint8_t[CIDR_ADDRESS_SIZE]){0}, sizeof none);
}

static void test_one_user_is_one_client(void **state)
{
    (void)state;
    const struct sockaddr_storage address = {.ss_family = AF_UNIX};
    int pairs[2][2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
    uint32_t mine = peer_number(1, pairs[0][0], &address);
    assert_int_equal(mine, peer_number(1, pairs[1][0], &address));
    assert_int_not_equal(mine, peer_number(1, -1, &address)); /* a user who isn't known */
    assert_int_not_equal(mine, number_of(1, "::", 0));
    for (int i = 0; i < 4; i++)
        (void)close(pairs[i / 2][i % 2]);
}

static uint32_t number_of_cid(uint32_t cid, uint32_t port)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_vm *vm = (void *)&address;
    *vm = (struct sockaddr_vm){.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};
    return peer_number(1, -1, &address);
}

static void test_one_machine_is_one_client_on_vsock(void **state)
{
    (void)state;
    assert_int_equal(number_of_cid(3, 1000), number_of_cid(3, 2000));
    assert_int_not_equal(number_of_cid(3, 1000), number_of_cid(4, 1000));
    assert_int_not_equal(number_of_cid(3, 1000), number_of(1, "::3", 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_address_is_one_client),
        cmocka_unit_test(test_addresses_as_bytes),
        cmocka_unit_test(test_one_user_is_one_client),
        cmocka_unit_test(test_one_machine_is_one_client_on_vsock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
