/* Names of endpoints: what is one, that each has one spelling; listening and connecting. */
#include <linux/vm_sockets.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/endpoint.h"
#include "base/io.h"

#include "support/folder.h"
#include "support/test.h"

static struct endpoint endpoint_of(const char *text)
{
    struct endpoint endpoint;
    cc_err err = endpoint_parse(span_str(text), &endpoint);
    if (err.code)
        fail_msg("%s: %s", text, error_detail());
    return endpoint;
}

static void test_one_spelling(void **state)
{
    (void)state;
    static const char *const texts[] = {"tcp:127.0.0.1:9443",
                                        "tcp:[::1]:1",
                                        "tcp:0.0.0.0:0",
                                        "tcp:kms.eu-central-1.amazonaws.com:443",
                                        "tcp:a:65535",
                                        "tcp:_x._tcp.3m.io:5",
                                        "unix:/run/a.sock",
                                        "unix:/with space",
                                        "vsock:3:8001",
                                        "vsock:any:9443",
                                        "vsock:4294967294:4294967294"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char text[ENDPOINT_TEXT_SIZE];
        const struct endpoint endpoint = endpoint_of(texts[i]);
        endpoint_text(&endpoint, text);
        assert_string_equal(text, texts[i]);
    }
}

static void test_what_is_none(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "tcp",
                                        "tcp:",
                                        "tcp::1",
                                        "tcp:a",
                                        "tcp:a:",
                                        "tcp:a:65536",
                                        "tcp:a:01",
                                        "tcp:a:-1",
                                        "tcp:a:1 ",
                                        "tcp: a:1",
                                        "tcp:A:1",
                                        "tcp:a..b:1",
                                        "tcp:.a:1",
                                        "tcp:a.:1",
                                        "tcp:-a:1",
                                        "tcp:a-:1",
                                        "tcp:a-.b:1",
                                        "tcp:10.0.0.256:1",
                                        "tcp:10.0.0:1",
                                        "tcp:010.0.0.1:1",
                                        "tcp:1:1",
                                        "tcp:::1:1",
                                        "tcp:[::1:1",
                                        "tcp:[::1]",
                                        "tcp:[::1]x:1",
                                        "tcp:[0:0:0:0:0:0:0:1]:1",
                                        "tcp:[fe80::1%eth0]:1",
                                        "tcp:[10.0.0.1]:1",
                                        "tcp:[a]:1",
                                        "tcp:user@a:1",
                                        "TCP:a:1",
                                        "unix:",
                                        "unix:/",
                                        "unix:a",
                                        "unix:@a",
                                        "unix:/a\n",
                                        "vsock:",
                                        "vsock:3",
                                        "vsock:3:",
                                        "vsock::1",
                                        "vsock:0:1",
                                        "vsock:3:0",
                                        "vsock:-1:1",
                                        "vsock:Any:1",
                                        "vsock:4294967295:1",
                                        "vsock:3:4294967295",
                                        "vsock:03:1",
                                        "http://a:1"};
    struct endpoint endpoint;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        cc_err err = endpoint_parse(span_str(texts[i]), &endpoint);
        if (!error_is(err, ERROR_MALFORMED))
            fail_msg("taken: %s", texts[i]);
    }
    assert_true(error_is(endpoint_parse(span_of("unix:/a\0b", 9), &endpoint), ERROR_MALFORMED));
    assert_true(error_is(endpoint_parse(span_of("tcp:a\0b:1", 9), &endpoint), ERROR_MALFORMED));
}

static void test_cids(void **state)
{
    (void)state;
    static const char *const none[] = {"",         "3",         "vsock:",   "vsock:any",
                                       "vsock:0",  "vsock:3:1", "vsock:03", "vsock:4294967295",
                                       "vsock:-1", "unix:3"};
    uint32_t cid = 0;
    assert_false(endpoint_cid(span_str("vsock:3"), &cid).code);
    assert_int_equal(cid, 3);
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        assert_true(error_is(endpoint_cid(span_str(none[i]), &cid), ERROR_MALFORMED));
}

