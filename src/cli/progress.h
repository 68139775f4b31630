/* cli/progress.h - how far long work is: a bar on a terminal.
 *
 * WHAT      Begin with what there is to do, say now and then how much of it is done, end.
 * PROMISE   Goes to standard error. On a terminal one line that is written over, ten times a second at most, and gone at the end;
 *           elsewhere nothing, or with PROGRESS_LINES a line every PROGRESS_LINE_MS, so short work says nothing.
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

enum progress_how {
    PROGRESS_NONE, /* --json, whose reader is a program; zeros are this */
    PROGRESS_BAR,  /* on a terminal alone */
    PROGRESS_LINES, /* elsewhere too: keys and histories that go in and out are left to run for hours */
};

struct progress {
    const char *what; /* "checking" */
    uint64_t total;   /* 0: not known */
    /* private */
    enum progress_how how;
    bool terminal;
    bool shown;
    uint64_t next_ms;
};

void progress_begin(struct progress *p, const char *what, uint64_t total, enum progress_how how);
void progress_at(struct progress *p, uint64_t done);
void progress_end(struct progress *p);

#endif
