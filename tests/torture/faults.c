/* A disk and a clock that fail, under the unchanged program.
 *
 * Linked into `containment-chamber-torture` beside the program's own objects, it takes the place of a few library
 * functions. It does so only where a file PROGRAM.faults lies beside the program: that is read before a room's locks,
 * stays mapped, and the test that wrote it changes it while the rooms run (struct orders; faults.py).
 *
 *   disk    Below SQLite, what was written and not synced is kept in the process and dies with it: kill -9 is a power
 *           cut. Some sectors reach the disk early, as they may. A full or failing disk is an order.
 *   clock   The wall clock, of the program and of its libraries, is some seconds wrong. The monotonic clock isn't.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct orders {
    int64_t clock_seconds;
    uint32_t disk_full;
    uint32_t disk_fails;
};

enum {
    SECTOR = 512
};

static const volatile struct orders *orders;
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_gettimeofday)(struct timeval *, void *);
static int (*real_open)(const char *, sqlite3 **, int, const char *);

#define LIBRARY __attribute__((visibility("default")))

/* A function pointer is no object pointer in C; POSIX says that this one is. */
static void find(const char *name, void *ret_function)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    memcpy(ret_function, &found, sizeof found);
}

static void find_all(void)
{
    find("clock_gettime", &real_clock_gettime);
    find("gettimeofday", &real_gettimeofday);
    find("sqlite3_open_v2", &real_open);
}

__attribute__((constructor)) static void begin(void)
{
    char path[PATH_MAX];
    find_all();
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - sizeof ".faults");
    if (len <= 0)
        return;
    memcpy(path + len, ".faults", sizeof ".faults");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    const void *page = mmap(NULL, sizeof(struct orders), PROT_READ, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (page != MAP_FAILED)
        orders = page;
}

/* --- the clock -------------------------------------------------------------------------------------- */

LIBRARY int clock_gettime(clockid_t id, struct timespec *ts)
{
    if (!real_clock_gettime)
        find_all();
    int rc = real_clock_gettime(id, ts);
    if (rc == 0 && orders && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        ts->tv_sec += (time_t)orders->clock_seconds;
    return rc;
}

LIBRARY int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    if (!real_gettimeofday)
        find_all();
    int rc = real_gettimeofday(tv, zone);
    if (rc == 0 && orders)
        tv->tv_sec += (time_t)orders->clock_seconds;
    return rc;
}

LIBRARY time_t time(time_t *ret_now)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    if (ret_now)
        *ret_now = ts.tv_sec;
    return ts.tv_sec;
}

/* --- the disk --------------------------------------------------------------------------------------- */

static sqlite3_vfs *real_vfs;

/* A file as the process sees it; `dirty` says of each sector whether the disk has it too. */
struct file {
    sqlite3_file base;
    sqlite3_file *real;
    uint8_t *bytes;
    uint8_t *dirty;
    size_t len, room;
};

static struct file *of(sqlite3_file *file)
{
    return (struct file *)file;
}

static int resize(struct file *f, size_t len)
{
    if (len > f->room) {
        size_t room = (len + (1u << 20)) / SECTOR * SECTOR;
        uint8_t *bytes = realloc(f->bytes, room);
        if (!bytes)
            return SQLITE_NOMEM;
        f->bytes = bytes;
        uint8_t *dirty = realloc(f->dirty, room / SECTOR);
        if (!dirty)
            return SQLITE_NOMEM;
        f->dirty = dirty;
        memset(f->dirty + f->room / SECTOR, 0, (room - f->room) / SECTOR);
        f->room = room;
    }
    if (len > f->len)
        memset(f->bytes + f->len, 0, len - f->len);
    f->len = len;
    return SQLITE_OK;
}

static int write_sector(struct file *f, size_t number)
{
    size_t at = number * SECTOR;
    size_t len = f->len - at < SECTOR ? f->len - at : SECTOR;
    return f->real->pMethods->xWrite(f->real, f->bytes + at, (int)len, (sqlite3_int64)at);
}

static int write_dirty(struct file *f)
{
    int rc = SQLITE_OK;
    for (size_t number = 0; number * SECTOR < f->len && rc == SQLITE_OK; number++) {
        if (!f->dirty[number])
            continue;
        rc = write_sector(f, number);
        f->dirty[number] = rc != SQLITE_OK;
    }
    return rc;
}

static int file_close(sqlite3_file *file)
{
    struct file *f = of(file);
    /* Who closes in peace leaves the rest to the system, which lives on. */
    int rc = write_dirty(f);
    int closed = f->real->pMethods->xClose(f->real);
    sqlite3_free(f->real);
    free(f->bytes);
    free(f->dirty);
    return rc == SQLITE_OK ? closed : rc;
}

