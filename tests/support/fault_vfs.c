#include "support/fault_vfs.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    FILES_MAX = 64,
    SECTOR = 512
};

/* One write that the disk may still forget; truncations have no bytes. */
struct pending {
    bool truncate;
    sqlite3_int64 offset;
    size_t len;
    uint8_t *bytes;
};

struct shadow {
    char path[512];
    bool exists; /* durably */
    uint8_t *durable;
    size_t durable_len;
    struct pending *pending;
    size_t pending_count;
};

struct fault_file {
    sqlite3_file base;
    struct shadow *shadow;
    sqlite3_file *real;
};

enum operation {
    OP_OPEN,
    OP_READ,
    OP_WRITE,
    OP_TRUNCATE,
    OP_SYNC,
    OP_SIZE,
    OP_DELETE
};

static sqlite3_vfs *real_vfs;
static struct fault_plan plan;
static uint64_t counted;
static struct shadow shadows[FILES_MAX];
static size_t shadow_count;

static uint64_t dice(void)
{
    uint64_t z = plan.seed += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

/* --- what the disk remembers --------------------------------------------------------------------- */

static struct shadow *shadow_of(const char *path)
{
    for (size_t i = 0; i < shadow_count; i++)
        if (strcmp(shadows[i].path, path) == 0)
            return &shadows[i];
    if (shadow_count == FILES_MAX)
        abort();
    struct shadow *s = &shadows[shadow_count++];
    (void)snprintf(s->path, sizeof s->path, "%s", path);
    /* What is there before we look is taken for durable. */
    FILE *f = fopen(path, "rb");
    if (f) {
        s->exists = true;
        (void)fseek(f, 0, SEEK_END);
        s->durable_len = (size_t)ftell(f);
        rewind(f);
        s->durable = must(malloc(s->durable_len + 1));
        if (fread(s->durable, 1, s->durable_len, f) != s->durable_len)
            abort();
        (void)fclose(f);
    }
    return s;
}

static void resize(struct shadow *s, size_t len)
{
    s->durable = must(realloc(s->durable, len + 1));
    if (len > s->durable_len)
        memset(s->durable + s->durable_len, 0, len - s->durable_len);
    s->durable_len = len;
}

static void apply(struct shadow *s, const struct pending *p)
{
    if (p->truncate) {
        resize(s, (size_t)p->offset);
        return;
    }
    if ((size_t)p->offset + p->len > s->durable_len)
        resize(s, (size_t)p->offset + p->len);
    memcpy(s->durable + p->offset, p->bytes, p->len);
}

static void apply_torn(struct shadow *s, const struct pending *p)
{
    if (p->truncate) {
        if (dice() % 2)
            apply(s, p);
        return;
    }
    for (size_t at = 0; at < p->len; at += SECTOR) {
        if (dice() % 2)
            continue;
        struct pending piece = *p;
        piece.offset += (sqlite3_int64)at;
        piece.bytes += at;
        piece.len = p->len - at < SECTOR ? p->len - at : SECTOR;
        apply(s, &piece);
    }
}

static void forget_pending(struct shadow *s)
{
    for (size_t i = 0; i < s->pending_count; i++)
        free(s->pending[i].bytes);
    s->pending_count = 0;
}

static void
remember(struct shadow *s, bool truncate, sqlite3_int64 offset, const void *bytes, int len)
{
    s->pending = must(realloc(s->pending, (s->pending_count + 1) * sizeof *s->pending));
    struct pending *p = &s->pending[s->pending_count++];
    *p = (struct pending){.truncate = truncate, .offset = offset, .len = (size_t)len};
    p->bytes = must(malloc((size_t)len + 1));
    if (len)
        memcpy(p->bytes, bytes, (size_t)len);
}

static void put_back(struct shadow *s)
{
    for (size_t i = 0; i < s->pending_count; i++) {
        if (plan.survivors == SURVIVE_ALL)
            apply(s, &s->pending[i]);
        else if (plan.survivors == SURVIVE_TORN)
            apply_torn(s, &s->pending[i]);
    }
    bool exists = s->exists || (plan.survivors != SURVIVE_NOTHING && s->pending_count);
    if (!exists) {
        (void)unlink(s->path);
        return;
    }
    int fd = open(s->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, s->durable, s->durable_len) != (ssize_t)s->durable_len)
        abort();
    (void)close(fd);
}

void fault_vfs_cut(void)
{
    for (size_t i = 0; i < shadow_count; i++)
        put_back(&shadows[i]);
    _exit(FAULT_EXIT);
}

