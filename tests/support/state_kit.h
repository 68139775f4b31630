/* support/state_kit.h - the state store's backends for the conformance suite, and what an attacker with each can do.
 *
 * One backend at a time, `kit`; its store is new and empty after kit_new(). The vault is played by a seed.
 */
#ifndef SUPPORT_STATE_KIT_H
#define SUPPORT_STATE_KIT_H

#include "state/pin.h"
#include "state/store.h"

struct kit_backend {
    const char *name;
    bool shared; /* several processes may open it */
    void (*make)(void);
    void (*drop)(void);
    /* `place`: of the files that the opener keeps for itself; another one is another replica. */
    cc_err (*open)(const char *place, struct state_store **ret_store);
    /* Past the store: whatever is given stands there afterwards. */
    void (*put_record)(const struct state_record *record);
    void (*delete_record)(const char *kind, const char *name);
    void (*put_head)(uint64_t generation, struct span bytes, struct span signature);
    void (*delete_head)(void);
};

extern const struct kit_backend state_backends[];
extern const size_t state_backend_count;
const struct kit_backend *state_backend_find(const char *name);

extern const struct kit_backend *kit;
extern char kit_directory[64];
extern struct state_pin kit_pin;
extern uint8_t kit_seed[ED25519_SEED_SIZE];
extern unsigned kit_signings;
extern const struct state_signer kit_signer;

/* For cmocka: a directory, a pin, a new store of `kit`. */
int kit_new(void **state);
int kit_end(void **state);

/* Opens and verifies as the replica whose files are `place`.seen and so on. */
cc_err kit_open(const char *place, struct state_store **ret_store, struct state_fault *ret_fault);
/* The first opening of the empty store. */
cc_err kit_open_new(const char *place, struct state_store **ret_store);
/* A file of the test's directory; the same memory with every eighth call. */
const char *kit_path(const char *place, const char *suffix);

cc_err kit_put(struct state_store *store,
               const char *kind,
               const char *name,
               uint64_t expected_version,
               const char *text);

/* All that the backend holds now, to be put back later: a restored backup. */
void kit_save(struct state_image *ret_image);
void kit_restore(const struct state_image *image);

#endif
