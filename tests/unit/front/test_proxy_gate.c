/* Whose connections must begin with a PROXY header: by address, and on vsock by CID. */
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <string.h>

#include "front/http_inside.h"
#include "support/test.h"

static struct arrival from_cid(uint32_t cid, enum listener listener)
{
    struct arrival arrival = {.listener = listener};
    struct sockaddr_vm *vm = (void *)&arrival.address;
    *vm = (struct sockaddr_vm){.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = 1024};
    return arrival;
}

static struct arrival from_ten(void)
{
    struct arrival arrival = {.listener = LISTENER_API};
    struct sockaddr_in *four = (void *)&arrival.address;
    *four = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000001)};
    return arrival;
}

static struct proxy_gate *gate_of(uint32_t count, const char *const *items)
{
    static struct config_text_list list;
    struct proxy_gate *gate = NULL;
    memset(&list, 0, sizeof list);
    list.count = count;
    for (uint32_t i = 0; i < count; i++)
        strcpy(list.items[i], items[i]);
    assert_false(proxy_gate_new(&list, &gate).code);
    return gate;
}

static bool wants(const struct proxy_gate *gate, struct arrival arrival)
{
    return proxy_gate_wants(gate, &arrival);
}

static void test_a_parent_is_trusted_by_its_cid(void **state)
{
    (void)state;
    static const char *const items[] = {"vsock:3", "10.0.0.0/8"};
    struct proxy_gate *gate = gate_of(2, items);
    assert_true(wants(gate, from_cid(3, LISTENER_API)));
    assert_true(wants(gate, from_cid(3, LISTENER_TLS)));
    assert_false(wants(gate, from_cid(3, LISTENER_METRICS)));
    assert_false(wants(gate, from_cid(4, LISTENER_API)));
    assert_true(wants(gate, from_ten()));
    proxy_gate_free(gate);
}

/* A vsock peer has no address: a range that holds every address doesn't hold it. */
static void test_no_range_holds_a_cid(void **state)
{
    (void)state;
    static const char *const items[] = {"0.0.0.0/0", "::/0"};
    struct proxy_gate *gate = gate_of(2, items);
    assert_false(wants(gate, from_cid(3, LISTENER_API)));
    proxy_gate_free(gate);
    static const char *const cid[] = {"vsock:3"};
    gate = gate_of(1, cid);
    assert_false(wants(gate, from_ten()));
    proxy_gate_free(gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_parent_is_trusted_by_its_cid),
        cmocka_unit_test(test_no_range_holds_a_cid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
