#include "support/slash_kit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"

#include "slash/dynamodb.h"
#include "slash/guard_inside.h"
#include "slash/postgres_history.h"
#include "slash/sqlite_history.h"
#include "support/aws_server.h"
#include "support/dynamodb_table.h"
#include "support/fault_vfs.h"
#include "support/postgres_server.h"
#include "support/test.h"

struct chance chance_new(const char *test)
{
    const char *given = getenv("CC_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : clock_wall_ms();
    print_message("%s: CC_SEED=%llu\n", test, (unsigned long long)seed);
    return (struct chance){seed};
}

uint64_t chance_u64(struct chance *c)
{
    uint64_t z = c->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t chance_below(struct chance *c, uint64_t n)
{
    return chance_u64(c) % n;
}

static cc_err sqlite_make(const char *path, const struct slash_identity *identity)
{
    return slash_sqlite_create(path, false, identity);
}

static cc_err sqlite_open_store(const char *path, struct slash_store **ret_store)
{
    int pid;
    return slash_sqlite_open(path, false, ret_store, &pid);
}

/* Folds some of the tail, which a short test would never make long enough. */
static void sqlite_disturb(struct slash_store *store, struct chance *chance)
{
    struct sqlite_history *h = sqlite_history_of(store);
    if (chance_below(chance, 4) == 0)
        assert_int_equal(sqlite_fold(h, chance_below(chance, 12)).code, 0);
}

static cc_err memory_make(const char *path, const struct slash_identity *identity)
{
    (void)path;
    (void)identity;
    return CC_OK;
}

static cc_err memory_open_store(const char *path, struct slash_store **ret_store)
{
    (void)path;
    static const struct slash_identity nobody;
    return slash_memory_open(&nobody, ret_store);
}

/* The path of a PostgreSQL history is a URL, made when the history is. */
static cc_err postgres_make(const char *path, const struct slash_identity *identity)
{
    uint64_t adopted = 0;
    return slash_postgres_create(path, identity, &adopted);
}

static cc_err postgres_open_store(const char *path, struct slash_store **ret_store)
{
    return slash_postgres_open(path, NULL, ret_store);
}

/* Batches that are cut, as a server with a small lock table makes them. */
static void postgres_disturb(struct slash_store *store, struct chance *chance)
{
    struct postgres_history *h = postgres_history_of(store);
    h->claims_max = chance_below(chance, 4) ? SLASH_BATCH_MAX : 1 + chance_below(chance, 4);
}

static cc_err dynamodb_make(const char *path, const struct slash_identity *identity)
{
    return slash_dynamodb_create(dynamodb_table_session(), path, identity);
}

static cc_err dynamodb_open_store(const char *path, struct slash_store **ret_store)
{
    return slash_dynamodb_open(dynamodb_table_session(), path, ret_store);
}

cc_err kit_guard(struct slash_store *inner,
                 const char *path,
                 bool automatic,
                 struct slash_store **ret_store)
{
    static const uint8_t key[MIRROR_KEY_SIZE] = {5};
    struct slash_guard_options options = {
        .path = path, .key = key, .automatic = automatic, .slots_per_epoch = 32};
    cc_err err = slash_guard_replica(path, options.replica);
    if (!err.code)
        return slash_guard_open(inner, &options, ret_store);
    slash_store_close(inner);
    return err;
}

static cc_err guard_open_store(const char *path, struct slash_store **ret_store)
{
    char mirror[KIT_PATH_MAX + 8];
    struct slash_store *inner = NULL;
    (void)snprintf(mirror, sizeof mirror, "%s.mirror", path);
    CC_TRY(sqlite_open_store(path, &inner));
    return kit_guard(inner, mirror, false, ret_store);
}

/* Comparisons, and mirrors written anew, whole or in part. */
static void guard_disturb(struct slash_store *store, struct chance *chance)
{
    struct guard *g = guard_of(store);
    struct slash_verify_report report;
    bool more = true;
    if (chance_below(chance, 8) == 0)
        g->compact_above = 0;
    for (uint64_t i = chance_below(chance, 4); i > 0 && more; i--)
        assert_int_equal(slash_maintain(store, &more).code, 0);
    if (chance_below(chance, 8) == 0) {
        assert_int_equal(slash_verify(store, &report, &more).code, 0);
        assert_int_equal(report.missing + report.changed, 0);
    }
    assert_int_equal(g->refused.count, 0);
    sqlite_disturb(g->inner, chance);
}

const struct slash_backend slash_backends[] = {
    {.name = "memory", .make = memory_make, .open = memory_open_store},
    {"sqlite", sqlite_make, sqlite_open_store, true, false, false, sqlite_disturb, false},
    {"guard", sqlite_make, guard_open_store, true, false, false, guard_disturb, true},
    {"postgres", postgres_make, postgres_open_store, true, true, false, postgres_disturb, false},
    {"dynamodb", dynamodb_make, dynamodb_open_store, true, false, true, NULL, false},
};
const size_t slash_backend_count = ARRAY_LEN(slash_backends);

bool slash_backend_wanted(const struct slash_backend *backend)
{
    static int aws = -1;
    const char *only = getenv("CC_BACKEND");
    if (only && strcmp(only, backend->name) != 0)
        return false;
    if (backend->in_table && aws < 0)
        aws = aws_server_exists();
    return !backend->in_table || aws;
}

void slash_fixture_setup(struct slash_fixture *f, const struct slash_backend *backend)
{
    *f = (struct slash_fixture){.backend = backend};
    /* For runs by the hundred, which need not wait for a disk. */
    static bool installed;
    if (getenv("CC_NO_SYNC") && !installed) {
        fault_vfs_install();
        installed = true;
    }
    assert_true(kit_directory(f->directory));
    if (backend->in_database)
        postgres_server_schema(f->path, sizeof f->path);
    else if (backend->in_table)
        dynamodb_table_name(f->path, sizeof f->path);
    else
        (void)snprintf(f->path, sizeof f->path, "%s/history.sqlite", f->directory);
    memset(f->identity.history_id, 0x11, sizeof f->identity.history_id);
    memset(f->identity.chamber_id, 0x22, sizeof f->identity.chamber_id);
    memset(f->identity.proof, 0x33, sizeof f->identity.proof);
    assert_int_equal(backend->make(f->path, &f->identity).code, 0);
    assert_int_equal(backend->open(f->path, &f->store).code, 0);
}

void slash_fixture_reopen(struct slash_fixture *f)
{
    slash_store_close(f->store);
    f->store = NULL;
    assert_int_equal(f->backend->open(f->path, &f->store).code, 0);
}

void slash_fixture_teardown(struct slash_fixture *f)
{
    slash_store_close(f->store);
    f->store = NULL;
    fault_vfs_trust_disk();
    if (f->backend->in_database)
        postgres_server_drop(f->path);
    slash_remove_directory(f->directory);
}

bool kit_directory(char ret_directory[static KIT_DIRECTORY_MAX])
{
    const char *base = getenv("TMPDIR");
    int n = snprintf(ret_directory, KIT_DIRECTORY_MAX, "%s/cc-slash-XXXXXX", base ? base : "/tmp");
    return n > 0 && n < KIT_DIRECTORY_MAX && mkdtemp(ret_directory) != NULL;
}

void slash_remove_directory(const char *directory)
{
    char path[512];
    DIR *dir = opendir(directory);
    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        (void)snprintf(path, sizeof path, "%s/%s", directory, e->d_name);
        if (e->d_name[0] != '.')
            (void)unlink(path);
    }
    if (dir)
        (void)closedir(dir);
    (void)rmdir(directory);
}

static cc_err text_read(void *context, void *into, size_t room, size_t *ret_len)
{
    struct kit_text *t = context;
    size_t n = t->len - t->at;
    if (n > room)
        n = room;
    if (t->chunk && n > t->chunk)
        n = t->chunk;
    memcpy(into, t->text + t->at, n);
    t->at += n;
    *ret_len = n;
    return CC_OK;
}

static cc_err text_rewind(void *context)
{
    struct kit_text *t = context;
    t->at = 0;
    return CC_OK;
}

struct interchange_source kit_source(struct kit_text *text)
{
    return (struct interchange_source){text_read, text_rewind, text};
}

cc_err kit_write(void *context, const void *data, size_t len)
{
    return buf_append(context, data, len);
}

struct eth_pubkey kit_key(uint64_t number)
{
    struct eth_pubkey key = {{0xa0}};
    /* Scrambled, so that the order of keys isn't the order in which they were made. */
    u64_store_be(key.bytes + 8, number * 0x9e3779b97f4a7c15u);
    u64_store_be(key.bytes + 40, number);
    return key;
}

struct signing_root kit_root(uint64_t number)
{
    struct signing_root root = {{0}};
    u64_store_be(root.bytes + 24, number);
    return root;
}

struct slash_claim kit_block(uint64_t key, uint64_t slot, uint64_t root)
{
    return (struct slash_claim){
        .pubkey = kit_key(key), .kind = SLASH_CLAIM_BLOCK, .slot = slot, .root = kit_root(root)};
}

struct slash_claim kit_attestation(uint64_t key, uint64_t source, uint64_t target, uint64_t root)
{
    return (struct slash_claim){.pubkey = kit_key(key),
                                .kind = SLASH_CLAIM_ATTESTATION,
                                .source = source,
                                .target = target,
                                .root = kit_root(root)};
}

void kit_register(struct slash_store *store, uint64_t from, uint64_t count)
{
    struct eth_pubkey *keys = calloc(count, sizeof *keys);
    assert_non_null(keys);
    for (uint64_t i = 0; i < count; i++)
        keys[i] = kit_key(from + i);
    assert_int_equal(slash_register_keys(store, keys, count, NULL).code, 0);
    free(keys);
}

enum slash_rule kit_sign(struct slash_store *store, struct slash_claim claim)
{
    struct slash_verdict verdict;
    cc_err err = slash_check_and_record(store, &claim, 1, &verdict);
    if (err.code)
        fail_msg("%s (%s)", error_name(err), error_detail());
    return verdict.rule;
}
