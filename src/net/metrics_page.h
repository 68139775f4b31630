/* net/metrics_page.h - GET /metrics of a small program.
 *
 * WHAT      Answers HTTP/1 requests for one text, made when it is asked for, and closes: what Prometheus needs.
 * PROMISE   A few connections at a time, each for a few seconds and with a head of a few KiB: the oldest makes room for the
 *           next. Never blocks. No part of a request reaches an answer.
 * THREADS   One thread per object.
 * OWNERSHIP metrics_page_free().
 * ERRORS    Those of endpoint_listen(), SYSTEM, NO_MEMORY.
 * SECRETS   None.
 */
#ifndef NET_METRICS_PAGE_H
#define NET_METRICS_PAGE_H

#include "base/endpoint.h"

struct metrics_page;

/* Appends the text. An error is answered 500. */
typedef cc_err metrics_text_fn(void *context, struct buf *out);

CC_ERR metrics_page_open(const struct endpoint *at,
                         metrics_text_fn *text,
                         void *context,
                         struct metrics_page **ret_page);
void metrics_page_free(struct metrics_page *page); /* takes NULL */
/* Readable when there is something to do; besides, a turn is wanted each second. */
int metrics_page_fd(const struct metrics_page *page);
void metrics_page_turn(struct metrics_page *page);
uint16_t metrics_page_port(const struct metrics_page *page);

/* What is answered to what has come so far: 0 nothing yet, 200, 400, 404 or 405. */
int metrics_page_status(struct span head);

#endif