static int file_read(sqlite3_file *file, void *into, int amount, sqlite3_int64 offset)
{
    struct file *f = of(file);
    size_t at = (size_t)offset, len = (size_t)amount;
    size_t there = at >= f->len ? 0 : f->len - at < len ? f->len - at : len;
    if (there)
        memcpy(into, f->bytes + at, there);
    if (there == len)
        return SQLITE_OK;
    memset((uint8_t *)into + there, 0, len - there);
    return SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *file, const void *bytes, int amount, sqlite3_int64 offset)
{
    struct file *f = of(file);
    size_t at = (size_t)offset, len = (size_t)amount;
    if (orders->disk_fails)
        return SQLITE_IOERR_WRITE;
    if (at + len > f->len) {
        if (orders->disk_full)
            return SQLITE_FULL;
        if (resize(f, at + len) != SQLITE_OK)
            return SQLITE_NOMEM;
        /* The length is seen at once, by whoever looks for the file. */
        int rc = f->real->pMethods->xTruncate(f->real, (sqlite3_int64)f->len);
        if (rc != SQLITE_OK)
            return rc;
    }
    memcpy(f->bytes + at, bytes, len);
    for (size_t number = at / SECTOR; number * SECTOR < at + len; number++) {
        f->dirty[number] = 1;
        if (random() % 8 == 0 && write_sector(f, number) != SQLITE_OK)
            return SQLITE_IOERR_WRITE;
    }
    return SQLITE_OK;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct file *f = of(file);
    if (orders->disk_fails)
        return SQLITE_IOERR_TRUNCATE;
    int rc = resize(f, (size_t)size);
    return rc == SQLITE_OK ? f->real->pMethods->xTruncate(f->real, size) : rc;
}

static int file_sync(sqlite3_file *file, int flags)
{
    struct file *f = of(file);
    (void)
        flags; /* a process that is killed loses nothing that the system has: no need to wait for the real disk */
    return orders->disk_fails ? SQLITE_IOERR_FSYNC : write_dirty(f);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
    *ret_size = (sqlite3_int64)of(file)->len;
    return SQLITE_OK;
}

static int file_lock(sqlite3_file *file, int level)
{
    return of(file)->real->pMethods->xLock(of(file)->real, level);
}

static int file_unlock(sqlite3_file *file, int level)
{
    return of(file)->real->pMethods->xUnlock(of(file)->real, level);
}

static int file_check_lock(sqlite3_file *file, int *ret_reserved)
{
    return of(file)->real->pMethods->xCheckReservedLock(of(file)->real, ret_reserved);
}

static int file_control(sqlite3_file *file, int op, void *argument)
{
    if (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE)
        return SQLITE_NOTFOUND; /* would change the file behind our back */
    return of(file)->real->pMethods->xFileControl(of(file)->real, op, argument);
}

static int file_sector(sqlite3_file *file)
{
    (void)file;
    return SECTOR;
}

static int file_characteristics(sqlite3_file *file)
{
    (void)file;
    return 0;
}

static const sqlite3_io_methods methods = {
    .iVersion = 1, /* no shared memory: the stores do without */
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

static int fill(struct file *f)
{
    sqlite3_int64 size = 0;
    int rc = f->real->pMethods->xFileSize(f->real, &size);
    if (rc == SQLITE_OK)
        rc = resize(f, (size_t)size);
    if (rc == SQLITE_OK && size)
        rc = f->real->pMethods->xRead(f->real, f->bytes, (int)size, 0);
    return rc;
}

static int
vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    (void)vfs;
    struct file *f = of(file);
    *f = (struct file){.real = sqlite3_malloc(real_vfs->szOsFile)};
    if (!f->real)
        return SQLITE_NOMEM;
    memset(f->real, 0, (size_t)real_vfs->szOsFile);
    int rc = real_vfs->xOpen(real_vfs, name, f->real, flags, ret_flags);
    if (rc == SQLITE_OK)
        rc = fill(f);
    if (rc == SQLITE_OK) {
        f->base.pMethods = &methods;
        return SQLITE_OK;
    }
    if (f->real->pMethods)
        (void)f->real->pMethods->xClose(f->real);
    sqlite3_free(f->real);
    free(f->bytes);
    free(f->dirty);
    return rc;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    (void)vfs;
    return real_vfs->xDelete(real_vfs, name, sync);
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
    (void)vfs;
    return real_vfs->xAccess(real_vfs, name, flags, ret);
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *name, int size, char *ret_path)
{
    (void)vfs;
    return real_vfs->xFullPathname(real_vfs, name, size, ret_path);
}

static bool install(sqlite3_vfs *forgetful)
{
    real_vfs = sqlite3_vfs_find(NULL);
    if (!real_vfs)
        return false;
    *forgetful = *real_vfs;
    forgetful->zName = "forgetful";
    forgetful->szOsFile = (int)sizeof(struct file);
    forgetful->pNext = NULL;
    forgetful->xOpen = vfs_open;
    forgetful->xDelete = vfs_delete;
    forgetful->xAccess = vfs_access;
    forgetful->xFullPathname = vfs_full_path;
    return sqlite3_vfs_register(forgetful, 0) == SQLITE_OK;
}

LIBRARY int sqlite3_open_v2(const char *path, sqlite3 **ret_db, int flags, const char *vfs)
{
    static sqlite3_vfs forgetful;
    if (!orders)
        return real_open(path, ret_db, flags, vfs);
    if (!forgetful.zName && !install(&forgetful))
        return SQLITE_CANTOPEN;
    return real_open(path, ret_db, flags, forgetful.zName);
}
