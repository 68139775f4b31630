#include "keys/filesystem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/num.h"

#include "codec/utf8.h"
#include "secret/wipe.h"
#include "wire/door_key.h"

_Static_assert(sizeof(((struct password *)0)->bytes) == K_PASSWORD_MAX, "what the vault takes");

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool ends_with(const char *name, const char *ending)
{
    size_t n = strlen(name);
    size_t e = strlen(ending);
    return n > e && span_is(span_of(name + n - e, e), ending);
}

enum key_file_kind key_file_kind(const char *name)
{
    if (name[0] == '.')
        return KEY_FILE_NONE;
    if (ends_with(name, ".yaml") || ends_with(name, ".yml"))
        return KEY_FILE_YAML;
    return ends_with(name, ".json") ? KEY_FILE_JSON : KEY_FILE_NONE;
}

/* --- listing ----------------------------------------------------------------------------------------- */

static cc_err add(struct key_files *files, const char *path, enum key_file_kind kind)
{
    if (files->count >= KEY_FILES_MAX)
        return CC_FAIL(LIMIT, "too many key files");
    struct key_file *items =
        cc_grow_array(files->items, files->count, &files->capacity, sizeof *items);
    if (!items)
        return CC_FAIL(NO_MEMORY, "list of key files");
    files->items = items;
    char *copy = cc_strdup(path);
    if (!copy)
        return CC_FAIL(NO_MEMORY, "path");
    files->items[files->count++] = (struct key_file){copy, kind};
    return CC_OK;
}

static void swap(struct key_file *a, struct key_file *b)
{
    struct key_file kept = *a;
    *a = *b;
    *b = kept;
}

static void sift_down(struct key_file *items, size_t root, size_t count)
{
    for (;;) {
        size_t child = 2 * root + 1;
        if (child >= count)
            return;
        if (child + 1 < count && strcmp(items[child].path, items[child + 1].path) < 0)
            child++;
        if (strcmp(items[root].path, items[child].path) >= 0)
            return;
        swap(&items[root], &items[child]);
        root = child;
    }
}

/* A heap sort of our own: qsort() asks the system for its memory size, which the locked room may not. */
static void sort(struct key_file *items, size_t count)
{
    for (size_t i = count / 2; i-- > 0;)
        sift_down(items, i, count);
    for (size_t end = count; end > 1; end--) {
        swap(&items[0], &items[end - 1]);
        sift_down(items, 0, end - 1);
    }
}

static cc_err join(const char *directory, const char *name, char ret_path[static KEY_PATH_MAX])
{
    size_t n = strlen(directory);
    const char *slash = n && directory[n - 1] == '/' ? "" : "/";
    int len = snprintf(ret_path, KEY_PATH_MAX, "%s%s%s", directory, slash, name);
    return len < 0 || len >= KEY_PATH_MAX ? CC_FAIL(LIMIT, "path too long") : CC_OK;
}

static void closedirp(DIR **directory)
{
    if (*directory)
        (void)closedir(*directory);
}

static cc_err open_failed(void)
{
    switch (errno) {
    case ENOENT:
        return CC_FAIL(IO, "no such file or directory");
    case EACCES:
    case EPERM:
        return CC_FAIL(IO, "permission denied, or outside the configured directories");
    case ELOOP:
        return CC_FAIL(IO, "too many symbolic links");
    case EMFILE:
    case ENFILE:
        return CC_FAIL(IO, "out of file descriptors");
    default:
        return CC_FAIL(IO, "cannot be opened");
    }
}

static cc_err list(struct key_files *files, DIR *directory, const char *path)
{
    char child[KEY_PATH_MAX];
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (!entry)
            return errno ? CC_FAIL(IO, "the directory cannot be read to its end") : CC_OK;
        enum key_file_kind kind = key_file_kind(entry->d_name);
        if (kind == KEY_FILE_NONE)
            continue;
        CC_TRY(join(path, entry->d_name, child));
        CC_TRY(add(files, child, kind));
    }
}

CC_ERR key_files_scan(struct key_files *files, const char *path)
{
    size_t before = files->count;
    CC_CLEANUP(closedirp) DIR *directory = opendir(path);
    if (!directory) {
        enum key_file_kind kind = key_file_kind(base_name(path));
        if (errno == ENOTDIR && kind != KEY_FILE_NONE)
            return add(files, path, kind);
        return errno == ENOTDIR ? CC_FAIL(KEY_FILE, "neither a directory nor .yaml, .yml or .json")
                                : open_failed();
    }
    cc_err err = list(files, directory, path);
    if (files->items)
        sort(files->items + before, files->count - before);
    return err;
}

