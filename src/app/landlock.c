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
#include "sql/postgres_url.h"

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

enum {
    NAME_SERVER_PORT = 53
};

#define READ_FILES (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
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

struct net_port_attribute {
    uint64_t allowed_access;
    uint64_t port; /* 0, to bind: any free one */
};
#define RULE_NET_PORT 2

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

static cc_err allow_names(const struct ruleset *ruleset)
{
    for (size_t i = 0; i < ARRAY_LEN(name_files); i++)
        CC_TRY(allow(ruleset, name_files[i], READ_FILES));
    return CC_OK;
}

/* The directories of a URL's files: a secret that is replaced by renaming must be found again. */
static cc_err allow_database(const struct ruleset *ruleset, const char *url)
{
    char path[CONFIG_PATH_MAX];
    for (unsigned i = 0; postgres_url_file(url, i, path, sizeof path); i++)
        CC_TRY(allow(ruleset, dirname(path), READ_FILES));
    return postgres_url_is_remote(url) ? allow_names(ruleset) : CC_OK;
}

static cc_err allow_databases(const struct ruleset *ruleset, const struct config *config)
{
    const char *url;
    for (unsigned n = 0; (url = sandbox_database(config, n)); n++)
        CC_TRY(allow_database(ruleset, url));
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
        CC_TRY(allow(ruleset, config->tee.root.certificate, READ_FILES));
        CC_TRY(allow(ruleset, config->data_dir, WRITE_STORES));
        CC_TRY(allow_databases(ruleset, config));
        if (config_uses_aws(config) || config_traces(config))
            CC_TRY(allow_names(ruleset));
        CC_TRY(allow(ruleset, config->tracing.ca_path, READ_FILES));
        CC_TRY(allow_store(ruleset, config->key_sources.sqlite.path));
        return allow_store(ruleset, config->anti_slashing.path);
    case ROOM_VAULT:
    case ROOM_FORWARDER:
        return CC_OK;
    case ROOM_LOADER:
        return allow_keys(ruleset, &config->key_sources.filesystem);
    case ROOM_END:
        break;
    }
    return CC_FAIL(SYSTEM, "landlock: no such room");
}

long landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return abi >= 1 ? abi : 0;
}

/* 0: this kernel has none, which the log says. */
static long abi_version(void)
{
    long abi = landlock_abi();
    if (abi >= 1)
        return abi;
    log_warn(
        "this kernel has no Landlock, going on without: files are limited by owner and system calls only");
    return 0;
}

static cc_err
make_ruleset(const struct ruleset_attributes *attributes, size_t size, struct ruleset *ret_ruleset)
{
    ret_ruleset->handled = attributes->handled_access_fs;
    ret_ruleset->fd = (int)syscall(SYS_landlock_create_ruleset, attributes, size, 0);
    if (ret_ruleset->fd < 0)
        return CC_FAIL(SYSTEM, "landlock: ruleset");
    for (size_t i = 0; i < ARRAY_LEN(system_files); i++)
        CC_TRY(allow(ret_ruleset, system_files[i], READ_FILES));
    return CC_OK;
}

static cc_err restrict_self(const struct ruleset *ruleset)
{
    if (syscall(SYS_landlock_restrict_self, ruleset->fd, 0) != 0)
        return CC_FAIL(SYSTEM, "landlock: restrict");
    return CC_OK;
}

CC_ERR landlock_enter(enum room room, const struct config *config)
{
    long abi = abi_version();
    if (abi == 0)
        return CC_OK;
    size_t size = 0;
    struct ruleset_attributes attributes =
        attributes_of(abi, sandbox_needs_network(room, config), &size);
    struct ruleset ruleset = {.fd = -1};
    cc_err err = make_ruleset(&attributes, size, &ruleset);
    if (!err.code)
        err = allow_for_room(&ruleset, room, config);
    if (!err.code)
        err = restrict_self(&ruleset);
    fd_closep(&ruleset.fd);
    return err;
}

/* --- programs that carry connections ---------------------------------------------------------------------------------- */

/* Folders, since these files are replaced by others of their name. */
static const char *const resolver_folders[] = {"/etc", "/run/systemd/resolve",
                                               "/run/NetworkManager", "/run/resolvconf"};

