#include "core/test_point.h"

#ifdef CC_TESTING

#    include <signal.h>
#    include <stdatomic.h>
#    include <time.h>

#    include "base/log.h"

static _Atomic(enum test_point) armed;
static atomic_uint passages_left;
static _Atomic(enum test_point) slow;
static atomic_uint slow_ms;

void test_point_arm(enum test_point point, unsigned nth)
{
    atomic_store(&passages_left, nth);
    atomic_store(&armed, point);
}

void test_point_slow(enum test_point point, unsigned each_ms)
{
    atomic_store(&slow_ms, each_ms);
    atomic_store(&slow, point);
}

static void take_time(unsigned ms)
{
    const struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};
    log_debug("held up by a test");
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

void test_point_pass(enum test_point point)
{
    if (atomic_load(&slow) == point)
        take_time(atomic_load(&slow_ms));
    if (atomic_load(&armed) == point && atomic_fetch_sub(&passages_left, 1) == 1) {
        log_warn("test point reached, ending the core");
        (void)raise(SIGKILL);
    }
}

#endif
