/* core/report.h - what the core counts and logs about its answers.
 *
 * WHAT      One metric update per answer, one log line per failure at the level of its class.
 * PROMISE   A client can't fill the log: each kind of failure has a budget of lines per second, and the next line that
 *           passes says how many did not. Labels come from closed tables.
 * THREADS   Any, after report_init().
 * OWNERSHIP Borrows.   ERRORS None.   SECRETS None.
 */
#ifndef CORE_REPORT_H
#define CORE_REPORT_H

#include "base/log.h"

#include "core/authority.h"
#include "core/pending.h"

/* A budget of lines for one place; zero-initialised. */
struct report_budget {
    _Atomic uint64_t second;
    _Atomic uint32_t lines;
    _Atomic uint32_t held_back;
};

enum {
    REPORT_LINES_PER_SECOND = 5
};

/* True when a line may be written now; *ret_held_back: how many were not since the last one. */
bool report_may_log(struct report_budget *budget, uint32_t *ret_held_back);

/* Names the labels of the metrics; once, before there are threads. */
void report_init(void);
/* The value of the label `operation`; KIND_END for a request that named no kind. */
uint32_t report_label(enum eth_kind kind);

/* Counts one answer and, where it is a failure, logs it, with the request's id and with its trace's where it has one. `arrived_ns` 0: not timed;
 * else the moment of the answer is a mark of its trace.
 */
void report_answer(const struct sign_outcome *outcome,
                   const struct eth_pubkey *pubkey,
                   const struct a_signed *answer,
                   const struct traced *traced,
                   uint64_t arrived_ns);

/* Logs that a question other than a signing request was refused. */
void report_denied(uint64_t id, enum auth_scope scope, const struct auth_verdict *verdict);

#endif
