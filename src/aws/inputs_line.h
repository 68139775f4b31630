/* aws/inputs_line.h - inputs of the credential chain for a room that can't see them.
 *
 * WHAT      A line (a stream socket) between the core and a reader, a process of the supervisor's: one side asks for an
 *           input by its number, the other answers with its text.
 * PROMISE   The asking side chooses a number and nothing else: which file is read and which process run follows from the
 *           operator's own settings (aws/inputs.h). An answer that comes too late is never taken for another's.
 * THREADS   The asking side: as struct aws_inputs. The answering side: a process of its own.
 * OWNERSHIP Descriptors are the caller's.
 * ERRORS    AWS_CREDENTIALS (no answer in time, the line has ended, a malformed answer), and what the reader's read() says,
 *           without its detail: the reader logs that.
 * SECRETS   As aws/inputs.h; they pass through the kernel's socket buffers.
 */
#ifndef AWS_INPUTS_LINE_H
#define AWS_INPUTS_LINE_H

#include "aws/inputs.h"

struct aws_inputs_line {
    int fd;
    uint32_t timeout_ms;
    uint32_t asked; /* private */
};

/* Longer than the longest input takes. */
enum {
    AWS_INPUTS_LINE_TIMEOUT_MS = 40000
};

/* `line` is borrowed. */
struct aws_inputs aws_inputs_of_line(struct aws_inputs_line *line);

/* Answers one question; false when the line has ended. */
bool aws_inputs_answer(int fd, const struct aws_inputs *inputs);

#endif
