/* front/answer.h - the bodies of answers.
 *
 * WHAT      Turns what the core said, or what the front itself refused, into the bytes of a body.
 * PROMISE   An error body is made of the tables' texts, numbers and roots: nothing of the request's text comes back,
 *           and no secret can (behaviour: {"code","message","error","rule"}, where `rule` names why, and the earlier
 *           epoch or slot stands beside it).
 * THREADS   Any: pure.   OWNERSHIP Appends to the caller's buf.   ERRORS LIMIT, NO_MEMORY.   SECRETS None.
 */
#ifndef FRONT_ANSWER_H
#define FRONT_ANSWER_H

#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

#include "wire/door_a.h"

/* Why there is no good answer. */
struct refusal {
    cc_err err;
    const char *static_detail; /* NULL: none */
    uint32_t rule;             /* of SLASHABLE and DENIED, as in struct a_signed */
    struct a_reason reason;    /* of DENIED by a policy's rule */
    uint64_t earlier_slot;
    uint64_t earlier_source;
    uint64_t earlier_target;
    bool has_root; /* ROOT_MISMATCH: what the signer computed */
    struct signing_root root;
};

struct refusal refusal_of(cc_err err);
struct refusal refusal_from_core(const struct a_signed *answer);
struct refusal refusal_from_denied(const struct a_denied *answer);
CC_ERR answer_refusal(struct buf *out, const struct refusal *refusal);
/* The reason phrase of an HTTP status. */
const char *answer_reason(int status);

/* {"signature":"0x…"} or the bare 0x…. */
CC_ERR answer_signature(struct buf *out, const struct eth_signature *signature, bool json);
/* ["0x…","0x…"] */
CC_ERR answer_public_keys(struct buf *out, const struct eth_pubkey *keys, size_t count);
/* Web3Signer's nested form; 200 when a signature would succeed now, else 503. */
CC_ERR
answer_health(struct buf *out, const struct a_health *health, bool draining, int *ret_status);
/* {"status":"READY"} or what is missing; for load balancers. */
CC_ERR answer_ready(struct buf *out, const struct a_health *health, bool draining, int *ret_status);
/* GET /reload: {"status":"idle"}, or with lastOperationTime and lastError. */
CC_ERR answer_reload_status(struct buf *out, const struct a_reload *reload);
/* POST /reload that was accepted. */
CC_ERR answer_reload_started(struct buf *out);
/* {} or {"epoch":"12","slot":"384"}. */
CC_ERR answer_high_watermark(struct buf *out, const struct a_high_watermark *mark);

#endif
