#include "slash/sqlite_history.h"

CC_ERR sqlite_write_low(struct sqlite_history *h, const struct slash_key *key)
{
    sqlite3_stmt *s;
    CC_TRY(sqlite_db_statement(&h->db, STATEMENT_SET_LOW, &s));
    sqlite_bind_row(s, 1, key->row);
    if (key->low.has_slot)
        sqlite_bind_u64(s, 2, key->low.slot);
    if (key->low.has_epochs) {
        sqlite_bind_u64(s, 3, key->low.source);
        sqlite_bind_u64(s, 4, key->low.target);
    }
    return sqlite_db_run(s);
}

CC_ERR sqlite_add_key(struct sqlite_history *h,
                      const struct eth_pubkey *pubkey,
                      bool enabled,
                      struct slash_key **ret_key)
{
    sqlite3_stmt *s;
    CC_TRY(sqlite_db_statement(&h->db, STATEMENT_ADD_VALIDATOR, &s));
    sqlite_bind_bytes(s, 1, pubkey->bytes, sizeof pubkey->bytes);
    sqlite_bind_row(s, 2, enabled);
    CC_TRY(sqlite_db_run(s));
    CC_TRY(slash_index_add(&h->index, pubkey, sqlite3_last_insert_rowid(h->db.handle), ret_key));
    (*ret_key)->enabled = enabled;
    return CC_OK;
}

static cc_err add_missing(struct sqlite_history *h,
                          const struct eth_pubkey *keys,
                          size_t n,
                          const struct slash_watermark *floor)
{
    struct slash_key *key;
    for (size_t i = 0; i < n; i++) {
        if (slash_index_find(&h->index, &keys[i]))
            continue;
        CC_TRY(sqlite_add_key(h, &keys[i], true, &key));
        if (!floor)
            continue;
        key->low = *floor;
        CC_TRY(sqlite_write_low(h, key));
    }
    return CC_OK;
}

cc_err sqlite_register_keys(struct slash_store *store,
                            const struct eth_pubkey *keys,
                            size_t n,
                            const struct slash_watermark *floor)
{
    struct sqlite_history *h = sqlite_history_of(store);
    CC_TRY(sqlite_history_ready(h));
    size_t missing = 0;
    for (size_t i = 0; i < n; i++)
        missing += slash_index_find(&h->index, &keys[i]) == NULL;
    if (missing == 0)
        return CC_OK;
    cc_err err = sqlite_db_begin(&h->db);
    if (!err.code)
        err = sqlite_db_end(&h->db, add_missing(h, keys, n, floor));
    if (!err.code)
        store->rows_made = missing;
    return sqlite_history_done(h, err);
}

static cc_err update_enabled(struct sqlite_history *h, const struct slash_key *key, bool enabled)
{
    sqlite3_stmt *s;
    CC_TRY(sqlite_db_statement(&h->db, STATEMENT_SET_ENABLED, &s));
    sqlite_bind_row(s, 1, key->row);
    sqlite_bind_row(s, 2, enabled);
    return sqlite_db_run(s);
}

cc_err sqlite_set_enabled(struct slash_store *store, const struct eth_pubkey *pubkey, bool enabled)
{
    struct sqlite_history *h = sqlite_history_of(store);
    CC_TRY(sqlite_history_ready(h));
    struct slash_key *key = slash_index_find(&h->index, pubkey);
    if (!key)
        return CC_FAIL(KEY_UNKNOWN, "no protection row");
    cc_err err = sqlite_db_begin(&h->db);
    if (!err.code)
        err = sqlite_db_end(&h->db, update_enabled(h, key, enabled));
    if (!err.code)
        key->enabled = enabled;
    return sqlite_history_done(h, err);
}