void key_files_release(struct key_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        cc_free(files->items[i].path);
    cc_free(files->items);
    *files = (struct key_files){0};
}

/* --- reading ----------------------------------------------------------------------------------------- */

static struct eth_pubkey identity_of(const struct stat *st)
{
    struct eth_pubkey id = {{0}};
    u64_store_be(id.bytes, st->st_dev);
    u64_store_be(id.bytes + 8, st->st_ino);
    return id;
}

static cc_err
open_file(const char *path, int *ret_fd, struct stat *ret_st, struct key_file_facts *ret_facts)
{
    *ret_facts = (struct key_file_facts){0};
    /* Not blocking: opening a FIFO would wait for its writer. */
    CC_CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, ret_st) != 0) {
        ret_facts->missing = fd < 0 && (errno == ENOENT || errno == ENOTDIR);
        return open_failed();
    }
    if (!S_ISREG(ret_st->st_mode))
        return CC_FAIL(KEY_FILE, "not a regular file");
    ret_facts->opened = true;
    ret_facts->identity = identity_of(ret_st);
    ret_facts->open_to_others = (ret_st->st_mode & (S_IRWXG | S_IRWXO)) != 0;
    *ret_fd = fd;
    fd = -1;
    return CC_OK;
}

CC_ERR key_file_look(const char *path, struct key_file_facts *ret_facts)
{
    CC_CLEANUP(fd_closep) int fd = -1;
    struct stat st;
    return open_file(path, &fd, &st, ret_facts);
}

CC_ERR key_file_read(const char *path,
                     bool strict,
                     struct buf *ret_content,
                     struct key_file_facts *ret_facts)
{
    CC_CLEANUP(fd_closep) int fd = -1;
    struct stat st;
    CC_TRY(open_file(path, &fd, &st, ret_facts));
    if (strict && ret_facts->open_to_others)
        return CC_FAIL(KEY_FILE_MODE, "strict_permissions: chmod go= it");
    if (st.st_size < 0 || (uint64_t)st.st_size > ret_content->max)
        return CC_FAIL(KEY_FILE, "larger than allowed");
    cc_err err = fd_read_all(fd, ret_content);
    /* It grew meanwhile. */
    return error_is(err, ERROR_LIMIT) ? CC_FAIL(KEY_FILE, "larger than allowed") : err;
}

static struct span first_line(struct span text)
{
    size_t len = 0;
    while (len < text.len && text.data[len] != '\n' && text.data[len] != '\r')
        len++;
    return span_of(text.data, len);
}

static bool is_blank(struct span line)
{
    for (size_t i = 0; i < line.len; i++)
        if (line.data[i] != ' ' && line.data[i] != '\t')
            return false;
    return true;
}

CC_ERR key_password_read(const char *path,
                         bool strict,
                         struct password *ret_password,
                         struct key_file_facts *ret_facts)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(PASSWORD_FILE_MAX);
    cc_err err = key_file_read(path, strict, &text, ret_facts);
    if (error_is(err, ERROR_IO) && ret_facts->missing)
        return CC_FAIL(PASSWORD_FILE, "there is no password file");
    CC_TRY(err);
    struct span line = first_line(buf_span(&text));
    if (is_blank(line))
        return CC_FAIL(PASSWORD_FILE, "the password file's first line is blank");
    return utf8_password(line, ret_password->bytes, sizeof ret_password->bytes, &ret_password->len);
}

/* --- names ------------------------------------------------------------------------------------------- */

CC_ERR key_path_beside(const char *file, const char *name, char ret_path[static KEY_PATH_MAX])
{
    size_t directory = (size_t)(base_name(file) - file);
    if (name[0] == '/')
        directory = 0;
    size_t len = strlen(name);
    if (directory + len >= KEY_PATH_MAX)
        return CC_FAIL(LIMIT, "path too long");
    memcpy(ret_path, file, directory);
    memcpy(ret_path + directory, name, len + 1);
    return CC_OK;
}

CC_ERR key_path_of_password(const char *file,
                            const char *directory,
                            const char *suffix,
                            char ret_path[static KEY_PATH_MAX])
{
    char name[KEY_PATH_MAX];
    const char *base = base_name(file);
    const char *dot = strrchr(base, '.');
    int stem = (int)(dot ? dot - base : (ptrdiff_t)strlen(base));
    int len = snprintf(name, sizeof name, "%.*s%s", stem, base, suffix);
    if (len < 0 || len >= (int)sizeof name)
        return CC_FAIL(LIMIT, "path too long");
    return directory ? join(directory, name, ret_path) : key_path_beside(file, name, ret_path);
}