void fault_vfs_trust_disk(void)
{
    for (size_t i = 0; i < shadow_count; i++) {
        forget_pending(&shadows[i]);
        free(shadows[i].pending);
        free(shadows[i].durable);
        shadows[i] = (struct shadow){0};
    }
    shadow_count = 0;
}

/* --- the plan --------------------------------------------------------------------------------------- */

static bool changes_disk(enum operation op)
{
    return op == OP_WRITE || op == OP_TRUNCATE || op == OP_SYNC || op == OP_DELETE;
}

/* True when `op` must fail now. */
static bool strike(enum operation op)
{
    bool ends = plan.kind == FAULT_KILL || plan.kind == FAULT_POWER_CUT;
    if (plan.kind == FAULT_NONE || (ends && !changes_disk(op)) ||
        (plan.disk_full && op != OP_WRITE))
        return false;
    counted++;
    if (counted < plan.at)
        return false;
    if (plan.kind == FAULT_KILL)
        _exit(FAULT_EXIT);
    if (plan.kind == FAULT_POWER_CUT)
        fault_vfs_cut();
    return plan.kind == FAULT_FROM || counted == plan.at;
}

void fault_vfs_plan(struct fault_plan new_plan)
{
    plan = new_plan;
    counted = 0;
}

uint64_t fault_vfs_count(void)
{
    return counted;
}

/* --- the file ---------------------------------------------------------------------------------------- */

static struct fault_file *of(sqlite3_file *file)
{
    return (struct fault_file *)file;
}

static int file_close(sqlite3_file *file)
{
    struct fault_file *f = of(file);
    int rc = f->real->pMethods ? f->real->pMethods->xClose(f->real) : SQLITE_OK;
    sqlite3_free(f->real);
    f->real = NULL;
    return rc;
}

static int file_read(sqlite3_file *file, void *into, int len, sqlite3_int64 offset)
{
    if (strike(OP_READ))
        return SQLITE_IOERR_READ;
    sqlite3_file *real = of(file)->real;
    return real->pMethods->xRead(real, into, len, offset);
}

static int file_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 offset)
{
    struct fault_file *f = of(file);
    if (strike(OP_WRITE)) {
        /* A full disk takes what fits. */
        if (len > 16) {
            (void)f->real->pMethods->xWrite(f->real, bytes, len / 2, offset);
            remember(f->shadow, false, offset, bytes, len / 2);
        }
        return plan.disk_full ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    }
    int rc = f->real->pMethods->xWrite(f->real, bytes, len, offset);
    if (rc == SQLITE_OK)
        remember(f->shadow, false, offset, bytes, len);
    return rc;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct fault_file *f = of(file);
    if (strike(OP_TRUNCATE))
        return SQLITE_IOERR_TRUNCATE;
    int rc = f->real->pMethods->xTruncate(f->real, size);
    if (rc == SQLITE_OK)
        remember(f->shadow, true, size, NULL, 0);
    return rc;
}

static int file_sync(sqlite3_file *file, int flags)
{
    struct fault_file *f = of(file);
    (void)flags;
    if (strike(OP_SYNC)) {
        forget_pending(f->shadow);
        return SQLITE_IOERR_FSYNC;
    }
    /* The real disk need not work for it. */
    for (size_t i = 0; i < f->shadow->pending_count; i++)
        apply(f->shadow, &f->shadow->pending[i]);
    forget_pending(f->shadow);
    f->shadow->exists = true;
    return SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
    if (strike(OP_SIZE))
        return SQLITE_IOERR_FSTAT;
    sqlite3_file *real = of(file)->real;
    return real->pMethods->xFileSize(real, ret_size);
}

static int file_lock(sqlite3_file *file, int level)
{
    sqlite3_file *real = of(file)->real;
    return real->pMethods->xLock(real, level);
}

static int file_unlock(sqlite3_file *file, int level)
{
    sqlite3_file *real = of(file)->real;
    return real->pMethods->xUnlock(real, level);
}

static int file_check_lock(sqlite3_file *file, int *ret_reserved)
{
    sqlite3_file *real = of(file)->real;
    return real->pMethods->xCheckReservedLock(real, ret_reserved);
}

static int file_control(sqlite3_file *file, int op, void *argument)
{
    sqlite3_file *real = of(file)->real;
    if (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE)
        return SQLITE_NOTFOUND; /* would change the file behind our back */
    return real->pMethods->xFileControl(real, op, argument);
}

