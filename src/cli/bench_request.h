/* cli/bench_request.h - the requests that `bench` sends, and what it reads of the answers.
 *
 * WHAT      Attestations for the network "minimal", one in a request or several in a batch, written from a template: a
 *           message costs some copying and no formatting. And a reader that knows when an HTTP answer is complete and how
 *           many signatures it holds.
 * PROMISE   Message i votes with key i % keys for epoch first + i / keys: no message is ever made twice, and each key's
 *           epochs only rise. The reader never reads beyond what it was given.
 * THREADS   Any: what is built is only read.
 * OWNERSHIP Borrows the keys' names and the token's line.   ERRORS None.
 * SECRETS   The token of `bench --auth` goes into each request (docs/secrets.md).
 */
#ifndef CLI_BENCH_REQUEST_H
#define CLI_BENCH_REQUEST_H

#include <stdbool.h>

#include "base/span.h"

enum {
    BENCH_TOKEN_BYTES = 32,
    BENCH_TOKEN_LINE_SIZE = 96, /* "Authorization: Bearer ", the token in hex, the line's end */
    BENCH_NAME_SIZE = 98,       /* a public key as 0x and hex */
    BENCH_FIRST_EPOCH = 2000000,
    BENCH_LAST_EPOCH =
        9999999, /* epochs and slots keep their digits, so that the template fits all */
    BENCH_MESSAGE_MAX =
        1024, /* one message in a batch; as a request by itself, with its head, twice that */
    BENCH_BATCH_MAX = 2048 /* the endpoint's limit */
};

/* Whose roots are the same. */
enum bench_roots {
    BENCH_ROOTS_SHARED, /* all keys of an epoch vote for one root, as the validators of a slot do */
    BENCH_ROOTS_DISTINCT
};

struct bench_template {
    char text[BENCH_MESSAGE_MAX];
    size_t len;
    /* Where the numbers stand. */
    size_t slot, root, source, target;
};

struct bench_source {
    const char (*names)[BENCH_NAME_SIZE];
    size_t keys;
    enum bench_roots roots;
    uint64_t first_epoch;
    struct bench_template message;
    const char *token_line; /* a header of each request, with its end; NULL, as after init: none */
};

/* Prepares the messages that begin at `first_epoch` (BENCH_FIRST_EPOCH or later). */
void bench_source_init(struct bench_source *ret_source,
                       const char (*names)[BENCH_NAME_SIZE],
                       size_t keys,
                       enum bench_roots roots,
                       uint64_t first_epoch);
/* Room that a request of `n` messages may need. */
size_t bench_request_room(size_t n);
/* Writes the HTTP request for messages `first` to `first` + `n`, and returns its length. `batch` false: n is 1, and the
 * request goes to the endpoint for one signature.
 */
size_t bench_request_write(
    const struct bench_source *source, uint64_t first, size_t n, bool batch, char *out);

/* The length of the HTTP answer that `text` begins with; 0: not all of it is there; SIZE_MAX: no answer that can be read. */
size_t bench_answer_length(struct span text);
/* 200 and so on; 0 when there is no status line. */
unsigned bench_answer_status(struct span text);
/* The body of a complete answer. */
struct span bench_answer_body(struct span answer);
/* How many signatures a complete answer holds: in plain JSON, and as the batch endpoint answers. */
size_t bench_answer_signatures(struct span answer);

#endif
