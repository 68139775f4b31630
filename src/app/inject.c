#include "app/inject.h"

#ifdef CC_TESTING

#    include <errno.h>
#    include <fcntl.h>
#    include <linux/seccomp.h>
#    include <netinet/in.h>
#    include <pthread.h>
#    include <sched.h>
#    include <semaphore.h>
#    include <signal.h>
#    include <string.h>
#    include <sys/ioctl.h>
#    include <sys/mman.h>
#    include <sys/ptrace.h>
#    include <sys/socket.h>
#    include <sys/syscall.h>
#    include <sys/uio.h>
#    include <unistd.h>

#    include "base/log.h"

static long try_nothing(void)
{
    return getpid() > 0 ? 0 : -1;
}

static long try_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0);
}

static long try_socket_local(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0);
}

static long try_socketpair(void)
{
    int fds[2];
    return socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
}

static long try_connect(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80)};
    return connect(4, (struct sockaddr *)&address, sizeof address);
}

static long try_bind(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    return bind(4, (struct sockaddr *)&address, sizeof address);
}

static long try_listen(void)
{
    return listen(4, 1);
}

static long try_open_device(void)
{
    return open("/dev/zero", O_RDONLY | O_CLOEXEC);
}

static long try_open_key(void)
{
    return open("/etc/shadow", O_RDONLY | O_CLOEXEC);
}

static long try_open_new(void)
{
    return open("/tmp/containment-chamber-injected", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

static long try_memory_of_parent(void)
{
    char byte;
    struct iovec mine = {&byte, 1};
    struct iovec theirs = {(void *)&errno, 1};
    return process_vm_readv(getppid(), &mine, 1, &theirs, 1, 0);
}

static long try_ptrace(void)
{
    return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static long try_execve(void)
{
    char *const none[] = {NULL};
    return execve("/bin/true", none, none);
}

static long try_fork(void)
{
    long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        _exit(0);
    return pid;
}

static long try_truncate(void)
{
    return truncate("/tmp/containment-chamber-injected", 0);
}

static long try_unlink(void)
{
    return unlink("/tmp/containment-chamber-injected");
}

static long try_kill(void)
{
    return kill(getppid(), 0);
}

static long try_tgkill(void)
{
    return syscall(SYS_tgkill, getppid(), getppid(), 0);
}

static long try_ioctl(void)
{
    int count = 0;
    return ioctl(4, FIONREAD, &count);
}

static long try_code(void)
{
    void *code =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return code == MAP_FAILED ? -1 : 0;
}

static _Alignas(4096) char page[4096];

static long try_code_from_data(void)
{
    return mprotect(page, sizeof page, PROT_READ | PROT_EXEC);
}

static long try_namespace(void)
{
    return unshare(CLONE_NEWUSER);
}

static long try_identity(void)
{
    return setuid(0);
}

static long try_ring(void)
{
    return syscall(SYS_io_uring_setup, 1, NULL);
}

static long try_memfd(void)
{
    return memfd_create("x", 0);
}

static long try_filter(void)
{
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, NULL);
}

static long try_descriptor_by_door(void)
{
    struct msghdr message = {0};
    return recvmsg(5, &message, MSG_DONTWAIT);
}

static const struct attempt {
    const char *name;
    long (*run)(void);
} attempts[] = {
    {"nothing", try_nothing},
    {"socket", try_socket},
    {"socket-local", try_socket_local},
    {"socketpair", try_socketpair},
    {"connect", try_connect},
    {"bind", try_bind},
    {"listen", try_listen},
    {"open-device", try_open_device},
    {"open-key", try_open_key},
    {"open-new", try_open_new},
    {"process-memory", try_memory_of_parent},
    {"ptrace", try_ptrace},
    {"execve", try_execve},
    {"fork", try_fork},
    {"truncate", try_truncate},
    {"unlink", try_unlink},
    {"kill", try_kill},
    {"tgkill", try_tgkill},
    {"ioctl", try_ioctl},
    {"code", try_code},
    {"code-from-data", try_code_from_data},
    {"namespace", try_namespace},
    {"identity", try_identity},
    {"io-uring", try_ring},
    {"memfd", try_memfd},
    {"seccomp", try_filter},
    {"recvmsg", try_descriptor_by_door},
};

static const struct attempt *chosen;
static sem_t locked;
static pthread_t thread;

static void *attempt_main(void *unused)
{
    (void)unused;
    while (sem_wait(&locked) != 0)
        ;
    log_warn("injected: trying", KV_STR("attempt", chosen->name));
    long result = chosen->run();
    int code = errno;
    log_warn(result < 0 ? "injected: denied" : "injected: allowed", KV_STR("attempt", chosen->name),
             KV_NUM("errno", result < 0 ? code : 0));
    return NULL;
}

bool inject_choose(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(attempts); i++)
        if (strcmp(attempts[i].name, name) == 0)
            chosen = &attempts[i];
    return chosen != NULL;
}

void inject_start(void)
{
    if (chosen &&
        (sem_init(&locked, 0, 0) != 0 || pthread_create(&thread, NULL, attempt_main, NULL) != 0))
        log_error("injected: cannot start", KV_STR("attempt", chosen->name));
}

void inject_run(void)
{
    if (!chosen)
        return;
    (void)sem_post(&locked);
    (void)pthread_join(thread, NULL);
}

#endif