static int file_sector(sqlite3_file *file)
{
    (void)file;
    return SECTOR;
}

static int file_characteristics(sqlite3_file *file)
{
    sqlite3_file *real = of(file)->real;
    return real->pMethods->xDeviceCharacteristics(real);
}

static const sqlite3_io_methods methods = {
    .iVersion = 1, /* no shared memory: the store must do without */
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_characteristics,
};

/* --- the VFS ------------------------------------------------------------------------------------------- */

static int
vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    (void)vfs;
    struct fault_file *f = of(file);
    *f = (struct fault_file){0};
    if (strike(OP_OPEN))
        return SQLITE_CANTOPEN;
    if (!name)
        return SQLITE_CANTOPEN; /* temporary files: none are expected */
    f->shadow = shadow_of(name);
    f->real = sqlite3_malloc(real_vfs->szOsFile);
    if (!f->real)
        return SQLITE_NOMEM;
    memset(f->real, 0, (size_t)real_vfs->szOsFile);
    int rc = real_vfs->xOpen(real_vfs, name, f->real, flags, ret_flags);
    if (rc != SQLITE_OK) {
        if (f->real->pMethods)
            (void)f->real->pMethods->xClose(f->real);
        sqlite3_free(f->real);
        return rc;
    }
    f->base.pMethods = &methods;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    (void)vfs;
    if (strike(OP_DELETE))
        return SQLITE_IOERR_DELETE;
    int rc = real_vfs->xDelete(real_vfs, name, sync);
    if (rc == SQLITE_OK) {
        struct shadow *s = shadow_of(name);
        forget_pending(s);
        resize(s, 0);
        s->exists = false;
    }
    return rc;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
    (void)vfs;
    return real_vfs->xAccess(real_vfs, name, flags, ret);
}

static int vfs_full(sqlite3_vfs *vfs, const char *name, int len, char *ret)
{
    (void)vfs;
    return real_vfs->xFullPathname(real_vfs, name, len, ret);
}

static int vfs_randomness(sqlite3_vfs *vfs, int len, char *ret)
{
    (void)vfs;
    return real_vfs->xRandomness(real_vfs, len, ret);
}

static int vfs_sleep(sqlite3_vfs *vfs, int us)
{
    (void)vfs;
    return real_vfs->xSleep(real_vfs, us);
}

static int vfs_time(sqlite3_vfs *vfs, double *ret)
{
    (void)vfs;
    return real_vfs->xCurrentTime(real_vfs, ret);
}

static int vfs_last_error(sqlite3_vfs *vfs, int len, char *text)
{
    (void)vfs;
    return real_vfs->xGetLastError(real_vfs, len, text);
}

static sqlite3_vfs fault_vfs = {
    .iVersion = 1,
    .szOsFile = sizeof(struct fault_file),
    .zName = "fault",
    .xOpen = vfs_open,
    .xDelete = vfs_delete,
    .xAccess = vfs_access,
    .xFullPathname = vfs_full,
    .xRandomness = vfs_randomness,
    .xSleep = vfs_sleep,
    .xCurrentTime = vfs_time,
    .xGetLastError = vfs_last_error,
};

void fault_vfs_install(void)
{
    real_vfs = sqlite3_vfs_find("unix");
    if (!real_vfs)
        abort();
    fault_vfs.mxPathname = real_vfs->mxPathname;
    if (sqlite3_vfs_register(&fault_vfs, 1) != SQLITE_OK)
        abort();
}

/* --- memory --------------------------------------------------------------------------------------------- */

static sqlite3_mem_methods real_memory;
static uint64_t memory_count, memory_fail_at;

static bool memory_fails(void)
{
    memory_count++;
    return memory_fail_at && memory_count == memory_fail_at;
}

static void *memory_malloc(int size)
{
    return memory_fails() ? NULL : real_memory.xMalloc(size);
}

static void *memory_realloc(void *old, int size)
{
    return memory_fails() ? NULL : real_memory.xRealloc(old, size);
}

void fault_memory_install(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory);
    sqlite3_mem_methods ours = real_memory;
    ours.xMalloc = memory_malloc;
    ours.xRealloc = memory_realloc;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &ours) != SQLITE_OK)
        abort();
}

uint64_t fault_memory_fail_nth(uint64_t nth)
{
    uint64_t count = memory_count;
    memory_count = 0;
    memory_fail_at = nth;
    return count;
}
