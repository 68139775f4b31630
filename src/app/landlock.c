#include "app/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"

#include "app/sandbox.h"
#include "slash/postgres.h"

/* The header of the distribution knows ABI 2; these came with 3 to 6 (Documentation/userspace-api/landlock.rst). */
struct ruleset_attributes {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};
#define ACCESS_FS_TRUNCATE     (UINT64_C(1) << 14)
#define ACCESS_FS_IOCTL_DEV    (UINT64_C(1) << 15)
#define ACCESS_NET_BIND_TCP    (UINT64_C(1) << 0)
#define ACCESS_NET_CONNECT_TCP (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT_UNIX    (UINT64_C(1) << 0)
#define SCOPE_SIGNAL           (UINT64_C(1) << 1)

#define READ_FILES             (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE_STORES                                                                               \
    (READ_FILES | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |                    \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REFER | ACCESS_FS_TRUNCATE)
/* What makes sense for something that is not a directory. */
#define OF_A_FILE                                                                                  \
    (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_FS_TRUNCATE)

/* Read while a room starts, by libc, libcrypto and base/machine: number of processors, memory and its limit, time zone,
 * OpenSSL's configuration.
 */
static const char *const system_files[] = {
    "/dev/null",      "/dev/urandom", "/etc/localtime",     "/etc/ssl/openssl.cnf",
    "/proc/meminfo",  "/proc/self",   "/proc/stat",         "/sys/devices/system/cpu",
    "/sys/fs/cgroup", "/usr/lib/ssl", "/usr/share/zoneinfo"};

/* Everything that this kernel's Landlock can restrict is restricted. */
static struct ruleset_attributes attributes_of(long abi, bool connects, size_t *ret_size)
{
    struct ruleset_attributes a = {.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1};
    *ret_size = sizeof a.handled_access_fs;
    if (abi >= 2)
        a.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
    if (abi >= 3)
        a.handled_access_fs |= ACCESS_FS_TRUNCATE;
    if (abi >= 4) {
        a.handled_access_net = ACCESS_NET_BIND_TCP | (connects ? 0 : ACCESS_NET_CONNECT_TCP);
        *ret_size = offsetof(struct ruleset_attributes, scoped);
    }
    if (abi >= 5)
        a.handled_access_fs |= ACCESS_FS_IOCTL_DEV;
    if (abi >= 6) {
        a.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
        *ret_size = sizeof a;
    }
    return a;
}

struct ruleset {
    int fd;
    uint64_t handled;
};

