#include "app/datadir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

#include "app/privilege.h"
#include "vault/chamber_key.h"

enum {
    IDENTITY_MAX = 512, /* bytes of identity.pub */
    MODE_PRIVATE = 0700,
    MODE_SHARED_WITH_CORE = 01770
};

#define CHAMBER_KEY "chamber.key"
#define STATE_STORE "state.sqlite"
#define HISTORY     "history.sqlite"
#define IDENTITY    "identity.pub"
#define SEEN        "state.seen"
#define SHARED_LOCK "state.lock" /* in the place of the lock of a state.sqlite */
#define MIRROR      "history.mirror"
#define KEYS        "keys.sqlite"
#define RESTORING   "restore.pending" /* an empty file: not all of a restore is done */
#define AUDIT       "audit"           /* the directory of core/audit.h */

/* What belongs to one store beside its file. */
static const char *const suffixes[] = {"", "-wal", "-shm", "-journal", ".lock"};

static cc_err path_in(const struct config *config, const char *name, char ret_path[static PATH_MAX])
{
    int n = snprintf(ret_path, PATH_MAX, "%s/%s", config->data_dir, name);
    return n < 0 || n >= PATH_MAX ? CC_FAIL(LIMIT, "path too long") : CC_OK;
}

static cc_err history_path(const struct config *config, char ret_path[static PATH_MAX])
{
    if (!config->anti_slashing.path[0])
        return path_in(config, HISTORY, ret_path);
    (void)snprintf(ret_path, PATH_MAX, "%s", config->anti_slashing.path);
    return CC_OK;
}

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

CC_ERR datadir_state(const struct config *config, enum datadir_state *ret_state)
{
    char path[PATH_MAX];
    CC_TRY(path_in(config, CHAMBER_KEY, path));
    bool key = exists(path);
    /* Of a state store that replicas share, what this machine has seen of it lies here. */
    CC_TRY(
        path_in(config, config->signer_state.backend == STATE_SQLITE ? STATE_STORE : SEEN, path));
    bool state = exists(path);
    CC_TRY(history_path(config, path));
    bool history = exists(path);
    bool wanted = config->anti_slashing.backend == HISTORY_SQLITE;
    if (!key && !state && !history)
        *ret_state = DATADIR_EMPTY;
    else
        *ret_state = (key || config_has_root(config)) && state && (history || !wanted)
                         ? DATADIR_MADE
                         : DATADIR_PARTIAL;
    return CC_OK;
}

static void remove_file(const struct config *config, const char *name)
{
    char path[PATH_MAX];
    if (!path_in(config, name, path).code)
        (void)unlink(path);
}

/* chamber.key stays root's, so the core may not have the directory: it has the group, and the sticky bit keeps it from
 * other people's files.
 */
static cc_err set_directory_mode(const char *path)
{
    bool shared = privilege_separates();
    if (shared && chown(path, 0, privilege_uid(ROOM_CORE)) != 0)
        return CC_FAIL(SYSTEM, "chown of the data directory");
    if (chmod(path, shared ? MODE_SHARED_WITH_CORE : MODE_PRIVATE) != 0)
        return CC_FAIL(SYSTEM, "chmod of the data directory");
    return CC_OK;
}

/* Owner and mode of the directory are about to change: with a slip in `data_dir` that could be / or /etc. */
static const char *const allowed_in_empty[] = {".", "..", "lost+found" /* a disk of its own */};
static const char *const allowed_to_join[] = {CHAMBER_KEY, IDENTITY};

