/* cli/complete.h - what may come next on a command line, for the shells' completion.
 *
 * WHAT      Reads the words out of a command's usage, which `--help` prints as well: subcommands at the beginning of its
 *           alternatives, options, and the choices of an option. One word a line.
 * PROMISE   Nothing is completed that the usage does not name, so that the two can't differ.
 * THREADS   Any.   OWNERSHIP Borrows.   ERRORS None: where nothing is known, nothing is printed.   SECRETS None.
 */
#ifndef CLI_COMPLETE_H
#define CLI_COMPLETE_H

#include <stdio.h>

#include "base/span.h"

/* What stands behind the command's name; the last word is the one that is being typed, maybe "". */
struct complete_words {
    int count; /* 1 and more */
    char **items;
};

/* `more`: the usage of the subcommand alone, where there is one; else NULL. */
void complete_print(FILE *out,
                    const char *usage,
                    const char *more,
                    const struct complete_words *words);
/* The `n`th word that is no option, but for the one being typed; "" when there is none. */
const char *complete_word(const struct complete_words *words, int n);

#endif
