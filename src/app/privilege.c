#include "app/privilege.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"

enum {
    OVERFLOW_ID =
        65534, /* what a user namespace calls those that it does not know; nobody, elsewhere */
    OVERFLOW_INSIDE = 1
};

bool privilege_separates(void)
{
    return geteuid() == 0;
}

uid_t privilege_uid(enum room room)
{
    return (uid_t)CC_UID_BASE + (uid_t)room;
}

static cc_err set_capabilities(uint32_t permitted)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {.effective = permitted, .permitted = permitted, .inheritable = permitted}};
    if (syscall(SYS_capset, &head, data) != 0)
        return CC_FAIL(SYSTEM, "capset");
    return CC_OK;
}

/* What is not in the bounding set can't come back, whatever is exec'd. Capabilities that this kernel has no name for
 * end the list.
 */
static cc_err drop_bounding(uint32_t kept)
{
    for (unsigned long cap = 0; cap < 64; cap++) {
        if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) < 0)
            return CC_OK;
        if (cap < 32 && (kept >> cap & 1))
            continue;
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0)
            return CC_FAIL(SYSTEM, "capability bounding set");
    }
    return CC_OK;
}

CC_ERR privilege_enter(enum room room)
{
    if (!privilege_separates())
        return CC_OK;
    uint32_t kept = room == ROOM_LOADER ? 1U << CAP_DAC_READ_SEARCH : 0;
    uid_t uid = privilege_uid(room);
    CC_TRY(drop_bounding(kept));
    if (setgroups(0, NULL) != 0 || setresgid(uid, uid, uid) != 0)
        return CC_FAIL(SYSTEM, "setresgid");
    if (prctl(PR_SET_KEEPCAPS, kept ? 1 : 0, 0, 0, 0) != 0 || setresuid(uid, uid, uid) != 0)
        return CC_FAIL(SYSTEM, "setresuid");
    CC_TRY(set_capabilities(kept));
    if (kept && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH, 0, 0) != 0)
        return CC_FAIL(SYSTEM, "ambient capability");
    return CC_OK;
}

static bool write_once(const char *path, const char *text)
{
    CC_CLEANUP(fd_closep) int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

bool privilege_leave_network(void)
{
    if (unshare(CLONE_NEWNET) == 0)
        return true;
    /* Without root it takes a user namespace too, in which the own ids stay what they were; but for the one by which strangers are
     * known there.
     */
    const unsigned user = geteuid() == OVERFLOW_ID ? OVERFLOW_INSIDE : geteuid();
    char uid_map[64];
    char gid_map[64];
    (void)snprintf(uid_map, sizeof uid_map, "%u %u 1", user, geteuid());
    (void)snprintf(gid_map, sizeof gid_map, "%u %u 1", getegid(), getegid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return false;
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0,
                0); /* else the maps are root's; exec is next, and the room hardens itself */
    return write_once("/proc/self/setgroups", "deny") &&
           write_once("/proc/self/uid_map", uid_map) && write_once("/proc/self/gid_map", gid_map);
}
