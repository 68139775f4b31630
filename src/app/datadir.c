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
    MODE_PRIVATE = 0700,
    MODE_SHARED_WITH_CORE = 01770
};

#define CHAMBER_KEY "chamber.key"
#define STATE_STORE "state.sqlite"
#define HISTORY     "history.sqlite"

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
    CC_TRY(path_in(config, STATE_STORE, path));
    bool state = exists(path);
    CC_TRY(history_path(config, path));
    bool history = exists(path);
    bool wanted = config->anti_slashing.backend == HISTORY_SQLITE;
    if (!key && !state && !history)
        *ret_state = DATADIR_EMPTY;
    else
        *ret_state = key && state && (history || !wanted) ? DATADIR_MADE : DATADIR_PARTIAL;
    return CC_OK;
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
static cc_err check_empty(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir)
        return CC_FAIL(IO, "the data directory cannot be read");
    bool empty = true;
    for (struct dirent *entry = readdir(dir); entry && empty; entry = readdir(dir))
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                strcmp(entry->d_name, "lost+found") == 0; /* a disk of its own */
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
    return check_no_link(config->anti_slashing.path);
}

CC_ERR datadir_make(const struct config *config)
{
    enum datadir_state state;
    CC_TRY(check_no_links(config));
    CC_TRY(datadir_state(config, &state));
    if (state != DATADIR_EMPTY)
        return CC_FAIL(EXISTS, "there is a chamber, or a part of one, already");
    if (mkdir(config->data_dir, MODE_PRIVATE) != 0) {
        if (errno != EEXIST)
            return CC_FAIL(IO, "the data directory cannot be made");
        CC_TRY(check_empty(config->data_dir));
    }
    CC_TRY(set_directory_mode(config->data_dir));
    char path[PATH_MAX];
    CC_TRY(path_in(config, CHAMBER_KEY, path));
    return chamber_key_create(path);
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
    char path[PATH_MAX];
    if (!history_path(config, path).code)
        remove_store(path);
    if (!path_in(config, STATE_STORE, path).code)
        remove_store(path);
    if (!path_in(config, CHAMBER_KEY, path).code)
        (void)unlink(path);
}

static bool belongs_to_core(const char *name)
{
    return strncmp(name, STATE_STORE, strlen(STATE_STORE)) == 0 ||
           strncmp(name, HISTORY, strlen(HISTORY)) == 0;
}

/* After a restore by root, or a start by another user before, the stores are the core's again. Only plain files with
 * one name: a captured core can't have root give it somebody else's file.
 */
static cc_err give_to_core(const char *directory)
{
    DIR *dir = opendir(directory);
    if (!dir)
        return CC_FAIL(IO, "opendir");
    cc_err err = CC_OK;
    for (struct dirent *entry = readdir(dir); entry && !err.code; entry = readdir(dir)) {
        if (!belongs_to_core(entry->d_name))
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
        return CC_FAIL(PERMISSIONS, "the data directory belongs to another user");
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

CC_ERR datadir_open(const struct config *config, int *ret_key_fd)
{
    CC_CLEANUP(fd_closep) int key = -1;
    CC_TRY(check_no_links(config));
    CC_TRY(check_directory(config->data_dir));
    CC_TRY(open_key(config, &key));
    if (privilege_separates()) {
        CC_TRY(check_reachable(config->data_dir));
        CC_TRY(set_directory_mode(config->data_dir));
        CC_TRY(give_to_core(config->data_dir));
    }
    *ret_key_fd = key;
    key = -1;
    return CC_OK;
}
