#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/num.h"

#include "app/landlock.h"
#include "app/limits.h"
#include "app/privilege.h"
#include "app/sandbox.h"
#include "cli/bench_raw.h"
#include "cli/doctor.h"
#include "secret/arena.h"
#include "secret/harden.h"
#include "vault/vault.h"

enum {
    SYNC_ERROR_MS = 500,  /* more than that is no longer a duty's noise */
    LANDLOCK_OF_PORTS = 4 /* the first ABI that restricts TCP */
};

static cc_err choose_engine(enum signing_engine wanted, struct doctor_engine *ret_engine)
{
    struct batch_signer *signer = NULL;
    CC_TRY(batch_signer_new((enum batch_engine)wanted, &signer));
    ret_engine->used = batch_signer_engine(signer);
    ret_engine->self_test_failed = batch_signer_self_test_failed(signer);
    batch_signer_free(signer);
    return CC_OK;
}

const struct doctor_host doctor_this_host = {.root = "",
                                             .ask_clock = adjtimex,
                                             .time_flush = bench_raw_flush,
                                             .choose_engine = choose_engine,
                                             .harden = harden_process};

/* --- processor, memory --------------------------------------------------------------------------------------------- */

void doctor_processor(const struct doctor *doctor, struct doctor_finding *ret_finding)
{
    static const char *const names[BATCH_ENGINE_END] = {"blst", "auto", "fixed_base", "ifma"};
    const enum batch_engine wanted = (enum batch_engine)doctor->config->signing.engine;
    struct doctor_engine engine = {0};
    cc_err err = doctor->host->choose_engine(doctor->config->signing.engine, &engine);
    if (err.code)
        doctor_say_error(ret_finding, err);
    else if (engine.self_test_failed)
        doctor_say(ret_finding, DOCTOR_FAIL, "an engine failed its self-test; %s would be used",
                   names[engine.used]);
    else if (wanted != BATCH_AUTO && wanted != engine.used)
        doctor_say_bad(ret_finding, "this processor lacks what signing.engine %s needs; %s is used",
                       names[wanted], names[engine.used]);
    else
        doctor_say(ret_finding, DOCTOR_OK, "signing engine %s", names[engine.used]);
}

void doctor_locked_memory(const struct doctor *doctor, struct doctor_finding *ret_finding)
{
    uint64_t slots = 0;
    cc_err err = vault_try_memory(doctor->config, &slots);
    if (err.code)
        doctor_say_error(ret_finding, err);
    else
        doctor_say(ret_finding, DOCTOR_OK, "enough for %llu keys and all threads",
                   (unsigned long long)slots);
}

void doctor_hidden_memory(const struct doctor *doctor, struct doctor_finding *ret_finding)
{
    (void)doctor;
    if (secret_kernel_has())
        doctor_say(ret_finding, DOCTOR_OK, "memfd_secret can be had");
    else
        doctor_say_bad(ret_finding, "no memfd_secret: root can read the memory that keys lie in");
}

/* --- swap ---------------------------------------------------------------------------------------------------------- */

/* The device that swap on `path` ends up on. */
static bool device_of(const char *path, dev_t *ret_device)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return false;
    *ret_device = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
    return true;
}

static bool is_encrypted(const struct doctor *doctor, dev_t device)
{
    static const char crypt[] = "CRYPT-";
    char path[64];
    CC_CLEANUP(buf_release) struct buf uuid = buf_init(0);
    (void)snprintf(path, sizeof path, "/sys/dev/block/%u:%u/dm/uuid", major(device), minor(device));
    return doctor_read(doctor, path, &uuid) && uuid.len >= sizeof crypt - 1 &&
           span_is(span_of(uuid.data, sizeof crypt - 1), crypt);
}

/* Memory that is compressed never reaches a disk, unless a device is behind it. */
static bool is_in_memory(const struct doctor *doctor, const char *path)
{
    static const char zram[] = "/dev/zram";
    char file[64];
    uint64_t number = 0;
    CC_CLEANUP(buf_release) struct buf device = buf_init(0);
    if (strncmp(path, zram, sizeof zram - 1) != 0 ||
        u64_parse(span_str(path + sizeof zram - 1), &number).code)
        return false;
    (void)snprintf(file, sizeof file, "/sys/block/zram%llu/backing_dev",
                   (unsigned long long)number);
    return !doctor_read(doctor, file, &device) || span_is(buf_span(&device), "none\n");
}

/* A line of /proc/swaps begins with the path. */
static bool is_harmless(const struct doctor *doctor, const char *line)
{
    char path[256];
    dev_t device;
    int len = (int)strcspn(line, " \t");
    if (len == 0 || (size_t)len >= sizeof path)
        return false;
    (void)snprintf(path, sizeof path, "%.*s", len, line);
    return is_in_memory(doctor, path) || (device_of(path, &device) && is_encrypted(doctor, device));
}

