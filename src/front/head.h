/* front/head.h - what the head of a request says, judged strictly.
 *
 * WHAT      Takes header lines one by one and collects what routing and translation need. The HTTP library is lenient;
 *           here everything that two parsers could read in two ways is refused: both Content-Length and
 *           Transfer-Encoding, either of them, Host or Authorization twice, names that are no tokens, control characters in values,
 *           folded lines, bare line feeds, bytes that the library hides (after a NUL, or lines without a name).
 * PROMISE   head_finish() is CC_OK only for a head that has one reading. What is refused closes the connection.
 * THREADS   Any: pure; one thread per struct head.
 * OWNERSHIP By value; keeps pointers into the request's buffer only to compare them.
 * ERRORS    MALFORMED, HTTP_VERSION, HOST_DENIED, ORIGIN_DENIED, CONTENT_TYPE (an encoded body).
 * SECRETS   An Authorization header passes by, unread.
 */
#ifndef FRONT_HEAD_H
#define FRONT_HEAD_H

#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

#include "config/config.h"

enum head_accept {
    ACCEPT_JSON = 1 << 0,      /* application/json */
    ACCEPT_ANY = 1 << 1,       /* any type */
    ACCEPT_SOME_JSON = 1 << 2, /* any application type */
    ACCEPT_PRESENT = 1 << 3
};

enum {
    HEAD_HOST_MAX = 255
};

struct head {
    unsigned accept; /* enum head_accept */
    bool has_length;
    bool chunked;
    bool continues; /* Expect: 100-continue */
    uint64_t length;
    char host[HEAD_HOST_MAX + 1];
    /* private */
    const char *problem; /* the first one; static text */
    const char *next;    /* where the next header line must begin; NULL: not checked */
    bool origin;
    bool encoded;
    uint8_t hosts;
    uint8_t lengths;
    uint8_t encodings;
    uint8_t authorizations;
};

/* Begins a head. `line_end` is where the request line's CRLF stands when the caller hands pointers into one raw
 * buffer, NULL when it can't: then hidden bytes are not found.
 */
void head_begin(struct head *head, const char *line_end);
/* Notes what is wrong with the request line; the first problem stays. */
void head_refuse(struct head *head, const char *static_text);
/* Takes one header line; `name` and `value` need no terminator. */
void head_add(struct head *head, struct span name, struct span value);
/* Says where the body begins, by the library's count: right after the empty line, when the layout is checked. Finds an
 * empty line that is a bare line feed, and a line without a name, at which libmicrohttpd ends the head.
 */
void head_end(struct head *head, const char *body);
/* Judges the whole; `version` is "HTTP/1.1". */
CC_ERR head_finish(const struct head *head, const char *version);
/* The Host header against an allow-list: case and port don't matter; "*" and "all" allow any. */
CC_ERR head_check_host(const struct head *head, const struct config_text_list *allowed);
/* True when the answer to a sign request is JSON: some entry is application/json or any type (Web3Signer's rule). */
static inline bool head_wants_json(const struct head *head)
{
    return (head->accept & (ACCEPT_JSON | ACCEPT_ANY)) != 0;
}
/* True when an answer that only exists as JSON fits. */
static inline bool head_takes_json(const struct head *head)
{
    return !(head->accept & ACCEPT_PRESENT) ||
           (head->accept & (ACCEPT_JSON | ACCEPT_ANY | ACCEPT_SOME_JSON));
}

#endif
