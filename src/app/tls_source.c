#include "app/tls_source.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"

static const char env_prefix[] = "env:";
static const char file_prefix[] = "file:";

static const char *const options[TLS_FILE_END] = {
    [TLS_CERTIFICATE] = "tls.file.cert_path",
    [TLS_KEY] = "tls.file.key_path",
    [TLS_PKCS12] = "tls.file.pkcs12_path",
    [TLS_PASSWORD] = "tls.file.password",
    [TLS_CLIENT_CA] = "tls.file.client_ca_path",
    [TLS_KNOWN_CLIENTS] = "tls.file.known_clients_path",
};

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The path of a file that is configured; NULL for none, and for a password in the environment. */
static const char *path_of(const struct tls_source *source, enum tls_file file)
{
    const struct tls_config *config = source->config;
    const char *const paths[TLS_FILE_END] = {
        [TLS_CERTIFICATE] = config->cert_path,
        [TLS_KEY] = config->key_path,
        [TLS_PKCS12] = config->pkcs12_path,
        [TLS_PASSWORD] =
            begins(config->password, file_prefix) ? config->password + strlen(file_prefix) : "",
        [TLS_CLIENT_CA] = config->client_ca_path,
        [TLS_KNOWN_CLIENTS] = config->known_clients_path,
    };
    return paths[file][0] ? paths[file] : NULL;
}

static struct tls_stamp stamp_of(const struct stat *st)
{
    return (struct tls_stamp){(uint64_t)st->st_dev, (uint64_t)st->st_ino, (uint64_t)st->st_size,
                              st->st_mtim.tv_sec,   st->st_mtim.tv_nsec,  st->st_ctim.tv_sec,
                              st->st_ctim.tv_nsec};
}

static bool stamps_equal(const struct tls_stamp *a, const struct tls_stamp *b)
{
    return span_equal(span_of(a, sizeof *a), span_of(b, sizeof *b));
}

/* --- one file into the memfd ------------------------------------------------------------------------------------------ */

static cc_err copy_all(int from, int to, size_t len)
{
    while (len) {
        ssize_t n = sendfile(to, from, NULL, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return CC_FAIL(CONFIG, "can't be read");
        if (n == 0)
            return CC_FAIL(CONFIG, "has become shorter while it was read");
        len -= (size_t)n;
    }
    return CC_OK;
}

static cc_err copy_file(struct tls_source *source, enum tls_file file, int to, uint32_t *ret_len)
{
    const char *path = path_of(source, file);
    CC_CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return CC_FAIL(CONFIG, "can't be opened");
    source->stamps[file] = stamp_of(&st);
    if (!S_ISREG(st.st_mode))
        return CC_FAIL(CONFIG, "is not a file");
    if (st.st_size > TLS_FILE_MAX)
        return CC_FAIL(CONFIG, "is longer than 1 MiB");
    bool secret = file == TLS_KEY || file == TLS_PKCS12 || file == TLS_PASSWORD;
    if (secret && (st.st_mode & (S_IROTH | S_IWOTH)))
        log_warn("a secret file of TLS can be read or changed by others, going on",
                 KV_STR("option", options[file]), KV_STR("path", path));
    CC_TRY(copy_all(fd, to, (size_t)st.st_size));
    *ret_len = (uint32_t)st.st_size;
    return CC_OK;
}

static cc_err copy_variable(const struct tls_source *source, int to, uint32_t *ret_len)
{
    const char *name = source->config->password + strlen(env_prefix);
    size_t len = strlen(name);
    for (char *const *at = source->environment; len && at && *at; at++) {
        if (strncmp(*at, name, len) != 0 || (*at)[len] != '=')
            continue;
        const char *value = *at + len + 1;
        *ret_len = (uint32_t)strnlen(value, TLS_FILE_MAX);
        return fd_write_all(to, value, *ret_len);
    }
    return CC_FAIL(CONFIG, "names a variable that is not set");
}

/* A file that can't be read is seen as changed once it can. */
static cc_err copy_one(struct tls_source *source, enum tls_file file, int to, uint32_t *ret_len)
{
    cc_err err = CC_OK;
    *ret_len = TLS_FILE_NONE;
    source->stamps[file] = (struct tls_stamp){0};
    if (path_of(source, file))
        err = copy_file(source, file, to, ret_len);
    else if (file == TLS_PASSWORD && source->config->password[0])
        err = copy_variable(source, to, ret_len);
    if (err.code) {
        const char *path = path_of(source, file);
        log_error("a file of TLS can't be used", KV_STR("option", options[file]),
                  KV_STR("path", path ? path : source->config->password), KV_ERR(err));
    }
    return err;
}

/* All of them are tried, so that each is looked at again when it changes, and all faults are told. */
static cc_err copy_everything(struct tls_source *source, int to)
{
    struct tls_files_head head = {TLS_FILES_MAGIC, (uint32_t)source->config->client_auth, {0}};
    cc_err first = fd_write_all(to, &head, sizeof head);
    for (int i = 0; i < TLS_FILE_END; i++) {
        cc_err err = copy_one(source, (enum tls_file)i, to, &head.lengths[i]);
        first = first.code ? first : err;
    }
    CC_TRY(first);
    return pwrite(to, &head, sizeof head, 0) == (ssize_t)sizeof head
               ? CC_OK
               : CC_FAIL(SYSTEM, "the memory file of TLS");
}

/* --- reading --------------------------------------------------------------------------------------------------------- */

static void plan(struct tls_source *source)
{
    uint64_t interval_ms = (uint64_t)source->config->reload_interval_seconds * 1000;
    source->due_ms = interval_ms ? clock_mono_ms() + interval_ms : 0;
}

CC_ERR tls_source_read(struct tls_source *source)
{
    CC_CLEANUP(fd_closep) int fd = memfd_create("tls", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    plan(source);
    if (fd < 0)
        return CC_FAIL(SYSTEM, "memfd_create");
    CC_TRY(copy_everything(source, fd));
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
        return CC_FAIL(SYSTEM, "sealing the files of TLS");
    if (source->newest != source->taken)
        fd_closep(&source->newest);
    source->newest = fd;
    source->newest_generation++;
    fd = -1;
    return CC_OK;
}

CC_ERR tls_source_open(struct tls_source *source,
                       const struct tls_config *config,
                       char *const *environment)
{
    *source = (struct tls_source){.newest = -1, .taken = -1, .environment = environment};
    if (config->mode != TLS_FILES)
        return CC_OK;
    source->config = config;
    return tls_source_read(source);
}

void tls_source_close(struct tls_source *source)
{
    if (source->newest != source->taken)
        fd_closep(&source->newest);
    fd_closep(&source->taken);
    source->newest = -1;
    source->config = NULL;
}

bool tls_source_has_changed(struct tls_source *source, uint64_t now_ms)
{
    if (!source->config || source->due_ms == 0 || now_ms < source->due_ms)
        return false;
    plan(source);
    for (int i = 0; i < TLS_FILE_END; i++) {
        const char *path = path_of(source, (enum tls_file)i);
        struct tls_stamp stamp = {0};
        struct stat st;
        if (path && stat(path, &st) == 0)
            stamp = stamp_of(&st);
        if (!stamps_equal(&stamp, &source->stamps[i]))
            return true;
    }
    return false;
}

void tls_source_taken(struct tls_source *source, uint64_t generation)
{
    if (!source->config || generation != source->newest_generation ||
        generation == source->taken_generation)
        return;
    if (source->taken != source->newest)
        fd_closep(&source->taken);
    source->taken = source->newest;
    source->taken_generation = generation;
}
