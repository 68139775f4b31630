/* aws/process.h - running a profile's credential_process.
 *
 * WHAT      Splits the command into words, as a shell would but without any of its other powers, runs it, and takes what it
 *           writes to standard output.
 * PROMISE   The process is ended when its time is over, and always reaped. It has this process's environment, no input,
 *           and its messages go nowhere.
 * THREADS   Never in a room. In the supervisor: in a child that it makes for this.
 * OWNERSHIP The caller's buf.
 * ERRORS    AWS_CREDENTIALS (malformed command, did not start, failed, took too long), LIMIT, NO_MEMORY.
 * SECRETS   The output.
 */
#ifndef AWS_PROCESS_H
#define AWS_PROCESS_H

#include "base/span.h"

enum {
    AWS_PROCESS_WORDS_MAX = 64,
    AWS_PROCESS_COMMAND_MAX = 4096,
    AWS_PROCESS_TIMEOUT_MS = 30000
};

struct aws_command {
    char text[AWS_PROCESS_COMMAND_MAX];
    char *words[AWS_PROCESS_WORDS_MAX + 1]; /* NULL ends */
};

/* Words between white space; '...' as it stands, "..." with \" and \\, \ before any other character. The first is the
 * program's path from the root: nothing is searched for.
 */
CC_ERR aws_command_split(struct span text, struct aws_command *ret_command);
CC_ERR aws_process_run(struct span command, uint32_t timeout_ms, struct buf *ret_output);

#endif
