/* Clients as numbers: one address, one number; another address, another key, another number. */
#include <arpa/inet.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_address_is_one_client),
        cmocka_unit_test(test_one_user_is_one_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