static bool is_one_of(const char *name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static cc_err check_empty(const char *path, bool joining)
{
    DIR *dir = opendir(path);
    if (!dir)
        return CC_FAIL(IO, "the data directory cannot be read");
    bool empty = true;
    for (struct dirent *entry = readdir(dir); entry && empty; entry = readdir(dir))
        empty = is_one_of(entry->d_name, allowed_in_empty, ARRAY_LEN(allowed_in_empty)) ||
                (joining && is_one_of(entry->d_name, allowed_to_join, ARRAY_LEN(allowed_to_join)));
    (void)closedir(dir);
    return empty ? CC_OK
                 : CC_FAIL(EXISTS, "the data directory is in use: a chamber needs one of its own");
}

/* SQLite is told to open nothing by way of a symbolic link, wherever in the path it stands: so that no store is led
 * elsewhere unseen. It would only say that it can't open the file.
 */
static cc_err check_no_link(const char *path)
{
    char part[PATH_MAX];
    for (size_t len = 1; path[0] && path[len - 1]; len++) {
        struct stat st;
        if (path[len] && path[len] != '/')
            continue;
        (void)snprintf(part, sizeof part, "%.*s", (int)len, path);
        if (lstat(part, &st) != 0 || !S_ISLNK(st.st_mode))
            continue;
        log_error("a symbolic link is in the way to a store: configure the path that it leads to",
                  KV_STR("path", path), KV_STR("link", part));
        return CC_FAIL(CONFIG, "no store is reached by way of a symbolic link");
    }
    return CC_OK;
}

static cc_err check_no_links(const struct config *config)
{
    CC_TRY(check_no_link(config->data_dir));
    CC_TRY(check_no_link(config->key_sources.sqlite.path));
    return check_no_link(config->anti_slashing.path);
}

static cc_err make_directory(const struct config *config, bool joining)
{
    if (mkdir(config->data_dir, MODE_PRIVATE) != 0) {
        if (errno != EEXIST)
            return CC_FAIL(IO, "the data directory cannot be made");
        CC_TRY(check_empty(config->data_dir, joining));
    }
    return set_directory_mode(config->data_dir);
}

static cc_err check_no_chamber(const struct config *config)
{
    enum datadir_state state;
    CC_TRY(check_no_links(config));
    CC_TRY(datadir_state(config, &state));
    return state == DATADIR_EMPTY
               ? CC_OK
               : CC_FAIL(EXISTS, "there is a chamber, or a part of one, already: "
                                 "`containment-chamber server -c FILE` runs it");
}

CC_ERR datadir_make(const struct config *config)
{
    char path[PATH_MAX];
    CC_TRY(check_no_chamber(config));
    CC_TRY(make_directory(config, false));
    if (config_has_root(config))
        return CC_OK;
    CC_TRY(path_in(config, CHAMBER_KEY, path));
    return chamber_key_create(path);
}

static cc_err copy_identity(const struct config *config, const char *from)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(IDENTITY_MAX);
    char path[PATH_MAX];
    if (!from)
        return CC_OK;
    CC_TRY(path_in(config, IDENTITY, path));
    CC_TRY(file_read(from, &text));
    return file_write_durable(path, buf_span(&text), true);
}

static cc_err copy_key(const struct config *config, const char *from)
{
    char path[PATH_MAX];
    if (!from)
        return CC_OK;
    CC_TRY(path_in(config, CHAMBER_KEY, path));
    return chamber_key_copy(from, path);
}

CC_ERR datadir_join(const struct config *config, const struct datadir_copies *copies)
{
    CC_TRY(check_no_links(config));
    CC_TRY(make_directory(config, true));
    CC_TRY(copy_identity(config, copies->identity));
    cc_err err = copy_key(config, copies->chamber_key);
    if (err.code && copies->identity)
        remove_file(config, IDENTITY);
    return err;
}

/* Empty, since nothing has served here. */
static void remove_audit(const struct config *config)
{
    char path[PATH_MAX];
    if (!path_in(config, AUDIT, path).code)
        (void)rmdir(path);
}

void datadir_unjoin(const struct config *config, const struct datadir_copies *copies)
{
    remove_file(config, SEEN);
    remove_file(config, SHARED_LOCK);
    remove_file(config, MIRROR);
    remove_audit(config);
    if (copies->identity || config_has_root(config))
        remove_file(config, IDENTITY);
    if (copies->chamber_key)
        remove_file(config, CHAMBER_KEY);
}

static void remove_store(const char *path)
{
    char name[PATH_MAX];
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        int n = snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        if (n > 0 && (size_t)n < sizeof name)
            (void)unlink(name);
    }
}

