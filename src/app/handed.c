#include "app/handed.h"

#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/macros.h"

#include "app/variable.h"

static int option_of(int fd, int option)
{
    int value = -1;
    socklen_t len = sizeof value;
    return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 ? value : -1;
}

/* The rooms must not inherit it, and the front's acceptor must not wait in it. */
static cc_err adopt(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return CC_FAIL(CONFIG, "LISTEN_FDS counts descriptors that are not open");
    if (option_of(fd, SO_TYPE) != SOCK_STREAM || option_of(fd, SO_ACCEPTCONN) != 1)
        return CC_FAIL(CONFIG, "a descriptor that was handed over is no listening stream socket");
    if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return CC_FAIL(SYSTEM, "fcntl");
    return CC_OK;
}

CC_ERR handed_take(char *const *environment, struct handed *ret_handed)
{
    struct handed handed = {0};
    uint64_t count = variable_number(environment, "LISTEN_FDS");
    *ret_handed = handed;
    if (count == 0 || variable_number(environment, "LISTEN_PID") != (uint64_t)getpid())
        return CC_OK;
    if (count > HANDED_MAX)
        return CC_FAIL(CONFIG, "more sockets were handed over than a signer listens on");
    for (; handed.count < count; handed.count++) {
        handed.fds[handed.count] = HANDED_FIRST + (int)handed.count;
        CC_TRY(adopt(handed.fds[handed.count]));
    }
    *ret_handed = handed;
    return CC_OK;
}

static bool same_tcp(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    const struct sockaddr_in *four_a = (const void *)a;
    const struct sockaddr_in *four_b = (const void *)b;
    const struct sockaddr_in6 *six_a = (const void *)a;
    const struct sockaddr_in6 *six_b = (const void *)b;
    if (a->ss_family == AF_INET)
        return four_a->sin_port == four_b->sin_port &&
               four_a->sin_addr.s_addr == four_b->sin_addr.s_addr;
    return six_a->sin6_port == six_b->sin6_port &&
           IN6_ARE_ADDR_EQUAL(&six_a->sin6_addr, &six_b->sin6_addr);
}

static bool is_same(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    const struct sockaddr_un *unix_a = (const void *)a;
    const struct sockaddr_un *unix_b = (const void *)b;
    const struct sockaddr_vm *vm_a = (const void *)a;
    const struct sockaddr_vm *vm_b = (const void *)b;
    if (a->ss_family != b->ss_family)
        return false;
    if (a->ss_family == AF_UNIX)
        return strncmp(unix_a->sun_path, unix_b->sun_path, sizeof unix_a->sun_path) == 0;
    if (a->ss_family == AF_VSOCK)
        return vm_a->svm_cid == vm_b->svm_cid && vm_a->svm_port == vm_b->svm_port;
    return same_tcp(a, b);
}

static bool is_at(int fd, const struct endpoint_address *address)
{
    struct sockaddr_storage own = {0};
    socklen_t len = sizeof own;
    return fd >= 0 && getsockname(fd, (struct sockaddr *)&own, &len) == 0 &&
           is_same(&own, &address->storage);
}

static cc_err check_mode(const struct endpoint *endpoint, mode_t mode)
{
    struct stat st;
    if (endpoint->kind != ENDPOINT_UNIX)
        return CC_OK;
    if (lstat(endpoint->host, &st) != 0 || !S_ISSOCK(st.st_mode))
        return CC_FAIL(CONFIG, "the file of a Unix socket that was handed over is gone");
    if (st.st_mode & 0777 & ~mode)
        return CC_FAIL(PERMISSIONS, "more users may open a Unix socket that was handed over than "
                                    "should: SocketMode=");
    return CC_OK;
}

CC_ERR
handed_find(struct handed *handed, const struct endpoint *endpoint, mode_t mode, int *ret_fd)
{
    struct endpoint_address address;
    *ret_fd = -1;
    if (handed->count == 0)
        return CC_OK;
    CC_TRY(endpoint_address(endpoint, &address));
    for (uint32_t i = 0; i < handed->count; i++) {
        if (!is_at(handed->fds[i], &address))
            continue;
        CC_TRY(check_mode(endpoint, mode));
        *ret_fd = handed->fds[i];
        handed->fds[i] = -1;
        return CC_OK;
    }
    return CC_OK;
}

CC_ERR handed_all_found(const struct handed *handed)
{
    for (uint32_t i = 0; i < handed->count; i++)
        if (handed->fds[i] >= 0) {
            log_error("a socket that was handed over is at no address of the configuration",
                      KV_NUM("descriptor", handed->fds[i]),
                      KV_NUM("port", endpoint_port_of(handed->fds[i])));
            return CC_FAIL(CONFIG,
                           "a socket that was handed over is at no address of the configuration");
        }
    return CC_OK;
}

void handed_close(struct handed *handed)
{
    for (uint32_t i = 0; i < handed->count; i++)
        fd_closep(&handed->fds[i]);
    handed->count = 0;
}
