#include "core/test_point.h"

#ifdef CC_TESTING

#    include <signal.h>
#    include <stdatomic.h>

#    include "base/log.h"

static _Atomic(enum test_point) armed;
static atomic_uint passages_left;

void test_point_arm(enum test_point point, unsigned nth)
{
    atomic_store(&passages_left, nth);
    atomic_store(&armed, point);
}

void test_point_pass(enum test_point point)
{
    if (atomic_load(&armed) == point && atomic_fetch_sub(&passages_left, 1) == 1) {
        log_warn("test point reached, ending the core");
        (void)raise(SIGKILL);
    }
}

#endif
