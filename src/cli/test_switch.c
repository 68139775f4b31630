#include "cli/test_switch.h"

#ifdef CC_TESTING

#    include "base/num.h"

#    include "app/inject.h"
#    include "core/test_point.h"

static const char *const point_names[TEST_POINT_END] = {
    [TEST_POINT_RECEIVED] = "RECEIVED", [TEST_POINT_ENQUEUED] = "ENQUEUED",
    [TEST_POINT_COMMIT] = "COMMIT",     [TEST_POINT_COMMITTED] = "COMMITTED",
    [TEST_POINT_TO_VAULT] = "TO_VAULT", [TEST_POINT_SIGNED] = "SIGNED",
    [TEST_POINT_ANSWER] = "ANSWER",     [TEST_POINT_ANSWERED] = "ANSWERED",
    [TEST_POINT_REGISTER] = "REGISTER", [TEST_POINT_REGISTERED] = "REGISTERED",
};

typedef void set_point_fn(enum test_point point, unsigned number);

/* POINT:NUMBER */
static bool set_point(const char *text, set_point_fn *set)
{
    const char *colon = strchr(text, ':');
    uint64_t number = 0;
    if (!colon || u64_parse(span_str(colon + 1), &number).code)
        return false;
    struct span name = span_of(text, (size_t)(colon - text));
    for (int point = 0; point < TEST_POINT_END; point++) {
        if (!point_names[point] || !span_is(name, point_names[point]))
            continue;
        set((enum test_point)point, (unsigned)number);
        return true;
    }
    return false;
}

bool test_switch_take(struct arguments *arguments)
{
    if (arguments->count < 2)
        return true;
    const char *text = arguments->items[--arguments->count];
    if (strncmp(text, "point=", 6) == 0)
        return set_point(text + 6, test_point_arm);
    if (strncmp(text, "slow=", 5) == 0)
        return set_point(text + 5, test_point_slow);
    return strncmp(text, "inject=", 7) == 0 && inject_choose(text + 7);
}

#endif
