/* cli/slashing_report.h - what `slashing` prints of an answer of the API (docs/openapi.yaml), which a command that works on the
 * store itself makes too.
 *
 * WHAT      Answers and refusals in words, and their exit codes.
 * PROMISE   An answer that says that records failed never ends with EXIT_CODE_DONE.
 * THREADS   One.   OWNERSHIP Borrows; the JSON text is changed by reading it.   ERRORS Exit codes of app/supervisor.h.   SECRETS None.
 */
#ifndef CLI_SLASHING_REPORT_H
#define CLI_SLASHING_REPORT_H

#include "slash/store.h"
#include "wire/door_a.h"

int slashing_exit_code(cc_err err);
int slashing_say_error(const char *what, cc_err err);
/* The sums of an import, on standard output, in words or as JSON. */
void slashing_print_import(const struct slash_import_report *report, bool json);
/* Prints an answer of status 200: as it is with `json`, else in words. EXIT_CODE_FAILED when it says that records failed. */
int slashing_print(enum a_slashing_verb verb, struct buf *answer, bool json);
/* Adds an import's answer to the sums, and prints its notes. */
CC_ERR slashing_take_import(struct buf *answer, struct slash_import_report *sum);
/* Prints a refusal; its exit code. */
int slashing_print_refusal(int status, struct buf *answer);
/* Why a high watermark that stands at the epoch is left, on standard error. */
void slashing_print_begun(unsigned long long epoch);

#endif
