/* cli/foreign_text.h - text that another program sent, on its way to a terminal.
 *
 * WHAT      Prints such text inside a line.
 * PROMISE   No control character comes out, those of two bytes of UTF-8 and line ends among them: each is a '?'. At most
 *           FOREIGN_TEXT_MAX bytes are read; "..." says that there was more.
 * THREADS   One.
 * OWNERSHIP Borrows the text.
 * ERRORS    None.
 * SECRETS   None.
 */
#ifndef CLI_FOREIGN_TEXT_H
#define CLI_FOREIGN_TEXT_H

#include <stdio.h>

#include "base/span.h"

enum {
    FOREIGN_TEXT_MAX = 512
};

/* How many bytes at the text's beginning are a control character: 0, 1, or 2 for one of UTF-8 (U+0080 to U+009F). `left` > 0. */
size_t foreign_text_control(const uint8_t *at, size_t left);
void foreign_text_print(FILE *stream, struct span text);

#endif
