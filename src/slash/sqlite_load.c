#include <string.h>
#include <sys/stat.h>

#include "base/num.h"

#include "slash/sqlite_history.h"

/* Our files, and no later format: user_version and application_id stand in the file's header. */
static cc_err check_header(struct sqlite_db *db)
{
    static const struct {
        const char *sql;
        int expected;
    } wanted[] = {
        {"PRAGMA application_id", SQLITE_HISTORY_APPLICATION},
        {"PRAGMA user_version", SQLITE_HISTORY_FORMAT},
    };
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        sqlite3_stmt *s = NULL;
        int rc = sqlite3_prepare_v2(db->handle, wanted[i].sql, -1, &s, NULL);
        int value = 0;
        if (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
            value = sqlite3_column_int(s, 0);
            rc = SQLITE_OK;
        }
        (void)sqlite3_finalize(s);
        if (rc != SQLITE_OK)
            return sqlite_db_error(rc);
        if (i == 1 && value > wanted[i].expected)
            return CC_FAIL(IDENTITY, "a later release has written it: start that one");
        if (value != wanted[i].expected)
            return CC_FAIL(IDENTITY, "the file is no history of this version");
    }
    return CC_OK;
}

/* SQLite takes what is missing of the last page for zeros. Only to be asked when the log is folded in: until then a
 * crash may have left the file like that, and the log has the whole page.
 */
static cc_err check_whole_pages(struct sqlite_history *h)
{
    struct stat st;
    sqlite3_stmt *s = NULL;
    int64_t size = 0;
    int rc = sqlite3_prepare_v2(h->db.handle, "PRAGMA page_size", -1, &s, NULL);
    if (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        size = sqlite3_column_int64(s, 0);
        rc = SQLITE_OK;
    }
    (void)sqlite3_finalize(s);
    if (rc != SQLITE_OK)
        return sqlite_db_error(rc);
    if (size <= 0 || stat(h->path, &st) != 0)
        return CC_FAIL(STORE, "the history can't be measured");
    return st.st_size % size == 0 ? CC_OK : CC_FAIL(TAMPERED, "the end of the history was cut off");
}

static cc_err read_high(sqlite3_stmt *s, struct slash_high *ret_high)
{
    struct slash_high high = {.set = !sqlite_column_null(s, 5)};
    if (high.set) {
        CC_TRY(sqlite_column_u64(s, 5, &high.slot));
        CC_TRY(sqlite_column_u64(s, 6, &high.epoch));
    }
    *ret_high = high;
    return CC_OK;
}

static cc_err read_identity_row(sqlite3_stmt *s, struct slash_identity *ret_identity)
{
    struct slash_identity id = {.has_genesis_validators_root = !sqlite_column_null(s, 4)};
    CC_TRY(sqlite_column_bytes(s, 1, id.history_id, sizeof id.history_id));
    CC_TRY(sqlite_column_bytes(s, 2, id.chamber_id, sizeof id.chamber_id));
    CC_TRY(sqlite_column_bytes(s, 3, id.proof, sizeof id.proof));
    if (id.has_genesis_validators_root)
        CC_TRY(sqlite_column_bytes(s, 4, id.genesis_validators_root.bytes,
                                   sizeof id.genesis_validators_root.bytes));
    *ret_identity = id;
    return CC_OK;
}

static cc_err load_identity(struct sqlite_history *h)
{
    CC_TRY(check_header(&h->db));
    sqlite3_stmt *s;
    CC_TRY(sqlite_db_statement(&h->db, STATEMENT_HISTORY, &s));
    bool row;
    CC_TRY(sqlite_db_row(s, &row));
    if (!row)
        return CC_FAIL(IDENTITY, "the history has no identity");
    cc_err err = CC_OK;
    if (sqlite3_column_int(s, 0) != SQLITE_HISTORY_FORMAT)
        err = CC_FAIL(IDENTITY, "the file is no history of this version");
    if (!err.code)
        err = read_identity_row(s, &h->base.identity);
    if (!err.code)
        err = read_high(s, &h->high);
    (void)sqlite3_reset(s);
    return err;
}

