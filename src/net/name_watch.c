#include "net/name_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"

struct name_watch {
    char host[ENDPOINT_HOST_SIZE];
    uint16_t port;
    name_lookup_fn *lookup;
    int wake; /* a copy of its own: the thread may outlive whom it tells */
    pthread_mutex_t lock;
    pthread_cond_t wanted;
    bool doubted; /* this and the next ones under `lock` */
    bool ending;
    bool asked;
    unsigned owners; /* the caller and the thread: the last one frees */
    size_t count;
    struct endpoint_address addresses[NAME_ADDRESSES_MAX];
};

static size_t look_up(const char *host,
                      uint16_t port,
                      struct endpoint_address ret_addresses[static NAME_ADDRESSES_MAX])
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char service[8];
    size_t count = 0;
    (void)snprintf(service, sizeof service, "%u", port);
    if (getaddrinfo(host, service, &hints, &found) != 0)
        return 0;
    for (const struct addrinfo *at = found; at && count < NAME_ADDRESSES_MAX; at = at->ai_next) {
        if ((at->ai_family != AF_INET && at->ai_family != AF_INET6) ||
            at->ai_addrlen > sizeof ret_addresses[0].storage)
            continue;
        memcpy(&ret_addresses[count].storage, at->ai_addr, at->ai_addrlen);
        ret_addresses[count++].len = at->ai_addrlen;
    }
    freeaddrinfo(found);
    return count;
}

static void watch_free(struct name_watch *watch)
{
    fd_closep(&watch->wake);
    (void)pthread_cond_destroy(&watch->wanted);
    (void)pthread_mutex_destroy(&watch->lock);
    cc_free(watch);
}

/* Gives one owner's part up. */
static void leave(struct name_watch *watch)
{
    (void)pthread_mutex_lock(&watch->lock);
    bool last = --watch->owners == 0;
    (void)pthread_mutex_unlock(&watch->lock);
    if (last)
        watch_free(watch);
}

static struct timespec in_ms(uint64_t ms)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)(ms / 1000);
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

/* Until `ms` have passed; a doubt ends it where `heeds_doubt`. Under `lock`. */
static void rest(struct name_watch *watch, uint64_t ms, bool heeds_doubt)
{
    const struct timespec until = in_ms(ms);
    while (!watch->ending && !(heeds_doubt && watch->doubted))
        if (pthread_cond_timedwait(&watch->wanted, &watch->lock, &until) == ETIMEDOUT)
            return;
}

static void take(struct name_watch *watch, const struct endpoint_address *found, size_t count)
{
    const uint64_t one = 1;
    watch->asked = true;
    if (count) {
        memcpy(watch->addresses, found, count * sizeof *found);
        watch->count = count;
    }
    ssize_t told = write(watch->wake, &one, sizeof one);
    (void)told; /* full: the reader has been told already */
}

static void *watch_main(void *context)
{
    struct name_watch *watch = context;
    (void)pthread_mutex_lock(&watch->lock);
    while (!watch->ending) {
        struct endpoint_address found[NAME_ADDRESSES_MAX];
        watch->doubted = false;
        (void)pthread_mutex_unlock(&watch->lock);
        size_t count = watch->lookup(watch->host, watch->port, found);
        (void)pthread_mutex_lock(&watch->lock);
        if (watch->ending)
            break;
        take(watch, found, count);
        rest(watch, NAME_PAUSE_MS, false);
        rest(watch, NAME_INTERVAL_MS - NAME_PAUSE_MS, true);
    }
    (void)pthread_mutex_unlock(&watch->lock);
    leave(watch);
    return NULL;
}

/* Signals are the main thread's. */
static int start_thread(struct name_watch *watch)
{
    pthread_t thread;
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&thread, NULL, watch_main, watch);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failed)
        (void)pthread_detach(thread);
    return failed;
}

CC_ERR name_watch_start(const struct name_watch_options *options, struct name_watch **ret_watch)
{
    pthread_condattr_t by_monotonic_clock;
    struct name_watch *watch = cc_alloc(sizeof *watch);
    if (!watch)
        return CC_FAIL(NO_MEMORY, "name watch");
    (void)snprintf(watch->host, sizeof watch->host, "%s", options->host);
    watch->port = options->port;
    watch->lookup = options->lookup ? options->lookup : look_up;
    watch->owners = 2;
    watch->wake = fcntl(options->wake, F_DUPFD_CLOEXEC, 0);
    (void)pthread_mutex_init(&watch->lock, NULL);
    (void)pthread_condattr_init(&by_monotonic_clock);
    (void)pthread_condattr_setclock(&by_monotonic_clock, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&watch->wanted, &by_monotonic_clock);
    (void)pthread_condattr_destroy(&by_monotonic_clock);
    if (watch->wake < 0 || start_thread(watch) != 0) {
        watch_free(watch);
        return CC_FAIL(SYSTEM, "name watch");
    }
    *ret_watch = watch;
    return CC_OK;
}

size_t name_watch_get(struct name_watch *watch,
                      struct endpoint_address ret_addresses[static NAME_ADDRESSES_MAX],
                      bool *ret_asked)
{
    (void)pthread_mutex_lock(&watch->lock);
    size_t count = watch->count;
    memcpy(ret_addresses, watch->addresses, count * sizeof *ret_addresses);
    *ret_asked = watch->asked;
    (void)pthread_mutex_unlock(&watch->lock);
    return count;
}

void name_watch_doubt(struct name_watch *watch)
{
    (void)pthread_mutex_lock(&watch->lock);
    watch->doubted = true;
    (void)pthread_cond_signal(&watch->wanted);
    (void)pthread_mutex_unlock(&watch->lock);
}

void name_watch_stop(struct name_watch *watch)
{
    if (!watch)
        return;
    (void)pthread_mutex_lock(&watch->lock);
    watch->ending = true;
    (void)pthread_cond_signal(&watch->wanted);
    (void)pthread_mutex_unlock(&watch->lock);
    leave(watch);
}