void datadir_unmake(const struct config *config)
{
    static const char *const files[] = {IDENTITY, SEEN, SHARED_LOCK, MIRROR, CHAMBER_KEY};
    char path[PATH_MAX];
    if (!history_path(config, path).code)
        remove_store(path);
    if (!path_in(config, STATE_STORE, path).code)
        remove_store(path);
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        remove_file(config, files[i]);
    remove_audit(config);
}

static cc_err key_store_path(const struct config *config, char ret_path[static PATH_MAX])
{
    if (!config->key_sources.sqlite.path[0])
        return path_in(config, KEYS, ret_path);
    (void)snprintf(ret_path, PATH_MAX, "%s", config->key_sources.sqlite.path);
    return CC_OK;
}

/* A journal that was left behind would be rolled into the restored file, and it may lie outside the data directory. */
static cc_err check_no_store(const char *path)
{
    char name[PATH_MAX];
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        int n = snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        if (n < 0 || (size_t)n >= sizeof name)
            return CC_FAIL(LIMIT, "path too long");
        if (!exists(name))
            continue;
        log_error("a store, or what was left of one, is in the way: move it away",
                  KV_STR("path", name));
        return CC_FAIL(EXISTS, "there is a chamber, or a part of one, already");
    }
    return CC_OK;
}

static cc_err check_no_stores(const struct config *config)
{
    char path[PATH_MAX];
    CC_TRY(key_store_path(config, path));
    CC_TRY(check_no_store(path));
    CC_TRY(history_path(config, path));
    return check_no_store(path);
}

CC_ERR datadir_begin_restore(const struct config *config, const char *chamber_key)
{
    char path[PATH_MAX];
    CC_TRY(check_no_chamber(config));
    CC_TRY(check_no_stores(config));
    CC_TRY(make_directory(config, false));
    CC_TRY(path_in(config, RESTORING, path));
    CC_TRY(file_write_durable(path, span_of("", 0), true));
    cc_err err = copy_key(config, chamber_key);
    if (err.code)
        remove_file(config, RESTORING);
    return err;
}

CC_ERR datadir_end_restore(const struct config *config)
{
    char path[PATH_MAX];
    CC_TRY(path_in(config, RESTORING, path));
    return unlink(path) == 0 ? CC_OK : CC_FAIL(IO, "the mark of an unfinished restore stays");
}

void datadir_undo_restore(const struct config *config)
{
    static const char *const latches[] = {"auth.enforced", "seal.latch"};
    char path[PATH_MAX];
    datadir_unmake(config);
    if (!key_store_path(config, path).code)
        remove_store(path);
    for (size_t i = 0; i < ARRAY_LEN(latches); i++)
        remove_file(config, latches[i]);
    remove_file(config, RESTORING);
}

CC_ERR datadir_check_restored(const struct config *config)
{
    char path[PATH_MAX];
    CC_TRY(path_in(config, RESTORING, path));
    return exists(path) ? CC_FAIL(NOT_INITIALIZED, "a restore was cut short: empty the data "
                                                   "directory, and restore again")
                        : CC_OK;
}

static bool belongs_to_core(const char *name)
{
    static const char *const beginnings[] = {"state.", "history.", IDENTITY};
    for (size_t i = 0; i < ARRAY_LEN(beginnings); i++)
        if (strncmp(name, beginnings[i], strlen(beginnings[i])) == 0)
            return true;
    return false;
}

/* After a restore by root, or a start by another user before, the stores are the core's again. Only plain files with
 * one name: a captured core can't have root give it somebody else's file.
 */