static void test_lengths(void **state)
{
    (void)state;
    char text[400] = "unix:/";
    struct endpoint endpoint;
    memset(text + 6, 'x', 106);
    assert_false(endpoint_parse(span_str(text), &endpoint).code);
    text[112] = 'x';
    assert_true(error_is(endpoint_parse(span_str(text), &endpoint), ERROR_MALFORMED));
    (void)snprintf(text, sizeof text, "tcp:%063d:1", 0);
    assert_true(error_is(endpoint_parse(span_str(text), &endpoint), ERROR_MALFORMED));
    (void)snprintf(text, sizeof text, "tcp:%063d.a:1", 0);
    assert_false(endpoint_parse(span_str(text), &endpoint).code);
    (void)snprintf(text, sizeof text, "tcp:%064d.a:1", 0);
    assert_true(error_is(endpoint_parse(span_str(text), &endpoint), ERROR_MALFORMED));
    (void)snprintf(text, sizeof text, "tcp:%063d.%063d.%063d.%060d.a:1", 0, 0, 0, 0);
    assert_true(error_is(endpoint_parse(span_str(text), &endpoint), ERROR_MALFORMED));
}

static void test_addresses(void **state)
{
    (void)state;
    struct endpoint_address address;
    struct endpoint endpoint = endpoint_of("vsock:16:9443");
    const struct sockaddr_vm *vm = (const void *)&address.storage;
    assert_false(endpoint_address(&endpoint, &address).code);
    assert_int_equal(vm->svm_family, AF_VSOCK);
    assert_int_equal(vm->svm_cid, 16);
    assert_int_equal(vm->svm_port, 9443);
    assert_int_equal(address.len, sizeof *vm);
    endpoint = endpoint_of("vsock:any:9443");
    assert_false(endpoint_address(&endpoint, &address).code);
    assert_int_equal(vm->svm_cid, VMADDR_CID_ANY);
    endpoint = endpoint_of("tcp:localhost:1");
    assert_true(error_is(endpoint_address(&endpoint, &address), ERROR_MALFORMED));
}

static cc_err connect_to(const struct endpoint *endpoint)
{
    struct endpoint_address address;
    CC_CLEANUP(fd_closep) int fd = -1;
    CC_TRY(endpoint_address(endpoint, &address));
    CC_TRY(endpoint_connect(&address, &fd));
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    assert_int_equal(poll(&p, 1, 5000), 1);
    return endpoint_connected(fd);
}

static void test_listening_on_tcp(void **state)
{
    (void)state;
    CC_CLEANUP(fd_closep) int fd = -1;
    int second = -1;
    struct endpoint endpoint = endpoint_of("tcp:127.0.0.1:0");
    assert_false(endpoint_listen(&endpoint, 0, &fd).code);
    endpoint.port = endpoint_port_of(fd);
    assert_true(endpoint.port > 0);
    assert_false(connect_to(&endpoint).code);
    assert_true(error_is(endpoint_listen(&endpoint, 0, &second), ERROR_SYSTEM));
    assert_string_equal(error_detail(), "the port is in use");
    assert_int_equal(second, -1);
    fd_closep(&fd);
    assert_true(error_is(connect_to(&endpoint), ERROR_IO));
}

static void test_listening_on_a_unix_socket(void **state)
{
    (void)state;
    struct folder folder;
    struct stat st;
    struct endpoint endpoint = {.kind = ENDPOINT_UNIX};
    folder_make(&folder);
    (void)snprintf(endpoint.host, sizeof endpoint.host, "%.200s/s", folder.path);
    int fd = -1;
    int second = -1;
    assert_false(endpoint_listen(&endpoint, 0600, &fd).code);
    assert_int_equal(stat(endpoint.host, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_false(connect_to(&endpoint).code);
    assert_true(error_is(endpoint_listen(&endpoint, 0600, &second), ERROR_LOCKED));
    fd_closep(&fd);
    assert_true(error_is(connect_to(&endpoint), ERROR_IO));
    assert_false(endpoint_listen(&endpoint, 0660, &fd).code); /* of a process that has ended */
    fd_closep(&fd);
    assert_int_equal(unlink(endpoint.host), 0);
    folder_write_text(&folder, "s", "a file");
    assert_true(error_is(endpoint_listen(&endpoint, 0600, &second), ERROR_EXISTS));
    folder_remove(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_spelling),
        cmocka_unit_test(test_what_is_none),
        cmocka_unit_test(test_cids),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_listening_on_tcp),
        cmocka_unit_test(test_listening_on_a_unix_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
