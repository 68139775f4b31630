#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"

#include "slash/sqlite_history.h"

static const struct slash_store_ops sqlite_ops;

struct sqlite_history *sqlite_history_of(struct slash_store *store)
{
    cc_assert(store->ops == &sqlite_ops);
    return (struct sqlite_history *)store;
}

static void sqlite_history_free(struct sqlite_history *h)
{
    if (!h)
        return;
    /* The connection first: its locks must be gone before another process may come. */
    sqlite_db_close(&h->db);
    fd_closep(&h->lock_fd);
    slash_index_release(&h->index);
    cc_free(h->records.blocks);
    cc_free(h->records.attestations);
    cc_free(h->path);
    cc_free(h);
}

static void sqlite_history_freep(struct sqlite_history **h)
{
    sqlite_history_free(*h);
}

static void sqlite_close(struct slash_store *store)
{
    struct sqlite_history *h = sqlite_history_of(store);
    /* Leaves a short log behind for the next start. It may fail: the log is durable by itself. */
    if (!h->stale) {
        cc_err err = sqlite_db_checkpoint(&h->db, true);
        (void)err;
    }
    sqlite_history_free(h);
}

static const struct slash_store_ops sqlite_ops = {
    .name = "sqlite",
    .check_and_record = sqlite_check_and_record,
    .register_keys = sqlite_register_keys,
    .set_enabled = sqlite_set_enabled,
    .merge = sqlite_merge,
    .visit = sqlite_visit,
    .prune = sqlite_prune,
    .maintain = sqlite_maintain,
    .status = sqlite_status,
    .fix_genesis = sqlite_fix_genesis,
    .set_high = sqlite_set_high,
    .set_ceiling = sqlite_set_ceiling,
    .raise_all = sqlite_raise_all,
    .merge_many = sqlite_merge_many,
    .visit_after = sqlite_visit_after,
    .close = sqlite_close,
};

/* By path only: a descriptor of the database file would take SQLite's locks with it when closed (T10). */
static cc_err check_file(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return CC_FAIL(STORE, "stat");
    if (!S_ISREG(st.st_mode))
        return CC_FAIL(FILESYSTEM, "the history is not a regular file");
    if (st.st_size == 0)
        return CC_FAIL(HISTORY_MISSING, "the file is empty");
    if ((st.st_mode & 077) && chmod(path, 0600) != 0)
        return CC_FAIL(FILESYSTEM, "the history can be read by others");
    return CC_OK;
}

CC_ERR slash_sqlite_open(const char *path,
                         bool production,
                         struct slash_store **ret_store,
                         int *ret_holder_pid)
{
    *ret_holder_pid = 0;
    CC_CLEANUP(sqlite_history_freep) struct sqlite_history *h = cc_alloc(sizeof *h);
    if (!h)
        return CC_FAIL(NO_MEMORY, "history");
    h->lock_fd = -1;
    h->base.ops = &sqlite_ops;
    h->production = production;
    slash_index_init(&h->index);
    h->path = realpath(path, NULL);
    if (!h->path)
        return errno == ENOENT || errno == ENOTDIR ? CC_FAIL(HISTORY_MISSING, "no such file")
                                                   : CC_FAIL(STORE, "realpath");
    CC_TRY(check_file(h->path));
    if (production)
        CC_TRY(sqlite_filesystem_check(h->path));
    CC_TRY(sqlite_lock_take(h->path, &h->lock_fd, ret_holder_pid));
    CC_TRY(sqlite_history_load(h));
    *ret_store = &h->base;
    h = NULL;
    return CC_OK;
}
