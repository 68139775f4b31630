/* support/manage_rig.h - two replicas of a core, as far as management goes: keeper, authority and core/manage over one state store
 * (support/shared_state.h). The test plays the fronts. Failed set-up steps fail the test.
 */
#ifndef SUPPORT_MANAGE_RIG_H
#define SUPPORT_MANAGE_RIG_H

#include "auth/manager.h"
#include "core/manage.h"
#include "support/shared_state.h"

enum {
    MRIG_TEXT_MAX = 1 << 18
};

/* A replica. */
struct side {
    struct state_store *state;
    struct keeper *keeper;
    struct authority *authority;
    struct pending_table *table;
    struct front_link *link;
    struct manage *manage;
    struct front_door door;
    int control[2];
    int front; /* the front's end of door A */
};

struct mrig_answer {
    enum error_code error;
    int status;
    char detail[A_MANAGED_DETAIL_MAX];
    char text[MRIG_TEXT_MAX];
};

extern struct shared_state mrig_shared;
extern struct config mrig_config;
extern struct side mrig_a, mrig_b;
extern _Atomic uint64_t mrig_now; /* the clock: seconds */
extern const uint8_t mrig_seed[ED25519_SEED_SIZE];
extern const uint8_t mrig_other_seed[ED25519_SEED_SIZE];
extern const struct caller mrig_admin, mrig_unix_owner, mrig_stranger;
extern struct mrig_answer mrig_answer;      /* to the last question */
extern const char *const mrig_allow_export; /* a policy */

/* For cmocka. */
int mrig_up(void **state);
int mrig_down(void **state);

/* A question of mrig_stranger. */
void mrig_fill(struct a_manage *ask, enum a_manage_verb verb, const char *name, const char *body);
void mrig_sign(struct a_manage *ask, const uint8_t *key, uint64_t created);
/* Asks, and takes the answer. */
enum error_code mrig_put(struct side *side, const struct a_manage *ask);
void mrig_receive(struct side *side, uint64_t id);
/* The same of whichever is answered next. */
uint64_t mrig_next_id(struct side *side);
enum error_code mrig_by(const struct caller *caller,
                        struct side *side,
                        enum a_manage_verb verb,
                        const char *name,
                        const char *body);
/* Signed by mrig_seed, a second after the last one. */
enum error_code
mrig_signed(struct side *side, enum a_manage_verb verb, const char *name, const char *body);
/* The proof of the data directory's owner, made now; NULL: none. */
void mrig_show(const char *text);
void mrig_bootstrap(const uint8_t *key, bool replace, enum error_code expected);
/* Since *swaps, so many changes were committed; *swaps is brought up to date. */
void mrig_assert_more_changes(unsigned *swaps, unsigned more);
/* A look at the store by the replica's own thread, which takes over what the other one has done. */
cc_err mrig_refresh(struct side *side, struct state_fault *ret_fault);

struct caller mrig_with_token(const char *text);
enum error_code mrig_may_export(struct side *side, const char *token);
/* The token of the last answer. */
void mrig_take_token(char text[static TOKEN_TEXT_SIZE]);
/* A key, a policy `p` that allows slashing_export, and a token `t` with it. */
void mrig_make_token(char text[static TOKEN_TEXT_SIZE]);

#endif
