/* core/authority.h - may this caller do that?
 *
 * WHAT      Who a caller is, and what that principal may do. The first that applies: a token; a client certificate that
 *           auth.certificates names; the listener, where auth.listeners names it; the owner at a Unix socket; anybody.
 * PROMISE   Default deny. Every verdict, good or bad, names what it rests on. Open mode covers signing of auth.open_operations and the public
 *           keys only (T20); a principal one of whose policies is not there may do nothing. A 401 is one and the same
 *           whatever was wrong with a token. No valid token is ever held up by failures of others (T29).
 *           Mode report lets pass exactly what open lets pass, and counts what enforce would not have (`would_deny`).
 * THREADS   Any. authority.lock is a leaf, and not held over I/O; records are read before it is taken.
 * OWNERSHIP authority_free(); verdicts are plain data.
 * ERRORS    In the verdict: UNAUTHENTICATED, DENIED.
 * SECRETS   The HMAC key of tokens (docs/secrets.md), wiped by authority_seal() and at the end.
 */
#ifndef CORE_AUTHORITY_H
#define CORE_AUTHORITY_H

#include <stdbool.h>

#include "auth/policy.h"
#include "auth/scope.h"
#include "auth/token.h"
#include "config/config.h"
#include "core/auth_failures.h"
#include "state/store.h"

/* What somebody wants to do. `kind` counts for SCOPE_SIGN only, KIND_END for any other. */
struct auth_question {
    enum auth_scope scope;
    enum eth_kind kind;
    const struct eth_pubkey *pubkey;         /* NULL: about no one key */
    bool every_key;                          /* about each, those that are not here among them */
    const struct eth_address *fee_recipient; /* NULL: the message has none */
    const uint64_t *gas_limit;
};

enum {
    PRINCIPAL_SIZE = 56
};

struct auth_verdict {
    uint32_t error;         /* 0, UNAUTHENTICATED or DENIED */
    uint32_t rule;          /* enum policy_rule */
    struct a_reason reason; /* POLICY_RULE: which one */
    uint32_t failure;       /* enum auth_failure: for the log and the audit, never for the client */
    bool would_deny;        /* report: enforce would have refused it */
    char principal
        [PRINCIPAL_SIZE]; /* "anonymous", "owner", "token:NAME", "certificate:1", "listener:unix" */
};

struct authority_settings {
    const struct auth_config *auth; /* borrowed while the authority lives */
    const char *data_dir;           /* of the latch's file (core/auth_latch.h); borrowed */
    const uint8_t *token_key;       /* 32 bytes, copied; NULL: no token is good */
    uint64_t (*wall_ms)(void);      /* NULL: the clock */
};

struct authority;

CC_ERR authority_new(const struct authority_settings *settings, struct authority **ret_authority);
void authority_free(struct authority *authority); /* takes NULL */

/* Decides, and counts; always fills *ret_verdict. */
void authority_judge(struct authority *authority,
                     const struct caller *caller,
                     const struct auth_question *question,
                     struct auth_verdict *ret_verdict);
/* The same, and counts nothing: where another scope may do as well. */
void authority_peek(struct authority *authority,
                    const struct caller *caller,
                    const struct auth_question *question,
                    struct auth_verdict *ret_verdict);
/* Keeps of `keys` those that the caller may use `scope` for, in their order; counts nothing. */
size_t authority_filter(struct authority *authority,
                        const struct caller *caller,
                        enum auth_scope scope,
                        struct eth_pubkey *keys,
                        size_t count);

/* True when a policy of the caller's own names this key, not just all keys; counts nothing. */
bool authority_names_key(struct authority *authority,
                         const struct caller *caller,
                         const struct eth_pubkey *pubkey);

/* Policies, tokens and latch of `state` replace those known; on an error all stays. A record that can't be read is left out, and
 * named in the log; one of no bytes is none. Whoever uses the state store calls it: the control thread before the
 * keeper runs, then the keeper.
 */
CC_ERR authority_take_records(struct authority *authority, const struct state_store *state);
/* Another number where policies, tokens or management keys may be others than they were. */
uint64_t authority_changes(struct authority *authority);
/* The configuration has a policy of this name: auth_policies. */
bool authority_has_own_policy(const struct authority *authority, const char *name);
/* What is kept of a token with this digest; SEALED when there is no key. */
CC_ERR authority_token_mac(struct authority *authority,
                           const uint8_t digest[static SHA256_SIZE],
                           uint8_t ret_mac[static MAC_SIZE]);
/* Takes the token key, in the place of the one before; copied. */
void authority_unseal(struct authority *authority, const uint8_t key[static MAC_SIZE]);
/* Wipes the token key: no token is good from now on. */
void authority_seal(struct authority *authority);

/* The mode in force, and whether a latch holds it at enforce against the configuration. */
enum auth_mode authority_mode(struct authority *authority, bool *ret_held);

/* When a token was last used, of those that were since the last call. */
struct token_use {
    char name[POLICY_NAME_SIZE];
    uint64_t last_used; /* seconds since 1970 */
};
size_t authority_take_uses(struct authority *authority, struct token_use *ret_uses, size_t max);

/* --- failures: counted one by one, told in sums (T29, T30) ----------------------------------------------------- */

/* What was counted since the last call, and forgets it. Log and audit each have their own count. */
size_t authority_take_failures(struct authority *authority,
                               enum auth_failures_for who,
                               struct auth_failure_row ret_rows[static AUTH_FAILURE_ROWS]);
/* Once a second: writes the log's lines about failures, few whatever their number. The control thread. */
void authority_tick(struct authority *authority);

#endif
