/* cli/bench_signer.h - the signer that `bench` measures: this binary, in a chamber of its own.
 *
 * WHAT      Makes a directory with random keys and an empty history, starts `server` there on a free port of loopback, stops
 *           it, and reads the history again. Another build of this program may be named instead, to compare the two.
 * PROMISE   Nothing that exists is touched: the directory is new, and removed at the end. The keys are random, known to
 *           nobody, and end with it. The server dies with this process.
 * THREADS   One.
 * OWNERSHIP bench_signer_close() ends the server and removes the directory; it copes with any half of it.
 * ERRORS    SYSTEM, IO, NO_MEMORY, FILESYSTEM (a memory file system: nothing would be durable). When the server does not come
 *           up or ends badly, the end of its log goes to standard error.
 * SECRETS   Writes throw-away keys and a throw-away token to files, and a database's URL into the configuration, mode 0600
 *           (docs/secrets.md).
 */
#ifndef CLI_BENCH_SIGNER_H
#define CLI_BENCH_SIGNER_H

#include "base/error.h"

#include "cli/bench_request.h"
#include "cli/own_signer.h"

struct bench_signer {
    struct own_signer own;
    size_t keys;
    const char *
        database; /* URL of a database for the history, borrowed; NULL: SQLite. The history stays there */
    char (*names)[BENCH_NAME_SIZE];
    char token_line[BENCH_TOKEN_LINE_SIZE]; /* a header with its end; "": the signer is open */
};

/* Makes the directory below `below` and the keys. */
CC_ERR bench_signer_make(const char *below, size_t keys, struct bench_signer *ret_signer);
/* Makes a token: from the next start on the signer enforces a policy that knows it, and the token alone. */
CC_ERR bench_signer_make_token(struct bench_signer *signer);
/* Makes the chamber, starts the server with this signing.engine (NULL: the default) and waits until all keys are ready. */
CC_ERR bench_signer_start(struct bench_signer *signer, const char *engine);
/* Stops the server, and counts the attestations that its history holds; then the chamber is removed, the keys stay. */
CC_ERR bench_signer_stop(struct bench_signer *signer, uint64_t *ret_records);
void bench_signer_close(struct bench_signer *signer);

#endif