void doctor_swap(const struct doctor *doctor, struct doctor_finding *ret_finding)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(0);
    unsigned areas = 0;
    if (!doctor_read(doctor, "/proc/swaps", &text) || buf_append(&text, "", 1).code) {
        doctor_say_bad(ret_finding, "/proc/swaps can't be read: nothing is known of swap");
        return;
    }
    /* The first line is the head of the table. */
    for (const char *at = strchr((const char *)text.data, '\n'); at && at[1];
         at = strchr(at + 1, '\n'), areas++) {
        if (is_harmless(doctor, at + 1))
            continue;
        doctor_say_bad(ret_finding, "%.*s is on, and not known to be encrypted",
                       (int)strcspn(at + 1, " \t"), at + 1);
        return;
    }
    doctor_say(ret_finding, DOCTOR_OK, areas ? "on, encrypted or in memory" : "off");
}

/* --- who can look into a process ------------------------------------------------------------------------------------ */

void doctor_debuggers(const struct doctor *doctor, struct doctor_finding *ret_finding)
{
    uint64_t scope = 0;
    if (!doctor_read_number(doctor, "/proc/sys/kernel/yama/ptrace_scope", &scope))
        doctor_say_bad(ret_finding, "this kernel has no Yama: kernel.yama.ptrace_scope is missing");
    else if (scope == 0)
        doctor_say_bad(ret_finding, "kernel.yama.ptrace_scope is 0");
    else
        doctor_say(ret_finding, DOCTOR_OK, "kernel.yama.ptrace_scope is %llu",
                   (unsigned long long)scope);
}

static bool can_harden(const void *context)
{
    const struct doctor_host *host = context;
    struct rlimit limit;
    return !host->harden().code && getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0 &&
           (harden_is_sanitized() || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
}

void doctor_core_dumps(const struct doctor *doctor, struct doctor_finding *ret_finding)
{
    if (doctor_in_child(can_harden, doctor->host))
        doctor_say(ret_finding, DOCTOR_OK, "a room can switch its own off");
    else
        doctor_say_bad(ret_finding, "a room can't switch its own off");
}

void doctor_crash_kernel(const struct doctor *doctor, struct doctor_finding *ret_finding)
{
    uint64_t loaded = 0;
    if (!doctor_read_number(doctor, "/sys/kernel/kexec_crash_loaded", &loaded))
        doctor_say(ret_finding, DOCTOR_OK, "this kernel has none");
    else if (loaded)
        doctor_say_bad(ret_finding, "one is loaded");
    else
        doctor_say(ret_finding, DOCTOR_OK, "none is loaded");
}

/* --- locks of the rooms ---------------------------------------------------------------------------------------------- */

static bool can_lock(const void *context)
{
    (void)context;
    return !sandbox_lock(ROOM_VAULT).code;
}

void doctor_system_calls(const struct doctor *doctor, struct doctor_finding *ret_finding)
{
    (void)doctor;
    if (doctor_in_child(can_lock, NULL))
        doctor_say(ret_finding, DOCTOR_OK, "a room can give them up");
    else
        doctor_say_bad(ret_finding, "a room can't give them up: no seccomp filter can be set");
}

void doctor_files_lock(const struct doctor *doctor, struct doctor_finding *ret_finding)
{
    (void)doctor;
    const long abi = landlock_abi();
    if (abi == 0)
        doctor_say_bad(ret_finding, "this kernel has none, or it is not in use");
    else if (abi < LANDLOCK_OF_PORTS)
        doctor_say_bad(ret_finding, "ABI %ld: files alone, not ports", abi);
    else
        doctor_say(ret_finding, DOCTOR_OK, "ABI %ld", abi);
}

static bool can_leave_network(const void *context)
{
    (void)context;
    return privilege_leave_network();
}

void doctor_empty_network(const struct doctor *doctor, struct doctor_finding *ret_finding)
{
    (void)doctor;
    if (doctor_in_child(can_leave_network, NULL))
        doctor_say(ret_finding, DOCTOR_OK, "a room gets one");
    else
        doctor_say_bad(ret_finding, "a room gets none: this user may make no namespace");
}

void doctor_open_files(const struct doctor *doctor, struct doctor_finding *ret_finding)
{
    uint64_t limit = 0, needed = 0;
    if (limits_raise_files(doctor->config, &limit, &needed))
        doctor_say(ret_finding, DOCTOR_OK, "%llu may be open, %llu are needed",
                   (unsigned long long)limit, (unsigned long long)needed);
    else
        doctor_say_bad(ret_finding, "%llu may be open, %llu are needed", (unsigned long long)limit,
                       (unsigned long long)needed);
}

/* --- clock ----------------------------------------------------------------------------------------------------------- */

void doctor_clock(const struct doctor *doctor, struct doctor_finding *ret_finding)
{
    struct timex clock = {.modes = 0};
    const int state = doctor->host->ask_clock(&clock);
    const long error_ms = clock.maxerror / 1000;
    if (state < 0)
        doctor_say_bad(ret_finding, "the kernel doesn't say whether it is synchronised");
    else if (state == TIME_ERROR || (clock.status & STA_UNSYNC))
        doctor_say_bad(ret_finding, "nothing synchronises it");
    else if (error_ms > SYNC_ERROR_MS)
        doctor_say_bad(ret_finding, "it may be wrong by %ld ms", error_ms);
    else
        doctor_say(ret_finding, DOCTOR_OK, "synchronised to within %ld ms", error_ms);
}
