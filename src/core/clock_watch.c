#include "core/clock_watch.h"

#include "base/log.h"
#include "base/metric.h"
#include "base/num.h"

static void count(struct clock_watch *watch, uint64_t epoch, uint64_t now, uint64_t last)
{
    if (epoch > last)
        watch->ahead++;
    else if (u64_add_sat(epoch, CLOCK_WATCH_BEHIND) < now)
        watch->behind++;
    else
        watch->fitting++;
}

static void set_alarm(struct clock_watch *watch, bool alarmed)
{
    watch->alarmed = alarmed;
    metric_set(METRIC_CLOCK_DISAGREES, 0, alarmed);
}

/* The minute is over; true when it raised an alarm. */
static bool judge(struct clock_watch *watch, uint64_t now)
{
    const uint64_t others = watch->ahead + watch->behind;
    if (watch->fitting || others < CLOCK_WATCH_CLAIMS)
        return false;
    log_error(
        "the CLOCK of this machine is wrong, or every client's is: no block or attestation of the last minute fits it",
        KV_NUM("epoch_by_clock", now), KV_NUM("claims_ahead", watch->ahead),
        KV_NUM("claims_behind", watch->behind), KV_STR("hint", "look at the time service"));
    set_alarm(watch, true);
    return true;
}

bool clock_watch_note(
    struct clock_watch *watch, uint64_t mono_ms, uint64_t epoch, uint64_t now, uint64_t last)
{
    bool raised = false;
    if (watch->began_ms && mono_ms - watch->began_ms >= CLOCK_WATCH_MS) {
        raised = judge(watch, now);
        *watch = (struct clock_watch){.alarmed = watch->alarmed};
    }
    if (!watch->began_ms)
        watch->began_ms = mono_ms ? mono_ms : 1;
    count(watch, epoch, now, last);
    if (watch->alarmed && watch->fitting) {
        log_notice("the clock fits what clients ask for again");
        set_alarm(watch, false);
    }
    return raised;
}
