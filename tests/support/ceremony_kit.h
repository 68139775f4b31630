/* support/ceremony_kit.h - sets and ceremonies in one process: the test is core, KMS and every operator.
 *
 * Failed set-up steps fail the test. Time is the kit's own. Credentials are made up: what they are derived from is the command line's matter.
 */
#ifndef SUPPORT_CEREMONY_KIT_H
#define SUPPORT_CEREMONY_KIT_H

#include "seal/envelope.h"
#include "seal/proposal.h"
#include "vault/ceremony.h"
#include "vault/sets_inside.h"

/* A vault's secrets, without threads and doors. */
struct rite_vault {
    struct arena *arena;
    struct chamber *chamber;
    struct master *master;
    struct sets *sets;
    uint8_t identity[32]; /* public */
    uint64_t now_ms;
};

/* What the core keeps of a chamber. */
struct rite_chamber {
    struct b_chamber stored;
    struct b_hello hello;
    struct seal_set set; /* the first one, of mode local, where there is one */
};

/* An operator, and what he uses next. */
struct rite_operator {
    char name[SEAL_NAME_SIZE];
    uint8_t credential[32];
};

/* A vault in ROOM_MODE_INIT makes a chamber; with or without its first set. */
void rite_make(struct rite_chamber *chamber, bool with_set);
/* A vault that serves; its configuration allows ceremonies. The root is open, and nothing else. */
void rite_start(struct rite_vault *vault, const struct rite_chamber *chamber);
void rite_stop(struct rite_vault *vault);

/* Operators op-1 … op-N with keys of their own, kms_count KMS keys, 2 break-glass shares of 2 where `break_glass`. `from` NULL: a first one. */
struct rite_plan {
    uint32_t mode;
    uint32_t keep;
    uint32_t kms_count;
    uint32_t kms_threshold;
    uint32_t operator_count;
    uint32_t operator_threshold;
    bool break_glass;
};
struct seal_proposal rite_proposal(const struct rite_chamber *chamber,
                                   const struct seal_set *from,
                                   const struct rite_plan *plan);

struct b_seal_state rite_state(struct rite_vault *vault);
/* Challenge and answer; the result is the vault's. *ret_answer may be NULL. `next` NULL: the credential stays. */
cc_err rite_visit(struct rite_vault *vault,
                  enum seal_purpose purpose,
                  struct rite_operator *
                  operator,
                  const uint8_t * digest,
                  const uint8_t *next,
                  struct b_enveloped *ret_answer);
struct seal_challenge
rite_challenge(struct rite_vault *vault, enum seal_purpose purpose, const char *name);
/* Seals and sends an envelope for a challenge that was given. */
cc_err rite_send(struct rite_vault *vault,
                 const struct seal_challenge *challenge,
                 struct seal_envelope *envelope,
                 const uint8_t *digest,
                 struct b_enveloped *ret_answer);

/* What a set that was made has given out. */
struct rite_parts {
    uint8_t kms[SEAL_KMS_MAX][SEAL_SHARE_SIZE];
    uint8_t break_glass[SEAL_BREAK_GLASS_MAX][SEAL_SHARE_SIZE];
    uint8_t tokens[SEAL_OPERATORS_MAX][32];
};

/* Makes a set, takes its parts, gives it back as staged, and registers every new operator. *ret_set: as it is stored then. */
cc_err rite_stage(struct rite_vault *vault,
                  const struct seal_proposal *proposal,
                  struct rite_parts *ret_parts,
                  struct rite_operator *operators,
                  struct seal_set *ret_set);
/* The staged set becomes the present one. */
void rite_switch(struct rite_vault *vault, struct seal_set *set);
/* Gives a set as stored. */
cc_err rite_open(struct rite_vault *vault, enum b_set_which which, const struct seal_set *set);

#endif
