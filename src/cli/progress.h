/* cli/progress.h - how far long work is: a bar on a terminal, plain lines elsewhere.
 *
 * WHAT      Begin with what there is to do, say now and then how much of it is done, end.
 * PROMISE   Goes to standard error. On a terminal one line that is written over, ten times a second at most, and gone at the end;
 *           elsewhere a line every PROGRESS_LINE_MS, so short work says nothing.
 * THREADS   One.   OWNERSHIP Borrows `what`.   ERRORS None.   SECRETS None.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

enum {
    PROGRESS_BAR_MS = 100,
    PROGRESS_LINE_MS = 5000
};

struct progress {
    const char *what; /* "checking" */
    uint64_t total;   /* 0: not known */
    /* private */
    bool terminal;
    bool shown;
    uint64_t next_ms;
};

void progress_begin(struct progress *p, const char *what, uint64_t total);
void progress_at(struct progress *p, uint64_t done);
void progress_end(struct progress *p);

#endif
