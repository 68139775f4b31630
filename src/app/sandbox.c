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
#include "attest/nsm_ioctl.h"
#include "config/databases.h"
#include "secret/harden.h"
#include "sql/postgres_url.h"

enum {
    F_ = 1U << ROOM_FRONT,
    C_ = 1U << ROOM_CORE,
    V_ = 1U << ROOM_VAULT,
    L_ = 1U << ROOM_LOADER,
    O_ = 1U << ROOM_FORWARDER,
    N_ = 1U << ROOM_END,
    T_ = 1U << (ROOM_END + 1),
    P_ = 1U << (ROOM_END + 2)
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

/* Where bytes from outside pass through our code alone, or keys are held, a stray call is the end. */
static bool is_deadly(enum room room)
{
    return room == ROOM_FRONT || room == ROOM_VAULT || room == ROOM_FORWARDER;
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

const char *sandbox_database(const struct config *config, unsigned n)
{
    struct config_database databases[CONFIG_DATABASES];
    return n < config_databases(config, databases) ? databases[n].url : NULL;
}

bool sandbox_needs_network(enum room room, const struct config *config)
{
    const char *url;
    if (room == ROOM_CORE && (config_uses_aws(config) || config_traces(config)))
        return true;
    for (unsigned n = 0; room == ROOM_CORE && (url = sandbox_database(config, n)); n++)
        if (postgres_url_is_remote(url))
            return true;
    return false;
}

static unsigned rows_of(enum room room, const struct config *config)
{
    unsigned rows = 1U << room;
    if (!config)
        return rows;
    if (room == ROOM_CORE &&
        (sandbox_database(config, 0) || config_uses_aws(config) || config_traces(config)))
        rows |= N_;
    if (room == ROOM_VAULT && config->tee.platform == TEE_NITRO)
        rows |= T_;
    return rows;
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

static cc_err lock(uint32_t otherwise, unsigned wanted)
{
    if (harden_is_sanitized()) {
        log_warn("sanitizer build: system calls are not limited");
        return CC_OK;
    }
    scmp_filter_ctx filter = seccomp_init(otherwise);
    if (!filter)
        return CC_FAIL(NO_MEMORY, "seccomp");
    cc_err err = build(filter, wanted);
    seccomp_release(filter);
    return err;
}

CC_ERR sandbox_lock(enum room room)
{
    return sandbox_lock_with(room, NULL);
}

CC_ERR sandbox_lock_with(enum room room, const struct config *config)
{
    return lock(is_deadly(room) ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM),
                rows_of(room, config));
}

/* The C library looks names up there, and probes for much. */
CC_ERR sandbox_lock_proxy(void)
{
    return lock(SCMP_ACT_ERRNO(EPERM), P_);
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
        CC_TRY(buf_append_str(out,
                              "core, with a store in a database, or traces to send: these too\n"));
        CC_TRY(describe_rules(N_, out));
    }
    if (room == ROOM_VAULT) {
        CC_TRY(buf_append_str(out, "vault, in an enclave: these too\n"));
        CC_TRY(describe_rules(T_, out));
    }
    return landlock_describe(room, out);
}

CC_ERR sandbox_describe_proxy(struct buf *out)
{
    CC_TRY(
        buf_append_str(out, "attest proxy, enclave proxy: what is not listed fails with EPERM\n"));
    CC_TRY(describe_rules(P_, out));
    return landlock_describe_proxy(out);
}