static cc_err give_to_core(const char *directory, bool all)
{
    DIR *dir = opendir(directory);
    if (!dir)
        return CC_FAIL(IO, "opendir");
    cc_err err = CC_OK;
    for (struct dirent *entry = readdir(dir); entry && !err.code; entry = readdir(dir)) {
        if (all ? entry->d_name[0] == '.' : !belongs_to_core(entry->d_name))
            continue;
        CC_CLEANUP(fd_closep)
        int fd = openat(dirfd(dir), entry->d_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1)
            err = CC_FAIL(PERMISSIONS, "a store is not a plain file");
        else if (st.st_uid != privilege_uid(ROOM_CORE) &&
                 fchownat(fd, "", privilege_uid(ROOM_CORE), privilege_uid(ROOM_CORE),
                          AT_EMPTY_PATH) != 0)
            err = CC_FAIL(SYSTEM, "chown of a store");
    }
    (void)closedir(dir);
    return err;
}

CC_ERR datadir_keep_audit(const struct config *config)
{
    char path[PATH_MAX];
    struct stat st;
    CC_TRY(path_in(config, AUDIT, path));
    if (mkdir(path, MODE_PRIVATE) != 0 && errno != EEXIST)
        return CC_FAIL(IO, "the audit log's directory cannot be made");
    if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return CC_FAIL(PERMISSIONS, "the audit log's directory is none");
    if (!privilege_separates())
        return CC_OK;
    if (lchown(path, privilege_uid(ROOM_CORE), privilege_uid(ROOM_CORE)) != 0)
        return CC_FAIL(SYSTEM, "chown of the audit log's directory");
    return give_to_core(path, true);
}

/* The core's user is a stranger to root's closed directories, such as /root itself. */
static cc_err check_reachable(const char *directory)
{
    char path[PATH_MAX];
    if (!realpath(directory, path))
        return CC_FAIL(NOT_INITIALIZED, "the data directory does not exist");
    for (char *slash = strrchr(path, '/'); slash && slash != path; slash = strrchr(path, '/')) {
        struct stat st;
        *slash = 0;
        if (stat(path, &st) == 0 && (st.st_mode & S_IXOTH))
            continue;
        log_error("a directory above the data directory is closed to the core's user",
                  KV_STR("directory", path), KV_NUM("uid", privilege_uid(ROOM_CORE)));
        return CC_FAIL(PERMISSIONS,
                       "chmod o+x, or another data directory, or another user than root");
    }
    return CC_OK;
}

static cc_err check_directory(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return CC_FAIL(NOT_INITIALIZED, "the data directory does not exist");
    if (!S_ISDIR(st.st_mode))
        return CC_FAIL(NOT_INITIALIZED, "the data directory is not a directory");
    if (st.st_uid != geteuid() && !privilege_separates())
        return CC_FAIL(PERMISSIONS,
                       "the data directory belongs to another user: run this as that one");
    bool core_group = privilege_separates() && st.st_gid == privilege_uid(ROOM_CORE);
    if ((st.st_mode & 0007) || ((st.st_mode & 0070) && !core_group))
        return CC_FAIL(PERMISSIONS, "the data directory is open to others: chmod 0700");
    return CC_OK;
}

static cc_err open_key(const struct config *config, int *ret_key_fd)
{
    char path[PATH_MAX];
    CC_TRY(path_in(config, CHAMBER_KEY, path));
    if (!exists(path))
        return CC_FAIL(NOT_INITIALIZED, "there is no chamber.key");
    return chamber_key_open(path, ret_key_fd);
}

static cc_err check_all(const struct config *config, int *ret_key_fd)
{
    CC_TRY(check_no_links(config));
    CC_TRY(check_directory(config->data_dir));
    if (!config_has_root(config))
        CC_TRY(open_key(config, ret_key_fd));
    return privilege_separates() ? check_reachable(config->data_dir) : CC_OK;
}

CC_ERR datadir_check(const struct config *config)
{
    CC_CLEANUP(fd_closep) int key = -1;
    return check_all(config, &key);
}

CC_ERR datadir_open(const struct config *config, int *ret_key_fd)
{
    CC_CLEANUP(fd_closep) int key = -1;
    CC_TRY(check_all(config, &key));
    if (privilege_separates()) {
        CC_TRY(set_directory_mode(config->data_dir));
        CC_TRY(give_to_core(config->data_dir, false));
    }
    CC_TRY(datadir_keep_audit(config));
    *ret_key_fd = key;
    key = -1;
    return CC_OK;
}
