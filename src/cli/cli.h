/* cli/cli.h - the command line.
 *
 * WHAT      One table of subcommands; every room is started through it as well (a hidden subcommand).
 * PROMISE   No secret is taken from argv, but by `web3signer` and `migrate`, whose options are another program's: it is overwritten there.
 *           Exit codes: 0 done, 1 failed, 2 usage, 3 refused, 4 locked (a store is in use).
 * THREADS   Main only.   OWNERSHIP Borrows argv.   ERRORS As exit codes.   SECRETS None.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

/* `environment`: as main() has it. */
int cli_main(int argc, char **argv, char **environment);

#endif