static cc_err load_ceiling(struct sqlite_history *h)
{
    sqlite3_stmt *s;
    CC_TRY(sqlite_db_exec(&h->db, SQLITE_CEILING_TABLE));
    CC_TRY(sqlite_db_statement(&h->db, STATEMENT_CEILING, &s));
    CC_TRY(sqlite_db_row(s, &h->has_ceiling));
    cc_err err = h->has_ceiling ? sqlite_column_u64(s, 0, &h->ceiling) : CC_OK;
    (void)sqlite3_reset(s);
    return err;
}

static cc_err load_low(sqlite3_stmt *s, struct slash_watermark *low)
{
    low->has_slot = !sqlite_column_null(s, 3);
    low->has_epochs = !sqlite_column_null(s, 4);
    if (low->has_slot)
        CC_TRY(sqlite_column_u64(s, 3, &low->slot));
    if (low->has_epochs) {
        CC_TRY(sqlite_column_u64(s, 4, &low->source));
        CC_TRY(sqlite_column_u64(s, 5, &low->target));
    }
    return CC_OK;
}

static cc_err load_validators(struct sqlite_history *h)
{
    sqlite3_stmt *s;
    CC_TRY(sqlite_db_statement(&h->db, STATEMENT_VALIDATORS, &s));
    for (;;) {
        bool row;
        CC_TRY(sqlite_db_row(s, &row));
        if (!row)
            return CC_OK;
        struct eth_pubkey pubkey;
        struct slash_key *key;
        CC_TRY(sqlite_column_bytes(s, 1, pubkey.bytes, sizeof pubkey.bytes));
        CC_TRY(slash_index_add(&h->index, &pubkey, sqlite3_column_int64(s, 0), &key));
        key->enabled = sqlite3_column_int(s, 2) == 1;
        CC_TRY(load_low(s, &key->low));
    }
}

CC_ERR sqlite_load_newest(struct sqlite_history *h, struct slash_key *key)
{
    sqlite3_stmt *s;
    bool row;
    CC_TRY(sqlite_db_statement(&h->db, STATEMENT_NEWEST_BLOCK, &s));
    sqlite_bind_row(s, 1, key->row);
    CC_TRY(sqlite_db_row(s, &row));
    if (row) {
        struct slash_block block;
        CC_TRY(sqlite_column_u64(s, 0, &block.slot));
        CC_TRY(sqlite_column_root(s, 1, &block.has_root, &block.root));
        slash_key_saw_block(key, &block);
    }
    (void)sqlite3_reset(s);
    CC_TRY(sqlite_db_statement(&h->db, STATEMENT_NEWEST_ATTESTATION, &s));
    sqlite_bind_row(s, 1, key->row);
    CC_TRY(sqlite_db_row(s, &row));
    if (row) {
        struct slash_attestation a;
        CC_TRY(sqlite_column_u64(s, 0, &a.source));
        CC_TRY(sqlite_column_u64(s, 1, &a.target));
        CC_TRY(sqlite_column_root(s, 2, &a.has_root, &a.root));
        slash_key_saw_attestation(key, &a);
    }
    (void)sqlite3_reset(s);
    return CC_OK;
}

/* A pass that was under way goes on where it was. */
static cc_err load_fold(struct sqlite_history *h)
{
    sqlite3_stmt *s;
    bool row = false;
    CC_TRY(sqlite_db_exec(&h->db, SQLITE_FOLD_TABLE));
    CC_TRY(sqlite_db_statement(&h->db, STATEMENT_FOLD, &s));
    CC_TRY(sqlite_db_row(s, &row));
    h->index.fold_below = row ? (uint64_t)sqlite3_column_int64(s, 0) : 0;
    h->index.fold_row = row ? sqlite3_column_int64(s, 1) : 0;
    (void)sqlite3_reset(s);
    return CC_OK;
}

