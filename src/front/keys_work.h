/* front/keys_work.h - one request to the key routes: from its body to steps that the core is asked for, and from their answers to
 * the body of the response.
 *
 * WHAT      One struct keys_work for each request: keys_work_read() takes the body, keys_work_next() says what to ask next,
 *           keys_work_took() and keys_work_took_slashing() take an answer, keys_work_answer() says what to send.
 * PROMISE   One answer for each item, in the order of the request. An import's slashing-protection data is read whole, and its network
 *           compared, before the first keystore is asked for; when that fails, none is. It is merged for keys of the request
 *           whose keystores have opened, and for no others, before these sign. A delete's data is
 *           exported after the last key was stopped. An answer of the core is believed only as far as it is
 *           well-formed. Nothing of the request's text comes back but public keys.
 * THREADS   One at a time for each request.
 * OWNERSHIP keys_work_free() frees; it takes NULL. The body is the caller's; it is needed during keys_work_read() alone.
 * ERRORS    Of a body, as front/keys_body.h; INTERCHANGE and its kin, with the faults in the refusal; PROTOCOL; what the core says.
 * SECRETS   Keystores' passwords, from keys_work_read() until each keystore's answer; wiped then, and in keys_work_free().
 */
#ifndef FRONT_KEYS_WORK_H
#define FRONT_KEYS_WORK_H

#include "auth/scope.h"
#include "front/keys_body.h"

struct keys_work_kind {
    enum a_keys_verb verb;
    enum auth_scope scope;
    bool is_manager; /* the Key Manager API's form; else the chamber's */
};

/* What to ask: one of the two, or nothing more. */
struct keys_question {
    struct a_keys *keys;
    struct a_slashing *slashing;
};

struct keys_work;

/* `kind` is borrowed. */
CC_ERR keys_work_new(const struct keys_work_kind *kind, struct keys_work **ret_work);
void keys_work_free(struct keys_work *w);

/* Takes the body, which it may change; not of a list. */
CC_ERR keys_work_read(struct keys_work *w, size_t max_items, uint8_t *body, size_t len);
/* True when the body brought slashing-protection data: then keys_work_read_history() follows, with the body still there. */
bool keys_work_has_history(const struct keys_work *w);
CC_ERR keys_work_read_history(struct keys_work *w);
struct keys_question keys_work_next(struct keys_work *w);
/* Takes what came of the question: `err` is OK, or why there is no answer. An error that comes out of it refuses the request;
 * one that concerns what is left of the request alone is in the items' answers.
 */
CC_ERR keys_work_took(struct keys_work *w,
                      cc_err err,
                      const struct a_keys_head *head,
                      const struct buf *items);
CC_ERR keys_work_took_slashing(struct keys_work *w,
                               cc_err err,
                               const struct a_slashing_head *head,
                               const struct buf *records);
/* The request's time is over: what was not asked is answered `error`. */
void keys_work_stop(struct keys_work *w);

/* When there is nothing more to ask: the response. */
CC_ERR keys_work_answer(const struct keys_work *w, struct buf *out);
/* After an error: the response. */
CC_ERR keys_work_refusal(const struct keys_work *w, cc_err err, struct buf *out);

#endif
