/* core/sign_path.h - what is decided about one signing request before history and vault see it.
 *
 * WHAT      From a request as it came through door A, and snapshots of all that the decision hangs on, to a refusal or
 *           to a claim for the history and a message for the vault. No lock, no clock, no I/O.
 * PROMISE   Every field is checked again: the front is not trusted. In this order, the first that fails answers: fields
 *           (400), verdict (401, 403), key (404, or 503 while it loads), network guard (403), signing root (400), clock rule
 *           and the floor of an enclave's start (412). A refused request leaves no trace in the history.
 * THREADS   Any: pure.
 * OWNERSHIP Borrows its inputs for the call; the outcome is plain data.
 * ERRORS    As above: MALFORMED, KIND_UNKNOWN, FIELD_MISSING, UNAUTHENTICATED, DENIED, KEY_UNKNOWN, KEY_LOADING, WRONG_NETWORK,
 *           ROOT_MISMATCH, SLASHABLE with rule FUTURE, or BLOCK_BELOW, SOURCE_BELOW, TARGET_BELOW by the floor.
 * SECRETS   None.
 */
#ifndef CORE_SIGN_PATH_H
#define CORE_SIGN_PATH_H

#include <stdbool.h>

#include "core/authority.h"
#include "core/registry.h"
#include "eth/network.h"
#include "slash/store.h"
#include "wire/door_a.h"
#include "wire/door_b.h"

/* What stays the same from request to request. */
struct sign_rules {
    const struct eth_network *network;
    bool
        has_genesis_validators_root; /* fixed by network, configuration or history; never by a request */
    struct eth_root genesis_validators_root;
    uint64_t max_future_epochs;
    struct slash_watermark
        floor; /* in an enclave: what any earlier one may have signed; zeros: none */
};

/* The message of a refused request is in here; `error` 0 means go on. */
struct sign_outcome {
    uint32_t error; /* enum error_code */
    uint32_t
        rule; /* enum policy_rule with DENIED or UNAUTHENTICATED, enum slash_rule with SLASHABLE */
    struct a_reason reason;         /* DENIED by a policy's rule */
    char principal[PRINCIPAL_SIZE]; /* who asks; "" until it was judged */
    enum eth_kind kind;             /* KIND_END where the request named none of the table */
    enum kind_slashable slashable;
    bool allowed;             /* whoever asks may have it signed */
    struct signing_root root; /* all zero until it was computed */
    struct slash_claim claim; /* slashable kinds */
    struct b_sign message;    /* without its id */
};

/* Whether the request names a kind and has what that needs: only then is its caller judged. */
bool sign_path_is_whole(const struct sign_rules *rules, const struct sign_request *request);
/* What the authority is asked of such a request; borrows it. */
struct auth_question sign_path_question(const struct sign_request *request);

/* Judges one request. `verdict` is of sign_path_question(), and not looked at where the request is not whole. `key` is what the registry says of its public key, `wall_ms` the time now. */
void sign_path_judge(const struct sign_rules *rules,
                     const struct sign_request *request,
                     const struct auth_verdict *verdict,
                     const struct key_lookup *key,
                     uint64_t wall_ms,
                     struct sign_outcome *ret_outcome);

/* The floor of an enclave that starts at `now_ms`, which is right to within `leeway_ms`: all that another enclave may have signed until then is
 * at or below it, of whatever image: where there is money, none has signed further ahead than CONFIG_ENCLAVE_FUTURE_EPOCHS. False where the
 * network's genesis time is unknown, or the history is noop.
 */
bool sign_path_enclave_floor(const struct sign_rules *rules,
                             uint64_t now_ms,
                             uint64_t leeway_ms,
                             struct slash_watermark *ret_floor);

/* The fork version that the request names, where it names one, is in the network's schedule. Nothing is refused for it. */
bool sign_path_knows_fork(const struct sign_rules *rules, const struct sign_request *request);
/* The last epoch that may be signed for at `wall_ms`; 2^64-1 where the network's genesis time is unknown. */
uint64_t sign_path_last_epoch(const struct sign_rules *rules, uint64_t wall_ms);

#endif
