/* cli/secret_source.h - a secret for a command: from the environment, a file, a descriptor, or the person at the terminal.
 *
 * WHAT      Reads env:NAME, file:PATH and fd:N; asks at the terminal without an echo.
 * PROMISE   Never from an argument itself: those stand in the process list. The terminal gets its echo back, also when the process is ended
 *           by a signal meanwhile. One line end at the end is not part of the secret.
 * THREADS   Main only.
 * OWNERSHIP By value; secret_text_wipep() ends one.
 * ERRORS    MALFORMED (not there, empty, too long, or no such kind of source), IO (no terminal).
 * SECRETS   The text, in the caller's memory; what it was read into is wiped. An environment variable stays the process's own.
 */
#ifndef CLI_SECRET_SOURCE_H
#define CLI_SECRET_SOURCE_H

#include "base/span.h"

#include "secret/wipe.h"

enum {
    SECRET_TEXT_MAX = 512
};

struct secret_text {
    char text[SECRET_TEXT_MAX + 1];
    size_t len;
};

static inline void secret_text_wipep(struct secret_text *secret)
{
    wipe(secret, sizeof *secret);
}

CC_ERR secret_read(const char *source, char *const *environment, struct secret_text *ret_secret);

/* Asks `question` at the terminal, whatever standard input and output are. */
CC_ERR terminal_ask_secret(const char *question, struct secret_text *ret_secret);
/* Writes to the terminal alone: what is shown once, and stands in no file and no pipe. */
CC_ERR terminal_show(const char *text);
/* CC_OK for the word `yes`; MALFORMED for anything else. `instead`: the error's detail where there is no terminal, which names the option that takes
 * the question's place.
 */
CC_ERR terminal_confirm(const char *question, const char *instead);

#endif
