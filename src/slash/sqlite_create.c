#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

#include "slash/sqlite_history.h"

/* docs/formats.md explains it. Numbers are uint64 less 2^63. */
static const char schema[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE history ("
    "  id INTEGER PRIMARY KEY CHECK (id = 1),"
    "  format INTEGER NOT NULL,"
    "  history_id BLOB NOT NULL CHECK (length(history_id) = 32),"
    "  chamber_id BLOB NOT NULL CHECK (length(chamber_id) = 32),"
    "  proof BLOB NOT NULL CHECK (length(proof) = 32),"
    "  genesis_validators_root BLOB CHECK (length(genesis_validators_root) = 32),"
    "  high_slot INTEGER,"
    "  high_epoch INTEGER,"
    "  CHECK ((high_slot IS NULL) = (high_epoch IS NULL))"
    ") STRICT;"
    "CREATE TABLE validators ("
    "  id INTEGER PRIMARY KEY,"
    "  pubkey BLOB NOT NULL UNIQUE CHECK (length(pubkey) = 48),"
    "  enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),"
    "  low_slot INTEGER,"
    "  low_source INTEGER,"
    "  low_target INTEGER,"
    "  CHECK ((low_source IS NULL) = (low_target IS NULL))"
    ") STRICT;"
    "CREATE TABLE blocks ("
    "  validator INTEGER NOT NULL,"
    "  slot INTEGER NOT NULL,"
    "  root BLOB CHECK (length(root) = 32),"
    "  PRIMARY KEY (validator, slot)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE attestations ("
    "  validator INTEGER NOT NULL,"
    "  target INTEGER NOT NULL,"
    "  source INTEGER NOT NULL,"
    "  root BLOB CHECK (length(root) = 32),"
    "  PRIMARY KEY (validator, target)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE tail ("
    "  id INTEGER PRIMARY KEY,"
    "  validator INTEGER NOT NULL,"
    "  slot INTEGER,"
    "  source INTEGER,"
    "  target INTEGER,"
    "  root BLOB NOT NULL CHECK (length(root) = 32),"
    "  CHECK ((slot IS NULL) = (target IS NOT NULL) AND (source IS NULL) = (target IS NULL))"
    ") STRICT;" SQLITE_FOLD_TABLE SQLITE_CEILING_TABLE;

static cc_err insert_identity(struct sqlite_db *db, const struct slash_identity *identity)
{
    sqlite3_stmt *s;
    CC_TRY(sqlite_db_statement(db, STATEMENT_ADD_HISTORY, &s));
    sqlite_bind_row(s, 1, SQLITE_HISTORY_FORMAT);
    sqlite_bind_bytes(s, 2, identity->history_id, sizeof identity->history_id);
    sqlite_bind_bytes(s, 3, identity->chamber_id, sizeof identity->chamber_id);
    sqlite_bind_bytes(s, 4, identity->proof, sizeof identity->proof);
    if (identity->has_genesis_validators_root)
        sqlite_bind_bytes(s, 5, identity->genesis_validators_root.bytes,
                          sizeof identity->genesis_validators_root.bytes);
    return sqlite_db_run(s);
}

static cc_err fill(struct sqlite_db *db, const struct slash_identity *identity)
{
    char header[96];
    (void)snprintf(header, sizeof header,
                   "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT;",
                   SQLITE_HISTORY_APPLICATION, SQLITE_HISTORY_FORMAT);
    CC_TRY(sqlite_db_exec(db, schema));
    CC_TRY(insert_identity(db, identity));
    CC_TRY(sqlite_db_exec(db, header));
    return sqlite_db_checkpoint(db, true);
}

static cc_err build(const char *path, const struct slash_identity *identity)
{
    struct sqlite_db db;
    CC_TRY(sqlite_db_connect(&db, path));
    cc_err err = fill(&db, identity);
    sqlite_db_close(&db);
    return err;
}

struct paths {
    char directory[PATH_MAX];
    char final[PATH_MAX + NAME_MAX + 2];
    char draft[PATH_MAX + NAME_MAX + 8];
    char leftover[PATH_MAX + NAME_MAX + 16];
};

static cc_err name_paths(struct paths *p, const char *path)
{
    char copy[PATH_MAX];
    if (strlen(path) >= sizeof copy)
        return CC_FAIL(FILESYSTEM, "path too long");
    memcpy(copy, path, strlen(path) + 1);
    char *slash = strrchr(copy, '/');
    const char *base = slash ? slash + 1 : copy;
    if (*base == 0 || strlen(base) > NAME_MAX - 16)
        return CC_FAIL(FILESYSTEM, "not a file name");
    if (slash)
        *slash = 0;
    const char *directory = !slash ? "." : copy[0] ? copy : "/";
    if (!realpath(directory, p->directory))
        return CC_FAIL(STORE, "the directory of the history can't be found");
    (void)snprintf(p->final, sizeof p->final, "%s/%s", p->directory, base);
    (void)snprintf(p->draft, sizeof p->draft, "%s.new", p->final);
    return CC_OK;
}

static void remove_draft(struct paths *p)
{
    static const char *const suffixes[] = {"", "-wal", "-journal", "-shm"};
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        (void)snprintf(p->leftover, sizeof p->leftover, "%s%s", p->draft, suffixes[i]);
        (void)unlink(p->leftover);
    }
}

static cc_err sync_directory(const char *directory)
{
    CC_CLEANUP(fd_closep) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        return CC_FAIL(STORE, "fsync of the directory");
    return CC_OK;
}

/* Built beside its place and linked into it: a crash leaves no half history behind, and what is there already is
 * never replaced. mknod() makes the file with its mode and without a descriptor.
 */
CC_ERR slash_sqlite_create(const char *path, bool production, const struct slash_identity *identity)
{
    struct paths p;
    CC_TRY(name_paths(&p, path));
    if (production)
        CC_TRY(sqlite_filesystem_check(p.directory));
    struct stat st;
    if (lstat(p.final, &st) == 0)
        return CC_FAIL(EXISTS, "a history");
    CC_CLEANUP(fd_closep) int lock_fd = -1;
    int holder = 0;
    CC_TRY(sqlite_lock_take(p.final, &lock_fd, &holder));
    remove_draft(&p);
    if (mknod(p.draft, S_IFREG | 0600, 0) != 0)
        return CC_FAIL(STORE, "the history can't be made here");
    cc_err err = build(p.draft, identity);
    if (!err.code && link(p.draft, p.final) != 0)
        err = errno == EEXIST ? CC_FAIL(EXISTS, "a history") : CC_FAIL(STORE, "link");
    remove_draft(&p);
    CC_TRY(err);
    return sync_directory(p.directory);
}