/* A path that does not exist can't be opened either. */
static cc_err allow(const struct ruleset *ruleset, const char *path, uint64_t access)
{
    if (path[0] == 0)
        return CC_OK;
    CC_CLEANUP(fd_closep) int fd = open(path, O_PATH | O_CLOEXEC);
    struct stat st;
    if (fd < 0)
        return errno == ENOENT || errno == EACCES || errno == ENOTDIR
                   ? CC_OK
                   : CC_FAIL(SYSTEM, "landlock: path");
    if (fstat(fd, &st) != 0)
        return CC_FAIL(SYSTEM, "landlock: path");
    access &= ruleset->handled;
    struct landlock_path_beneath_attr rule = {
        .allowed_access = S_ISDIR(st.st_mode) ? access : access & OF_A_FILE, .parent_fd = fd};
    if (syscall(SYS_landlock_add_rule, ruleset->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
        return CC_FAIL(SYSTEM, "landlock: rule");
    return CC_OK;
}

/* The whole directory of a store: SQLite makes and removes files beside it. */
static cc_err allow_store(const struct ruleset *ruleset, const char *path)
{
    char copy[CONFIG_PATH_MAX];
    if (path[0] == 0)
        return CC_OK;
    (void)snprintf(copy, sizeof copy, "%s", path);
    return allow(ruleset, dirname(copy), WRITE_STORES);
}

static cc_err allow_keys(const struct ruleset *ruleset, const struct filesystem_config *keys)
{
    for (uint32_t i = 0; i < keys->path_count; i++)
        CC_TRY(allow(ruleset, keys->paths[i], READ_FILES));
    CC_TRY(allow(ruleset, keys->passwords_path, READ_FILES));
    return allow(ruleset, keys->password_file, READ_FILES);
}

/* What looking up a name reads. */
static const char *const name_files[] = {"/etc/hosts",     "/etc/resolv.conf", "/etc/nsswitch.conf",
                                         "/etc/host.conf", "/etc/gai.conf",    "/etc/services",
                                         "/etc/ssl/certs"};

/* The directories of a URL's files: a secret that is replaced by renaming must be found again. */
static cc_err allow_database(const struct ruleset *ruleset,
                             const struct anti_slashing_config *history)
{
    char path[CONFIG_PATH_MAX];
    if (history->backend != HISTORY_POSTGRES)
        return CC_OK;
    for (unsigned i = 0; slash_postgres_url_file(history->url, i, path, sizeof path); i++)
        CC_TRY(allow(ruleset, dirname(path), READ_FILES));
    if (!slash_postgres_url_is_remote(history->url))
        return CC_OK;
    for (size_t i = 0; i < ARRAY_LEN(name_files); i++)
        CC_TRY(allow(ruleset, name_files[i], READ_FILES));
    return CC_OK;
}

static cc_err
allow_for_room(const struct ruleset *ruleset, enum room room, const struct config *config)
{
    switch (room) {
    case ROOM_FRONT:
        return allow(ruleset, config->network.network, READ_FILES);
    case ROOM_CORE:
        CC_TRY(allow(ruleset, config->network.network, READ_FILES));
        CC_TRY(allow(ruleset, config->data_dir, WRITE_STORES));
        CC_TRY(allow_database(ruleset, &config->anti_slashing));
        return allow_store(ruleset, config->anti_slashing.path);
    case ROOM_VAULT:
        return CC_OK;
    case ROOM_LOADER:
        return allow_keys(ruleset, &config->key_sources.filesystem);
    case ROOM_END:
        break;
    }
    return CC_FAIL(SYSTEM, "landlock: no such room");
}

CC_ERR landlock_enter(enum room room, const struct config *config)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 1) {
        log_warn(
            "this kernel has no Landlock, going on without: files are limited by owner and system calls only");
        return CC_OK;
    }
    size_t size = 0;
    struct ruleset_attributes attributes =
        attributes_of(abi, sandbox_needs_network(room, config), &size);
    CC_CLEANUP(fd_closep) int fd = (int)syscall(SYS_landlock_create_ruleset, &attributes, size, 0);
    if (fd < 0)
        return CC_FAIL(SYSTEM, "landlock: ruleset");
    const struct ruleset ruleset = {fd, attributes.handled_access_fs};
    for (size_t i = 0; i < ARRAY_LEN(system_files); i++)
        CC_TRY(allow(&ruleset, system_files[i], READ_FILES));
    CC_TRY(allow_for_room(&ruleset, room, config));
    if (syscall(SYS_landlock_restrict_self, fd, 0) != 0)
        return CC_FAIL(SYSTEM, "landlock: restrict");
    return CC_OK;
}

CC_ERR landlock_describe(enum room room, struct buf *out)
{
    static const char *const own[ROOM_END] = {
        [ROOM_FRONT] = "  read: the file of `network`\n",
        [ROOM_CORE] =
            "  read: the file of `network`\n  write: data_dir, the directory of anti_slashing.path\n"
            "core, with its history in a database: these too\n"
            "  read: the directories of the files in anti_slashing.url; for a database elsewhere /etc/hosts, "
            "resolv.conf, nsswitch.conf, host.conf, gai.conf, services, ssl/certs\n",
        [ROOM_VAULT] = "",
        [ROOM_LOADER] = "  read: key_sources.filesystem.paths, passwords_path, password_file\n",
    };
    CC_TRY(buf_printf(out, "%s: files\n", room_name(room)));
    for (size_t i = 0; i < ARRAY_LEN(system_files); i++)
        CC_TRY(buf_printf(out, "  read: %s\n", system_files[i]));
    return buf_append_str(out, own[room]);
}
