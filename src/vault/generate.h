/* vault/generate.h - new keys, made inside.
 *
 * WHAT      A session is one mnemonic: 256 bits of the kernel's, 24 words, their seed, and of that the node m/12381/3600, which its
 *           keys are derived from (EIP-2333, EIP-2334).
 * PROMISE   Of the words only an age file leaves, to the recipients of the vault's own configuration; with none there is no session.
 *           Words and seed are gone before the answer; the node when its keys were all asked for, when the vault is sealed, and with the
 *           first question of the core that comes GENERATE_IDLE_MS after its last key. A key comes out as a row sealed for its place,
 *           and its signature under a DepositMessage that is made here: of its own public key, and of DOMAIN_DEPOSIT. Nothing signs
 *           with it before its row comes back by B_OPEN_ROW.
 * THREADS   Any; a key takes some 0.6 ms of a processor that has SHA instructions. generator.lock is taken before arena.lock, and not held over work.
 * OWNERSHIP generator_free() wipes. The arena is borrowed.
 * ERRORS    NOT_ENABLED (no recipients), BUSY (as many sessions as may be), NAME_UNKNOWN (none of that number, or it is over), SEALED,
 *           PROTOCOL, MALFORMED and NUMBER_RANGE (a deposit that makes no sense), those of vault/key_row.h.
 * SECRETS   Nodes, in the arena; entropy, words, seed and keys on the stack, wiped.
 */
#ifndef VAULT_GENERATE_H
#define VAULT_GENERATE_H

#include "crypto/age.h"
#include "secret/arena.h"
#include "wire/door_b.h"

struct vault;
struct generator;

enum {
    GENERATE_SESSIONS = 256, /* chamber.keys.generate.max_concurrent_requests is no more */
    GENERATE_IDLE_MS = 2 * 60 * 1000
};

CC_ERR generator_new(struct arena *arena, struct generator **ret_generator);
void generator_free(struct generator *generator); /* takes NULL */
/* Before there are other threads. At most AGE_RECIPIENTS_MAX. */
void generator_set_recipients(struct generator *generator,
                              const struct age_recipient *recipients,
                              size_t count);
/* Wipes what nobody has used for GENERATE_IDLE_MS. */
void generator_sweep(struct generator *generator, uint64_t now_ms);
/* Wipes all, and takes no more. */
void generator_seal(struct generator *generator);

/* Each fills all of the answer but its id. */
void generate_begin(struct vault *vault,
                    const struct b_generate *request,
                    struct b_generated *ret_answer);
void generate_derive(struct vault *vault,
                     const struct b_derive *request,
                     struct b_derived *ret_answer);

#endif
