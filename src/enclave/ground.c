#include "enclave/ground.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"

/* --- file systems, console, loopback --------------------------------------------------------------------------------- */

static const struct {
    const char *type;
    const char *path;
    unsigned long flags;
    const char *options;
} mounts[] = {
    {"proc", "/proc", MS_NODEV | MS_NOSUID | MS_NOEXEC, NULL},
    {"sysfs", "/sys", MS_NODEV | MS_NOSUID | MS_NOEXEC | MS_RDONLY, NULL},
    {"devtmpfs", "/dev", MS_NOSUID | MS_NOEXEC, "mode=0755"},
    {"tmpfs", "/run", MS_NODEV | MS_NOSUID | MS_NOEXEC, "mode=0755"},
    {"tmpfs", "/tmp", MS_NODEV | MS_NOSUID | MS_NOEXEC, "mode=1777"},
    {"tmpfs", "/var/lib", MS_NODEV | MS_NOSUID | MS_NOEXEC, "mode=0755"},
};

static cc_err use_console(void)
{
    int fd = open("/dev/console", O_RDWR | O_NOCTTY);
    if (fd < 0)
        return CC_FAIL(SYSTEM, "/dev/console");
    for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
        if (dup2(fd, i) != i)
            return CC_FAIL(SYSTEM, "dup2");
    if (fd > STDERR_FILENO)
        fd_closep(&fd);
    return CC_OK;
}

CC_ERR ground_mount(void)
{
    for (size_t i = 0; i < ARRAY_LEN(mounts); i++)
        if (mount(mounts[i].type, mounts[i].path, mounts[i].type, mounts[i].flags,
                  mounts[i].options) != 0 &&
            errno != EBUSY)
            return CC_FAIL(SYSTEM, "mount");
    return use_console();
}

CC_ERR ground_loopback(void)
{
    CC_CLEANUP(fd_closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) != 0)
        return CC_FAIL(SYSTEM, "the loopback interface");
    return CC_OK;
}

CC_ERR ground_limits(void)
{
    const struct rlimit files = {GROUND_FILES, GROUND_FILES};
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_NOFILE, &files) != 0 || setrlimit(RLIMIT_CORE, &none) != 0)
        return CC_FAIL(SYSTEM, "setrlimit");
    return CC_OK;
}

/* --- entropy --------------------------------------------------------------------------------------------------------- */

/* linux/nsm.h is younger than the headers of Debian 12. */
struct nsm_raw {
    struct iovec request;
    struct iovec response;
};
#define NSM_IOCTL_RAW _IOWR(0x0A, 0, struct nsm_raw)

enum {
    NSM_RESPONSE_MAX = 0x3000,
    RANDOM_SIZE = 256
};

/* {"GetRandom": {"random": 256 bytes}}: the one answer that is expected, so nothing has to be parsed. */
static const char random_request[] = "\x69GetRandom";
static const char random_head[] = "\xa1\x69GetRandom\xa1\x66random\x59\x01"; /* and a 0 */

struct random_pool {
    int entropy_count;
    int buf_size;
    uint8_t buf[RANDOM_SIZE];
};

static cc_err mix_in(const char *module)
{
    static uint8_t response[NSM_RESPONSE_MAX];
    CC_CLEANUP(fd_closep) int fd = open(module, O_RDWR | O_CLOEXEC);
    CC_CLEANUP(fd_closep) int pool = open("/dev/random", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || pool < 0)
        return fd < 0 && errno == ENOENT ? CC_OK : CC_FAIL(SYSTEM, "the security module");
    char request[sizeof random_request - 1];
    memcpy(request, random_request, sizeof request);
    struct nsm_raw raw = {{request, sizeof request}, {response, sizeof response}};
    if (ioctl(fd, NSM_IOCTL_RAW, &raw) != 0)
        return CC_FAIL(SYSTEM, "the security module");
    /* The head's terminating 0 is the low byte of the length, 0x0100. */
    struct random_pool in = {RANDOM_SIZE * 8, RANDOM_SIZE, {0}};
    cc_err err = CC_OK;
    if (raw.response.iov_len != sizeof random_head + RANDOM_SIZE ||
        !span_equal(span_of(response, sizeof random_head),
                    span_of(random_head, sizeof random_head)))
        err = CC_FAIL(IO, "the security module gives no random bytes");
    if (!err.code) {
        memcpy(in.buf, response + sizeof random_head, RANDOM_SIZE);
        if (ioctl(pool, RNDADDENTROPY, &in) != 0)
            err = CC_FAIL(SYSTEM, "RNDADDENTROPY");
    }
    explicit_bzero(&in, sizeof in);
    explicit_bzero(response, sizeof response);
    return err;
}

CC_ERR ground_entropy(const char *module)
{
    uint8_t byte;
    CC_TRY(mix_in(module));
    uint64_t until = clock_mono_ms() + GROUND_SEED_MS;
    while (getrandom(&byte, sizeof byte, GRND_NONBLOCK) != sizeof byte) {
        if (errno != EAGAIN || clock_mono_ms() > until)
            return CC_FAIL(IO, "the kernel has no entropy");
        (void)poll(NULL, 0, 50); /* nothing tells when it has */
    }
    return CC_OK;
}

/* --- the parent ------------------------------------------------------------------------------------------------------ */

CC_ERR ground_connect(uint32_t cid, uint32_t port, int *ret_fd)
{
    CC_CLEANUP(fd_closep) int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_vm to = {.svm_family = AF_VSOCK, .svm_port = port, .svm_cid = cid};
    union {
        struct sockaddr_vm *vm;
        struct sockaddr *any;
    } address = {&to};
    if (fd < 0 || (connect(fd, address.any, sizeof to) != 0 && errno != EINPROGRESS))
        return CC_FAIL(SYSTEM, "vsock");
    *ret_fd = fd;
    fd = -1;
    return CC_OK;
}

static cc_err wait_for(int fd, short events, uint64_t until)
{
    for (;;) {
        uint64_t now = clock_mono_ms();
        struct pollfd p = {.fd = fd, .events = events};
        if (now >= until)
            return CC_FAIL(IO, "the parent does not answer");
        int n = poll(&p, 1, (int)(until - now));
        if (n > 0)
            return CC_OK;
        if (n < 0 && errno != EINTR)
            return CC_FAIL(SYSTEM, "poll");
    }
}

CC_ERR ground_heartbeat(int fd, int timeout_ms)
{
    uint64_t until = clock_mono_ms() + (uint64_t)timeout_ms;
    uint8_t byte = GROUND_HEARTBEAT;
    CC_TRY(wait_for(fd, POLLOUT, until));
    if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1)
        return CC_FAIL(IO, "no connection to the parent");
    byte = 0;
    CC_TRY(wait_for(fd, POLLIN, until));
    if (recv(fd, &byte, 1, 0) != 1 || byte != GROUND_HEARTBEAT)
        return CC_FAIL(IO, "not the answer of a parent");
    return CC_OK;
}