cc_err sqlite_status(struct slash_store *store, struct slash_status *ret_status)
{
    struct sqlite_history *h = sqlite_history_of(store);
    CC_TRY(sqlite_history_ready(h));
    struct slash_status status = {.validators = h->index.count,
                                  .high = h->high,
                                  .has_ceiling = h->has_ceiling,
                                  .ceiling = h->ceiling};
    for (uint64_t at = h->index.first; at < h->index.next; at++) {
        const struct slash_tail_record *record = slash_index_tail(&h->index, at);
        if (slash_index_is_folded(&h->index, at, record->row))
            continue;
        status.blocks += record->kind == SLASH_CLAIM_BLOCK;
        status.attestations += record->kind == SLASH_CLAIM_ATTESTATION;
    }
    sqlite3_stmt *s;
    bool row = false;
    cc_err err = sqlite_db_statement(&h->db, STATEMENT_COUNT_RECORDS, &s);
    if (!err.code)
        err = sqlite_db_row(s, &row);
    if (err.code)
        return sqlite_history_done(h, err);
    status.blocks += (uint64_t)sqlite3_column_int64(s, 0);
    status.attestations += (uint64_t)sqlite3_column_int64(s, 1);
    (void)sqlite3_reset(s);
    *ret_status = status;
    return CC_OK;
}

static cc_err update_genesis(struct sqlite_history *h, const struct eth_root *root)
{
    sqlite3_stmt *s;
    CC_TRY(sqlite_db_statement(&h->db, STATEMENT_SET_GENESIS, &s));
    sqlite_bind_bytes(s, 1, root->bytes, sizeof root->bytes);
    return sqlite_db_run(s);
}

cc_err sqlite_fix_genesis(struct slash_store *store, const struct eth_root *root)
{
    struct sqlite_history *h = sqlite_history_of(store);
    CC_TRY(sqlite_history_ready(h));
    struct slash_identity fixed = h->base.identity;
    CC_TRY(slash_identity_fix_genesis(&fixed, root));
    if (h->base.identity.has_genesis_validators_root)
        return CC_OK;
    cc_err err = sqlite_db_begin(&h->db);
    if (!err.code)
        err = sqlite_db_end(&h->db, update_genesis(h, root));
    if (!err.code)
        h->base.identity = fixed;
    return sqlite_history_done(h, err);
}

static cc_err update_high(struct sqlite_history *h, const struct slash_high *high)
{
    sqlite3_stmt *s;
    CC_TRY(sqlite_db_statement(&h->db, STATEMENT_SET_HIGH, &s));
    if (high->set) {
        sqlite_bind_u64(s, 1, high->slot);
        sqlite_bind_u64(s, 2, high->epoch);
    }
    return sqlite_db_run(s);
}

cc_err sqlite_set_high(struct slash_store *store, const struct slash_high *high)
{
    struct sqlite_history *h = sqlite_history_of(store);
    CC_TRY(sqlite_history_ready(h));
    cc_err err = sqlite_db_begin(&h->db);
    if (!err.code)
        err = sqlite_db_end(&h->db, update_high(h, high));
    if (!err.code)
        h->high = *high;
    return sqlite_history_done(h, err);
}

static cc_err update_ceiling(struct sqlite_history *h, uint64_t epoch)
{
    sqlite3_stmt *s;
    CC_TRY(sqlite_db_statement(&h->db, STATEMENT_SET_CEILING, &s));
    sqlite_bind_u64(s, 1, epoch);
    return sqlite_db_run(s);
}

cc_err sqlite_set_ceiling(struct slash_store *store, uint64_t epoch)
{
    struct sqlite_history *h = sqlite_history_of(store);
    CC_TRY(sqlite_history_ready(h));
    if (h->has_ceiling && epoch <= h->ceiling)
        return CC_OK;
    cc_err err = sqlite_db_begin(&h->db);
    if (!err.code)
        err = sqlite_db_end(&h->db, update_ceiling(h, epoch));
    if (!err.code) {
        h->has_ceiling = true;
        h->ceiling = epoch;
    }
    return sqlite_history_done(h, err);
}

/* An error leaves the index stale, and it is read again. */
static cc_err raise_keys(struct sqlite_history *h, const struct slash_watermark *floor)
{
    for (size_t i = 0; i < h->index.count; i++)
        if (slash_watermark_raise(&h->index.keys[i].low, floor))
            CC_TRY(sqlite_write_low(h, &h->index.keys[i]));
    return CC_OK;
}

cc_err sqlite_raise_all(struct slash_store *store,
                        const struct slash_watermark *floor,
                        uint64_t *ret_count)
{
    struct sqlite_history *h = sqlite_history_of(store);
    CC_TRY(sqlite_history_ready(h));
    cc_err err = sqlite_db_begin(&h->db);
    if (!err.code)
        err = sqlite_db_end(&h->db, raise_keys(h, floor));
    *ret_count = h->index.count;
    return sqlite_history_done(h, err);
}