static cc_err load_tail_row(struct sqlite_history *h, sqlite3_stmt *s)
{
    uint64_t number = (uint64_t)sqlite3_column_int64(s, 0);
    if (h->index.first == h->index.next)
        h->index.first = h->index.next = number;
    if (number != h->index.next || number == 0)
        return CC_FAIL(TAMPERED, "the tail has a gap");
    struct slash_key *key = slash_index_find_row(&h->index, sqlite3_column_int64(s, 1));
    if (!key)
        return CC_FAIL(TAMPERED, "a record has no validator");
    CC_TRY(slash_index_reserve(&h->index, 1));
    if (slash_index_is_folded(&h->index, number, key->row)) {
        slash_index_append_folded(&h->index, key->row);
        return CC_OK;
    }
    if (!sqlite_column_null(s, 2)) {
        struct slash_block block;
        CC_TRY(sqlite_column_u64(s, 2, &block.slot));
        CC_TRY(sqlite_column_root(s, 5, &block.has_root, &block.root));
        slash_index_append_block(&h->index, key, &block);
        return CC_OK;
    }
    struct slash_attestation a;
    CC_TRY(sqlite_column_u64(s, 3, &a.source));
    CC_TRY(sqlite_column_u64(s, 4, &a.target));
    CC_TRY(sqlite_column_root(s, 5, &a.has_root, &a.root));
    slash_index_append_attestation(&h->index, key, &a);
    return CC_OK;
}

static cc_err load_tail(struct sqlite_history *h)
{
    sqlite3_stmt *s;
    CC_TRY(load_fold(h));
    CC_TRY(sqlite_db_statement(&h->db, STATEMENT_TAIL, &s));
    for (bool row = true;;) {
        CC_TRY(sqlite_db_row(s, &row));
        if (!row)
            break;
        CC_TRY(load_tail_row(h, s));
    }
    /* A pass is about records that are there. */
    uint64_t below = h->index.fold_below;
    bool right = below == 0 || (below > h->index.first && below <= h->index.next);
    return right ? CC_OK : CC_FAIL(TAMPERED, "the tail ends before what was folded of it");
}

CC_ERR sqlite_history_load(struct sqlite_history *h)
{
    CC_TRY(sqlite_db_connect(&h->db, h->path));
    /* What a killed process, or a failed sync, left in the log can be read here and yet not be on the disk. It
     * is made durable before anybody's repeat is answered from it.
     */
    CC_TRY(sqlite_db_checkpoint(&h->db, true));
    CC_TRY(check_whole_pages(h));
    CC_TRY(load_identity(h));
    CC_TRY(load_ceiling(h));
    CC_TRY(load_validators(h));
    for (size_t i = 0; i < h->index.count; i++)
        CC_TRY(sqlite_load_newest(h, &h->index.keys[i]));
    CC_TRY(load_tail(h));
    return sqlite_files_remember(h);
}

/* A log that was removed is still open, and holds what the database does not have yet. */
static cc_err save_lost_log(struct sqlite_history *h)
{
    bool lost = false;
    CC_TRY(sqlite_files_log_in_place(h, &lost));
    if (!lost)
        return CC_OK;
    if (!h->db.handle)
        return CC_FAIL(STORE, "the write-ahead log is gone");
    CC_TRY(sqlite_db_checkpoint(&h->db, true));
    h->log = (struct sqlite_file){0};
    h->stale = true;
    return CC_OK;
}

/* The same file again: an older copy of it has the same identity. */
static cc_err reload(struct sqlite_history *h)
{
    const struct slash_identity identity = h->base.identity;
    const struct sqlite_file database = h->database;
    const struct sqlite_file log = h->log;
    sqlite_db_close(&h->db);
    slash_index_release(&h->index);
    slash_index_init(&h->index);
    h->prune_at = 0;
    cc_err err = sqlite_history_load(h);
    if (!err.code && memcmp(identity.history_id, h->base.identity.history_id, 32) != 0)
        err = CC_FAIL(IDENTITY, "the history was replaced by another one");
    if (!err.code && (database.device != h->database.device || database.inode != h->database.inode))
        err = CC_FAIL(STORE, "the history was replaced while it was opened again");
    if (err.code) {
        h->base.identity = identity;
        h->database = database;
        h->log = log;
    }
    return err;
}

CC_ERR sqlite_history_ready(struct sqlite_history *h)
{
    CC_TRY(sqlite_files_database_in_place(h));
    cc_err whole = sqlite_files_log_whole(h);
    if (whole.code) {
        h->stale = true; /* also no checkpoint at the end: it would copy half of it */
        return whole;
    }
    CC_TRY(save_lost_log(h));
    if (!h->stale)
        return CC_OK;
    cc_err err = reload(h);
    h->stale = err.code != 0;
    return err;
}

cc_err sqlite_history_done(struct sqlite_history *h, cc_err err)
{
    if (err.code)
        h->stale = true;
    return err;
}
