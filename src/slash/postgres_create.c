#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/num.h"

#include "codec/hex.h"
#include "slash/postgres_history.h"
#include "sql/postgres_make.h"

static const struct postgres_table tables[] = {
#define D(name, sql) {#name, sql},
#include "slash/postgres_schema.def"
#undef D
};

static void close_db(struct postgres_db *db)
{
    postgres_db_close(db);
}

static cc_err connect_db(const char *url, struct postgres_db *ret_db)
{
    CC_TRY(postgres_db_connect(ret_db, url, POSTGRES_HOST_PATIENCE_MS));
    postgres_db_patience(ret_db, POSTGRES_WORK_PATIENCE_MS);
    return CC_OK;
}

static cc_err
ask_is(struct postgres_db *db, const char *sql, const char *const *params, bool *ret_is)
{
    char value[8];
    CC_TRY(postgres_db_ask(db, sql, params, value, sizeof value));
    *ret_is = value[0] == 't';
    return CC_OK;
}

static cc_err check_version(struct postgres_db *db)
{
    char version[16];
    CC_TRY(postgres_db_ask(db, "SELECT version FROM database_version WHERE id = 1", NULL, version,
                           sizeof version));
    return strcmp(version, "12") == 0
               ? CC_OK
               : CC_FAIL(IDENTITY,
                         "database_version is not 12: let Web3Signer's migrations run first");
}

/* What a signer needs: no right to make tables, to change a record, or to remove one but by pruning and by an import that
 * contradicts what is there.
 */
static const struct postgres_making making = {
    .tables = tables,
    .count = ARRAY_LEN(tables),
    .grant =
        "GRANT SELECT, INSERT, DELETE ON signed_blocks, signed_attestations,"
        " containment_heads TO %1$I;"
        " GRANT SELECT, INSERT, UPDATE ON validators, low_watermarks, metadata, containment_history,"
        " containment_ceiling TO %1$I;"
        " GRANT UPDATE ON containment_heads TO %1$I; GRANT SELECT ON database_version TO %1$I;"
        " GRANT USAGE ON SEQUENCE validators_id_seq, signed_blocks_id_seq, signed_attestations_id_seq TO %1$I;"
        " GRANT USAGE ON SCHEMA %2$I TO %1$I",
    .check = check_version,
};

CC_ERR slash_postgres_migrate(const char *url, const char *grant_to)
{
    CC_CLEANUP(close_db) struct postgres_db db = {.schema = &postgres_history_schema};
    CC_TRY(connect_db(url, &db));
    return postgres_make(&db, &making, grant_to);
}

CC_ERR slash_postgres_has_tables(const char *url)
{
    CC_CLEANUP(close_db) struct postgres_db db = {.schema = &postgres_history_schema};
    CC_TRY(connect_db(url, &db));
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        bool is_there = false;
        CC_TRY(postgres_has_table(&db, &tables[i], &is_there));
        if (is_there)
            continue;
        log_error(
            "the history's tables are not all there, and anti_slashing.auto_migrate is off: let "
            "`containment-chamber slashing migrate` make them first",
            KV_STR("missing", tables[i].name));
        return CC_FAIL(HISTORY_MISSING, "run `slashing migrate` first");
    }
    return CC_OK;
}

/* --- init ---------------------------------------------------------------------------------------------------------------- */

/* A vote whose source is later than its target, or earlier than the source of one with an earlier target: with such records
 * "the newest row decides" would not hold.
 */
static cc_err check_adopted(struct postgres_db *db)
{
    bool broken = false;
    CC_TRY(ask_is(
        db,
        "SELECT EXISTS (SELECT 1 FROM (SELECT source_epoch, target_epoch, lag(source_epoch) OVER"
        " (PARTITION BY validator_id ORDER BY target_epoch) AS before FROM signed_attestations) a"
        " WHERE source_epoch > target_epoch OR source_epoch < before)",
        NULL, &broken));
    return broken
               ? CC_FAIL(
                     TAMPERED,
                     "the records that are there surround one another: export them, and import them "
                     "into a new database")
               : CC_OK;
}

static cc_err look_at_genesis(struct postgres_db *db, struct slash_postgres_found *ret_found)
{
    char digits[80];
    CC_TRY(postgres_db_ask(
        db, "SELECT encode(genesis_validators_root, 'hex') FROM metadata WHERE id = 1", NULL,
        digits, sizeof digits));
    ret_found->has_genesis_validators_root = digits[0] != 0;
    return digits[0] ? hex_decode(span_str(digits), ret_found->genesis_validators_root.bytes, 32)
                     : CC_OK;
}

