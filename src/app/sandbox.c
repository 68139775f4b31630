#include "app/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/landlock.h"
#include "secret/harden.h"
#include "slash/postgres.h"

enum {
    F_ = 1U << ROOM_FRONT,
    C_ = 1U << ROOM_CORE,
    V_ = 1U << ROOM_VAULT,
    L_ = 1U << ROOM_LOADER,
    N_ = 1U << ROOM_END
};

/* Stands in the table for the process's own id. */
#define SANDBOX_OWN_PID UINT64_MAX

enum rule_kind {
    RULE_ALLOW,
    RULE_REFUSE,
    RULE_WHERE
};

struct rule {
    enum rule_kind kind;
    int call;
    const char *name;
    unsigned rooms;
    unsigned argument;
    uint64_t mask;
    uint64_t value;
    const char *why;
};

static const struct rule rules[] = {
#define S(call, rooms)      {RULE_ALLOW, SCMP_SYS(call), #call, rooms, 0, 0, 0, NULL},
#define E(call, rooms, why) {RULE_REFUSE, SCMP_SYS(call), #call, rooms, 0, 0, 0, why},
#define W(call, rooms, argument, mask, value, why)                                                 \
    {RULE_WHERE, SCMP_SYS(call), #call, rooms, argument, mask, value, why},
#include "app/sandbox.def"
#undef S
#undef E
#undef W
};

/* Where bytes from outside are parsed by us alone, or keys are held, a stray call is the end. */
static bool is_deadly(enum room room)
{
    return room == ROOM_FRONT || room == ROOM_VAULT;
}

static int add_rule(scmp_filter_ctx filter, const struct rule *rule)
{
    switch (rule->kind) {
    case RULE_ALLOW:
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, rule->call, 0);
    case RULE_REFUSE:
        return seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), rule->call, 0);
    case RULE_WHERE:
        break;
    }
    uint64_t value = rule->value == SANDBOX_OWN_PID ? (uint64_t)getpid() : rule->value;
    const struct scmp_arg_cmp where =
        SCMP_CMP64(rule->argument, SCMP_CMP_MASKED_EQ, rule->mask, value);
    return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rule->call, 1, &where);
}

bool sandbox_needs_network(enum room room, const struct config *config)
{
    return room == ROOM_CORE && config->anti_slashing.backend == HISTORY_POSTGRES &&
           slash_postgres_url_is_remote(config->anti_slashing.url);
}

static unsigned rows_of(enum room room, bool database)
{
    return 1U << room | (database && room == ROOM_CORE ? N_ : 0);
}

static cc_err build(scmp_filter_ctx filter, unsigned wanted)
{
    /* All threads, or none: a thread that escapes the filter would be a hole of the size of the kernel. */
    if (seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) != 0)
        return CC_FAIL(SYSTEM, "seccomp: all threads at once");
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        if (!(rules[i].rooms & wanted))
            continue;
        int result = add_rule(filter, &rules[i]);
        if (result != 0 && result != -EDOM) /* -EDOM: no such call on this architecture */
            return CC_FAIL(SYSTEM, "seccomp: rule");
    }
    return seccomp_load(filter) == 0 ? CC_OK : CC_FAIL(SYSTEM, "seccomp: load");
}

CC_ERR sandbox_lock(enum room room)
{
    return sandbox_lock_with(room, false);
}

CC_ERR sandbox_lock_with(enum room room, bool database)
{
    if (harden_is_sanitized()) {
        log_warn("sanitizer build: system calls are not limited");
        return CC_OK;
    }
    scmp_filter_ctx filter =
        seccomp_init(is_deadly(room) ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM));
    if (!filter)
        return CC_FAIL(NO_MEMORY, "seccomp");
    cc_err err = build(filter, rows_of(room, database));
    seccomp_release(filter);
    return err;
}

CC_ERR sandbox_enter(enum room room, const struct config *config)
{
    return landlock_enter(room, config);
}

static cc_err describe_rule(const struct rule *rule, struct buf *out)
{
    CC_TRY(buf_printf(out, "  %s", rule->name));
    if (rule->kind == RULE_WHERE && rule->value == SANDBOX_OWN_PID)
        CC_TRY(buf_printf(out, " where argument %u is the own process", rule->argument));
    else if (rule->kind == RULE_WHERE)
        CC_TRY(buf_printf(out, " where argument %u & 0x%llx is 0x%llx", rule->argument,
                          (unsigned long long)rule->mask, (unsigned long long)rule->value));
    if (rule->why)
        CC_TRY(buf_printf(out, "%s (%s)", rule->kind == RULE_REFUSE ? " fails with EPERM" : "",
                          rule->why));
    return buf_append_str(out, "\n");
}

static cc_err describe_rules(unsigned wanted, struct buf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (rules[i].rooms & wanted)
            CC_TRY(describe_rule(&rules[i], out));
    return CC_OK;
}

CC_ERR sandbox_describe(enum room room, struct buf *out)
{
    CC_TRY(buf_printf(out, "%s: what is not listed %s\n", room_name(room),
                      is_deadly(room) ? "ends the room" : "fails with EPERM"));
    CC_TRY(describe_rules(1U << room, out));
    if (room == ROOM_CORE) {
        CC_TRY(buf_append_str(out, "core, with its history in a database: these too\n"));
        CC_TRY(describe_rules(N_, out));
    }
    return landlock_describe(room, out);
}
