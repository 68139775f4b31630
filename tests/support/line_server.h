/* support/line_server.h - a helper in Python that a test program talks to by lines.
 *
 * It prints where it is to be found, then answers each line of its standard input with one line; its input's end is its own. Started at
 * first use, ended with the program.
 */
#ifndef SUPPORT_LINE_SERVER_H
#define SUPPORT_LINE_SERVER_H

#include <stdarg.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/macros.h"

struct line_server {
    const char *program; /* below the source's root */
    /* private */
    pid_t pid;
    FILE *to;
    FILE *from;
    char endpoint[128];
};

const char *line_server_endpoint(struct line_server *server);
/* One line, whose answer is "ok": else the test fails. */
void line_server_do(struct line_server *server, const char *fmt, va_list ap) CC_PRINTF(2, 0);
/* One whose answer is a number. */
unsigned line_server_ask(struct line_server *server, const char *fmt, va_list ap) CC_PRINTF(2, 0);

#endif