/* A Web3Signer disables the rows of keys that are gone at its reload. */
static cc_err look_at_disabled(struct postgres_db *db, struct slash_postgres_found *ret_found)
{
    char count[24];
    CC_TRY(postgres_db_ask(db, "SELECT count(*) FROM validators WHERE NOT enabled", NULL, count,
                           sizeof count));
    CC_TRY(u64_parse(span_str(count), &ret_found->disabled));
    return postgres_db_ask(
        db,
        "SELECT string_agg('0x' || encode(public_key, 'hex'), ' ' ORDER BY id) FROM (SELECT id, "
        "public_key FROM validators WHERE NOT enabled ORDER BY id LIMIT 20) AS disabled",
        NULL, ret_found->disabled_keys, sizeof ret_found->disabled_keys);
}

CC_ERR slash_postgres_look(const char *url, struct slash_postgres_found *ret_found)
{
    CC_CLEANUP(close_db) struct postgres_db db = {.schema = &postgres_history_schema};
    char count[24];
    *ret_found = (struct slash_postgres_found){0};
    CC_TRY(connect_db(url, &db));
    CC_TRY(check_version(&db));
    CC_TRY(ask_is(&db, "SELECT to_regclass('containment_history') IS NOT NULL", NULL,
                  &ret_found->has_identity));
    if (ret_found->has_identity)
        CC_TRY(ask_is(&db, "SELECT EXISTS (SELECT 1 FROM containment_history)", NULL,
                      &ret_found->has_identity));
    CC_TRY(check_adopted(&db));
    CC_TRY(look_at_genesis(&db, ret_found));
    CC_TRY(look_at_disabled(&db, ret_found));
    CC_TRY(postgres_db_ask(&db, "SELECT count(*) FROM validators", NULL, count, sizeof count));
    return u64_parse(span_str(count), &ret_found->validators);
}

static cc_err check_genesis(struct postgres_db *db, const struct slash_identity *identity)
{
    char digits[65] = {0}, found[80];
    if (!identity->has_genesis_validators_root)
        return CC_OK;
    hex_encode(identity->genesis_validators_root.bytes, 32, digits);
    const char *const params[] = {digits, NULL};
    CC_TRY(postgres_db_ask(
        db,
        "INSERT INTO metadata (id, genesis_validators_root) VALUES (1, decode($1::text, 'hex'))"
        " ON CONFLICT (id) DO NOTHING",
        params, NULL, 0));
    CC_TRY(postgres_db_ask(
        db, "SELECT encode(genesis_validators_root, 'hex') FROM metadata WHERE id = 1", NULL, found,
        sizeof found));
    return strcmp(found, digits) == 0
               ? CC_OK
               : CC_FAIL(IDENTITY, "the database belongs to another network");
}

static cc_err write_identity(struct postgres_db *db, const struct slash_identity *identity)
{
    char history[65] = {0}, chamber[65] = {0}, proof[65] = {0};
    hex_encode(identity->history_id, 32, history);
    hex_encode(identity->chamber_id, 32, chamber);
    hex_encode(identity->proof, 32, proof);
    const char *const params[] = {history, chamber, proof, NULL};
    return postgres_db_ask(
        db,
        "INSERT INTO containment_history SELECT 1, 1, decode($1::text, 'hex'),"
        " decode($2::text, 'hex'), decode($3::text, 'hex'), system_identifier::text,"
        " left(pg_walfile_name(pg_current_wal_insert_lsn()), 8), NULL, NULL FROM pg_control_system()",
        params, NULL, 0);
}

static cc_err
create(struct postgres_db *db, const struct slash_identity *identity, uint64_t *ret_adopted)
{
    bool taken = false;
    char count[24];
    CC_TRY(postgres_make_begin(db, &making));
    CC_TRY(ask_is(db, "SELECT EXISTS (SELECT 1 FROM containment_history)", NULL, &taken));
    if (taken)
        return CC_FAIL(EXISTS, "the database has a history already: init never replaces anything");
    CC_TRY(check_adopted(db));
    CC_TRY(check_genesis(db, identity));
    CC_TRY(write_identity(db, identity));
    CC_TRY(postgres_db_ask(db, "SELECT count(*) FROM validators", NULL, count, sizeof count));
    CC_TRY(u64_parse(span_str(count), ret_adopted));
    return postgres_make_commit(db);
}

CC_ERR
slash_postgres_create(const char *url, const struct slash_identity *identity, uint64_t *ret_adopted)
{
    CC_CLEANUP(close_db) struct postgres_db db = {.schema = &postgres_history_schema};
    CC_TRY(connect_db(url, &db));
    return create(&db, identity, ret_adopted);
}

void slash_postgres_forget(const char *url, const struct slash_identity *identity)
{
    CC_CLEANUP(close_db) struct postgres_db db = {.schema = &postgres_history_schema};
    char history[65] = {0};
    hex_encode(identity->history_id, 32, history);
    const char *const params[] = {history, NULL};
    cc_err err = connect_db(url, &db);
    if (!err.code)
        err = postgres_db_ask(
            &db,
            "DELETE FROM containment_history WHERE history_id = decode($1::text, 'hex')"
            " AND NOT EXISTS (SELECT 1 FROM containment_heads)",
            params, NULL, 0);
    if (err.code)
        log_warn("the database still has this history's identity", KV_ERR(err));
}
