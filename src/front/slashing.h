/* front/slashing.h - work on the slashing-protection history: from a request's body to steps that the core is asked for, and
 * from their answers to the body of the response.
 *
 * WHAT      One struct slashing for each request: slashing_read() takes the body, slashing_next() says what to ask next,
 *           slashing_took() takes an answer, slashing_answer() or slashing_text() says what to send.
 * PROMISE   Of an import nothing is asked before the whole body was read without a fault. An answer of the core is believed
 *           only as far as it is well-formed. Nothing of the request's text comes back: faults name line, element and reason.
 * THREADS   One at a time for each request.
 * OWNERSHIP slashing_free() frees; it takes NULL. The body is the caller's; it is needed during slashing_read() alone.
 * ERRORS    INTERCHANGE and its kin with *ret_faults set, INPUT class for arguments, BODY_TOO_LARGE, NO_MEMORY, PROTOCOL.
 * SECRETS   None.
 */
#ifndef FRONT_SLASHING_H
#define FRONT_SLASHING_H

#include "base/span.h"

#include "codec/json.h"
#include "wire/door_a.h"

struct slashing;

CC_ERR slashing_new(enum a_slashing_verb verb, struct slashing **ret_slashing);
void slashing_free(struct slashing *s);

/* Some keys, in order of their bytes and no two the same; borrowed while the work lasts. */
struct slashing_keys {
    const struct eth_pubkey *keys;
    size_t count;
    bool *found; /* of an import, one for each key: it has records of it */
};
/* Before slashing_read() of an import, or the first slashing_next() of an export: takes these validators and leaves out the rest.
 * Of such an import the first step brings nothing, and is refused where the file is of another network; the others are those of the
 * keys that slashing_pick() chooses.
 */
void slashing_only(struct slashing *s, const struct slashing_keys *only);
/* Before the first slashing_next() of an export: its text is the list of the keys that are disabled, and nothing else. */
void slashing_list_disabled(struct slashing *s);
/* Goes on with these; `is_picked` has one for each key, and is borrowed until the next. */
void slashing_pick(struct slashing *s, const bool *is_picked);
/* What the core shall judge it by (enum auth_scope); it is asked by nothing else. */
void slashing_set_scope(struct slashing *s, uint32_t scope);

/* Takes the body, which it may change. */
CC_ERR slashing_read(struct slashing *s, struct jdoc *doc, uint8_t *body, size_t len);
/* The next step's question; NULL when there is none. At first there is one. */
struct a_slashing *slashing_next(struct slashing *s);
/* Takes the answer to it: its head, and its records (struct a_record, one after the other). */
CC_ERR
slashing_took(struct slashing *s, const struct a_slashing_head *head, const struct buf *records);
/* Takes the high watermark that stands, out of an answer that is HANDED_OVER: the refusal names it. */
void slashing_failed(struct slashing *s, const struct a_slashing_head *head);

/* The whole response, when there is no further step; of an export, slashing_text() is. */
CC_ERR slashing_answer(const struct slashing *s, struct buf *out);
/* After an error: the response's body, with what slashing_read() found wrong or what was done until then. */
CC_ERR slashing_refusal(const struct slashing *s, cc_err err, struct buf *out);

/* What there is of an export's text. */
struct span slashing_text(const struct slashing *s);
/* `len` bytes of it were sent. */
void slashing_sent(struct slashing *s, size_t len);

#endif
