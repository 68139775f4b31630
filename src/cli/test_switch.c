#include "cli/test_switch.h"

#ifdef CC_TESTING

#    include <stdlib.h>

#    include "base/num.h"

#    include "app/inject.h"
#    include "core/test_point.h"

static const char *const point_names[TEST_POINT_END] = {
    [TEST_POINT_BEGIN] = "BEGIN",
    [TEST_POINT_RECEIVED] = "RECEIVED",
    [TEST_POINT_ENQUEUED] = "ENQUEUED",
    [TEST_POINT_COMMIT] = "COMMIT",
    [TEST_POINT_COMMITTED] = "COMMITTED",
    [TEST_POINT_TO_VAULT] = "TO_VAULT",
    [TEST_POINT_SIGNED] = "SIGNED",
    [TEST_POINT_ANSWER] = "ANSWER",
    [TEST_POINT_ANSWERED] = "ANSWERED",
    [TEST_POINT_REGISTER] = "REGISTER",
    [TEST_POINT_REGISTERED] = "REGISTERED",
    [TEST_POINT_FLOORS_RAISED] = "FLOORS_RAISED",
    [TEST_POINT_CEILING_PENDING] = "CEILING_PENDING",
    [TEST_POINT_CEILING_RECORDED] = "CEILING_RECORDED",
    [TEST_POINT_CEILING_CONFIRMED] = "CEILING_CONFIRMED",
    [TEST_POINT_KEYS_NAMED] = "KEYS_NAMED",
    [TEST_POINT_KEYS_WRITTEN] = "KEYS_WRITTEN",
    [TEST_POINT_KEYS_SETTLED] = "KEYS_SETTLED",
    [TEST_POINT_IMPORT_OPENED] = "IMPORT_OPENED",
    [TEST_POINT_IMPORT_MERGED] = "IMPORT_MERGED",
    [TEST_POINT_IMPORT_PROTECTED] = "IMPORT_PROTECTED",
    [TEST_POINT_IMPORT_LOADED] = "IMPORT_LOADED",
    [TEST_POINT_IMPORT_ACTIVE] = "IMPORT_ACTIVE",
    [TEST_POINT_DELETE_STOPPED] = "DELETE_STOPPED",
    [TEST_POINT_DELETE_DISABLED] = "DELETE_DISABLED",
    [TEST_POINT_DELETE_ERASED] = "DELETE_ERASED",
    [TEST_POINT_DELETE_FORGOTTEN] = "DELETE_FORGOTTEN",
    [TEST_POINT_SEAL_MADE] = "SEAL_MADE",
    [TEST_POINT_SEAL_ROWS] = "SEAL_ROWS",
    [TEST_POINT_SEAL_COMMIT] = "SEAL_COMMIT",
    [TEST_POINT_SEAL_COMMITTED] = "SEAL_COMMITTED",
    [TEST_POINT_SEALED_FILE] = "SEALED_FILE",
    [TEST_POINT_SEALED_RECORD] = "SEALED_RECORD",
    [TEST_POINT_SEALED_WIPED] = "SEALED_WIPED",
    [TEST_POINT_LIFTED_RECORD] = "LIFTED_RECORD",
    [TEST_POINT_LIFTED_FILE] = "LIFTED_FILE",
    [TEST_POINT_MOVE_READ] = "MOVE_READ",
    [TEST_POINT_MOVE_MARKED] = "MOVE_MARKED",
    [TEST_POINT_MOVE_COPIED] = "MOVE_COPIED",
    [TEST_POINT_MOVE_WRITTEN] = "MOVE_WRITTEN",
    [TEST_POINT_MOVE_ENDED] = "MOVE_ENDED",
};

const char *test_switch_host_root(void)
{
    const char *root = getenv("CC_TEST_HOST_ROOT");
    return root ? root : "";
}

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
