/* cli/command_operator.h - help for one of the subcommands of `operator`.
 *
 * WHAT      `operator register --help` says what that one takes, and what it is for.
 * PROMISE   EXIT_CODE_USAGE, with nothing printed, where there is no such subcommand.
 * THREADS   Main only.   OWNERSHIP Borrows.   ERRORS Exit codes of app/supervisor.h.   SECRETS None.
 */
#ifndef CLI_COMMAND_OPERATOR_H
#define CLI_COMMAND_OPERATOR_H

#include "cli/command.h"

int command_operator_help(struct arguments *arguments);
/* What one takes; NULL where there is no such subcommand. */
const char *command_operator_usage(const char *name, const char *second);

#endif
