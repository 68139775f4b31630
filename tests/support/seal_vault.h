/* support/seal_vault.h - a vault as far as ceremonies see it, without a secret: it keeps which sets it was given, counts, and takes an envelope
 * for right when it says so. For tests of core/ceremony; the real one has tests of its own.
 */
#ifndef SUPPORT_SEAL_VAULT_H
#define SUPPORT_SEAL_VAULT_H

#include <pthread.h>
#include <stdbool.h>

#include "core/ceremony.h"
#include "wire/door_b.h"

struct seal_vault {
    pthread_mutex_t lock; /* guards all below */
    struct seal_set present, staged;
    bool has_present, has_staged;
    bool present_open, staged_open, kms_open, staged_kms_open;
    bool made;                          /* the staged one was made here, and is not stored yet */
    uint32_t kms_mask, staged_kms_mask; /* by key */
    uint32_t unseal_mask, approve_mask, rehearse_mask; /* by operator */
    bool rehearsed;
    uint32_t break_glass;  /* shares that wait */
    bool rolls;            /* an envelope for the present set brings its operator's next entry */
    unsigned refuse_opens; /* so many times, a present set is not taken */
    uint8_t approving[32];
    unsigned made_count, shares_given, drops[4];
    uint8_t number; /* of this vault: no two make the same shares */
};

void seal_vault_make(struct seal_vault *vault);
void seal_vault_end(struct seal_vault *vault);
/* For struct ceremony_vault. */
cc_err seal_vault_ask(void *vault, const struct vault_asking *asking);
/* An envelope that is right; `right` false: one that is not. */
void seal_vault_box(struct ceremony_envelope *envelope,
                    uint32_t purpose,
                    const char *name,
                    bool right);

#endif
