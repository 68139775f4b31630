/* support/slash_kit.h - what the tests of slashing protection share: throw-away stores, claims, chance. */
#ifndef SUPPORT_SLASH_KIT_H
#define SUPPORT_SLASH_KIT_H

#include "slash/interchange.h"
#include "slash/store.h"

/* --- chance, repeatable --------------------------------------------------------------------------- */

struct chance {
    uint64_t state;
};
/* From CC_SEED, or the clock; printed, so that a failure can be repeated. */
struct chance chance_new(const char *test);
uint64_t chance_u64(struct chance *c);
uint64_t chance_below(struct chance *c, uint64_t n);

/* --- stores ------------------------------------------------------------------------------------------ */

/* One backend under test, on a path of its own (NULL where it has none). */
struct slash_backend {
    const char *name;
    cc_err (*make)(const char *path, const struct slash_identity *identity);
    cc_err (*open)(const char *path, struct slash_store **ret_store);
    bool keeps; /* what was recorded is there after close and open */
    bool
        in_database; /* the path is a URL; and no low watermark may pass the high one, which is a rule of the schema */
    bool in_table; /* the path is the name of a DynamoDB table */
    /* Something that must change nothing, at a moment of chance; may be NULL. */
    void (*disturb)(struct slash_store *store, struct chance *chance);
    bool guarded; /* repeats nothing below a watermark that this signer has not signed itself */
};
extern const struct slash_backend slash_backends[];
extern const size_t slash_backend_count;
/* CC_BACKEND names the only one to test beside the oracle; without it, all that this machine can have. */
bool slash_backend_wanted(const struct slash_backend *backend);

enum {
    KIT_DIRECTORY_MAX = 128,
    KIT_PATH_MAX = 512
};

struct slash_fixture {
    const struct slash_backend *backend;
    char directory[KIT_DIRECTORY_MAX];
    char path[KIT_PATH_MAX];
    struct slash_identity identity;
    struct slash_store *store;
};

/* A guard over `inner`, its mirror at `path`; `inner` is closed with it, or at once when that fails. */
cc_err kit_guard(struct slash_store *inner,
                 const char *path,
                 bool automatic,
                 struct slash_store **ret_store);

/* A new store, open, in a new directory; fails the test when that can't be had. */
void slash_fixture_setup(struct slash_fixture *f, const struct slash_backend *backend);
void slash_fixture_reopen(struct slash_fixture *f);
void slash_fixture_teardown(struct slash_fixture *f);
/* Makes a new directory below TMPDIR, or /tmp; false when it can't. */
bool kit_directory(char ret_directory[static KIT_DIRECTORY_MAX]);
void slash_remove_directory(const char *directory);

/* --- interchange in memory --------------------------------------------------------------------------- */

struct kit_text {
    const char *text;
    size_t len;
    size_t at;
    size_t chunk; /* bytes given out at a time; 0: as many as asked for */
};
struct interchange_source kit_source(struct kit_text *text);
/* For interchange_export(): `context` is a struct buf. */
cc_err kit_write(void *context, const void *data, size_t len);

/* --- claims ------------------------------------------------------------------------------------------ */

struct eth_pubkey kit_key(uint64_t number);
struct signing_root kit_root(uint64_t number);
struct slash_claim kit_block(uint64_t key, uint64_t slot, uint64_t root);
struct slash_claim kit_attestation(uint64_t key, uint64_t source, uint64_t target, uint64_t root);
void kit_register(struct slash_store *store, uint64_t from, uint64_t count);
/* One claim alone; fails the test on an error. */
enum slash_rule kit_sign(struct slash_store *store, struct slash_claim claim);

#endif