static cc_err allow_port(const struct ruleset *ruleset, uint64_t access, uint32_t port)
{
    const struct net_port_attribute rule = {.allowed_access = access, .port = port};
    if (syscall(SYS_landlock_add_rule, ruleset->fd, RULE_NET_PORT, &rule, 0) != 0)
        return CC_FAIL(SYSTEM, "landlock: port");
    return CC_OK;
}

static cc_err
allow_listener(const struct ruleset *ruleset, const struct endpoint *endpoint, bool by_port)
{
    char copy[ENDPOINT_HOST_SIZE];
    if (endpoint->kind == ENDPOINT_TCP && by_port)
        return allow_port(ruleset, ACCESS_NET_BIND_TCP, endpoint->port);
    if (endpoint->kind != ENDPOINT_UNIX)
        return CC_OK;
    (void)snprintf(copy, sizeof copy, "%s", endpoint->host);
    return allow(ruleset, dirname(copy),
                 LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE);
}

static cc_err allow_endpoints(const struct ruleset *ruleset,
                              const struct landlock_endpoints *endpoints,
                              bool by_port)
{
    for (size_t i = 0; i < endpoints->listen_count; i++)
        CC_TRY(allow_listener(ruleset, endpoints->listens[i], by_port));
    for (size_t i = 0; i < endpoints->target_count && by_port; i++)
        if (endpoints->targets[i]->kind == ENDPOINT_TCP)
            CC_TRY(allow_port(ruleset, ACCESS_NET_CONNECT_TCP, endpoints->targets[i]->port));
    for (size_t i = 0; i < ARRAY_LEN(resolver_folders); i++)
        CC_TRY(allow(ruleset, resolver_folders[i], READ_FILES));
    return by_port ? allow_port(ruleset, ACCESS_NET_CONNECT_TCP, NAME_SERVER_PORT) : CC_OK;
}

CC_ERR landlock_enter_proxy(const struct landlock_endpoints *endpoints)
{
    long abi = abi_version();
    if (abi == 0)
        return CC_OK;
    size_t size = 0;
    struct ruleset_attributes attributes = attributes_of(abi, false, &size);
    attributes.scoped &= ~SCOPE_ABSTRACT_UNIX; /* the service manager may listen at such a name */
    struct ruleset ruleset = {.fd = -1};
    cc_err err = make_ruleset(&attributes, size, &ruleset);
    if (!err.code)
        err = allow_endpoints(&ruleset, endpoints, attributes.handled_access_net != 0);
    if (!err.code)
        err = restrict_self(&ruleset);
    fd_closep(&ruleset.fd);
    return err;
}

CC_ERR landlock_describe(enum room room, struct buf *out)
{
    static const char *const own[ROOM_END] = {
        [ROOM_FRONT] = "  read: the file of `network`\n",
        [ROOM_CORE] =
            "  read: the files of `network` and of tee.root.certificate\n  write: data_dir, the directories of anti_slashing.path and key_sources.sqlite.path\n"
            "core, with a store in a database, or traces to send: these too\n"
            "  read: the directories of the files in anti_slashing.url; for a database elsewhere, in AWS, or for traces, /etc/hosts, "
            "resolv.conf, nsswitch.conf, host.conf, gai.conf, services, ssl/certs; the file of tracing.ca_path\n",
        [ROOM_VAULT] = "",
        [ROOM_LOADER] = "  read: key_sources.filesystem.paths, passwords_path, password_file\n",
        [ROOM_FORWARDER] = "",
    };
    CC_TRY(buf_printf(out, "%s: files\n", room_name(room)));
    for (size_t i = 0; i < ARRAY_LEN(system_files); i++)
        CC_TRY(buf_printf(out, "  read: %s\n", system_files[i]));
    return buf_append_str(out, own[room]);
}

CC_ERR landlock_describe_proxy(struct buf *out)
{
    CC_TRY(buf_append_str(out, "proxies: files\n"));
    for (size_t i = 0; i < ARRAY_LEN(system_files); i++)
        CC_TRY(buf_printf(out, "  read: %s\n", system_files[i]));
    for (size_t i = 0; i < ARRAY_LEN(resolver_folders); i++)
        CC_TRY(buf_printf(out, "  read: %s\n", resolver_folders[i]));
    return buf_append_str(
        out,
        "  sockets made and removed: the folders of the Unix sockets that are listened on\n"
        "  TCP: listening at the ports of the own endpoints; to the ports of the targets, and 53\n");
}
