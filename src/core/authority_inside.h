/* core/authority_inside.h - what an authority knows, for the files that make it and judge by it.
 *
 * WHAT      Policies and principals as one snapshot that is replaced whole.
 * PROMISE   A snapshot is constant; what is counted lies outside of it.
 * THREADS   authority.lock guards which snapshot is in use and all that is counted.
 * OWNERSHIP A snapshot owns its policies; those of the configuration are the authority's own.
 * ERRORS    As core/authority.h.   SECRETS As core/authority.h.
 */
#ifndef CORE_AUTHORITY_INSIDE_H
#define CORE_AUTHORITY_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "auth/open.h"
#include "auth/principal.h"
#include "core/authority.h"
#include "core/report.h"

enum {
    AUTHORITY_TOKENS_MAX = TOKENS_MAX + CONFIG_POLICIES_MAX,
    AUTHORITY_POLICIES_MAX = POLICIES_MAX + CONFIG_POLICIES_MAX,
    AUTHORITY_TABLE =
        2048, /* places of the table of tokens: a power of 2, far above their number */
    AUTHORITY_RECENT = 64
};

/* Somebody who has policies. */
struct principal {
    char label[PRINCIPAL_SIZE];
    bool missing; /* one of its policies is not there */
    uint32_t count;
    const struct policy *policies[POLICIES_MAX];
};

struct token_row {
    struct token token;
    struct principal principal;
};

struct authority_snapshot {
    bool has_state;              /* false: the one before any state store was read */
    bool latched;                /* in the state store */
    uint8_t digest[SHA256_SIZE]; /* of the versions of what it was made from */
    size_t policy_count;
    struct policy *policies[POLICIES_MAX];
    size_t token_count;
    struct token_row *tokens;
    uint16_t table[AUTHORITY_TABLE]; /* 1 + row, by the MAC's first bytes; 0: empty */
    struct principal certificates[CONFIG_LIST_MAX];
    struct principal listeners[CONFIG_LIST_MAX];
    struct principal anonymous; /* no policies: unauthenticated_policy is not set */
};

/* A token that was found lately, so that a client's next request costs no HMAC. */
struct recent {
    uint8_t digest[SHA256_SIZE];
    uint16_t row; /* 1 + row; 0: empty */
};

struct authority {
    /* constant after authority_new() */
    const struct auth_config *auth;
    const char *data_dir;
    uint64_t (*wall_ms)(void);
    struct open_policy open;
    struct policy *own[CONFIG_POLICIES_MAX]; /* of auth_policies, in its order */
    struct principal_row certificates[CONFIG_LIST_MAX];
    struct principal_row listeners[CONFIG_LIST_MAX];
    struct report_budget would_deny;
    _Atomic uint64_t changes; /* of what the state store holds of it */

    pthread_mutex_t lock; /* guards all below */
    enum auth_mode mode;  /* in force */
    bool has_key;
    uint8_t key[MAC_SIZE];
    struct authority_snapshot *snapshot;
    struct recent recent[AUTHORITY_RECENT];
    uint64_t
        last_used[AUTHORITY_TOKENS_MAX]; /* by row of the snapshot; 0: not since they were taken */
    struct auth_failures failures;
    /* authority_tick()'s own */
    uint64_t told_ms; /* when failures were last logged; 0: never */
};

/* The mode that configuration and latches make. */
enum auth_mode authority_mode_of(const struct authority *authority, bool latched);
/* Everything but what the state store holds. */
CC_ERR authority_own_policies(struct authority *authority);
CC_ERR authority_own_rows(struct authority *authority);
/* `state` NULL: none yet. */
CC_ERR authority_snapshot_new(struct authority *authority,
                              const struct state_store *state,
                              struct authority_snapshot **ret_snapshot);
void authority_snapshot_free(struct authority_snapshot *snapshot); /* takes NULL */
uint32_t authority_place_of(const uint8_t mac[static MAC_SIZE]);

#endif
