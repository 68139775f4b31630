/* cli/operator_send.h - an envelope on its way, and what every ceremony checks before.
 *
 * WHAT      The arguments that a ceremony needs, the pinned identity, sending, printing how far it is.
 * PROMISE   Nothing goes out but the name, the sealed box and what is approved.
 * THREADS   Main only.   OWNERSHIP Borrows.   ERRORS Exit codes of app/supervisor.h, printed.
 * SECRETS   The envelope, the caller's; here it is sealed.
 */
#ifndef CLI_OPERATOR_SEND_H
#define CLI_OPERATOR_SEND_H

#include "cli/operator_client.h"
#include "cli/operator_wanted.h"
#include "seal/envelope.h"

int operator_refuse(const struct operator_wanted *w, const char *message, const char *about);
/* --name, --chamber-identity, a signer. */
int operator_needs_person(const struct operator_wanted *w);
int operator_needs_one_signer(const struct operator_wanted *w);
int operator_pin(const struct operator_wanted *w, struct pinned *ret_pinned);

struct operator_sending {
    const struct operator_wanted *w;
    const struct signer *signer;
    const char *target; /* below /api/v1/chamber/ */
    const char *name;
    const struct seal_challenge *challenge;
    const uint8_t *digest; /* NULL: none goes along */
    struct buf *answer;    /* --json: where it goes; NULL: to standard output */
};

int operator_send(const struct operator_sending *s, struct seal_envelope *envelope);
/* Asks, and with --json prints what comes (cli/operator_manage.c). */
int operator_ask_and_print(const struct operator_wanted *w,
                           const char *method,
                           const char *target,
                           struct span body,
                           struct operator_reply *reply);
/* The same, with what is proposed in --out as well: a new file. */
int operator_propose_into(const struct operator_wanted *w,
                          const char *target,
                          struct span body,
                          struct operator_reply *reply);
/* A body of its own; prints how far it is. */
int operator_post(const struct operator_wanted *w,
                  const struct signer *signer,
                  const char *target,
                  struct span body);

#endif
