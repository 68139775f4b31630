/* cli/attest_proxy.h - `attest proxy`.
 *
 * WHAT      attest/proxy.h as a program.
 * PROMISE   Clients come from loopback or a Unix socket, unless --allow-remote-clients says otherwise: between them and here nothing is
 *           encrypted. The process leaves no core file.
 * THREADS   Main only.   OWNERSHIP Borrows argv and environment.   ERRORS Exit codes of app/supervisor.h.   SECRETS As attest/proxy.h.
 */
#ifndef CLI_ATTEST_PROXY_H
#define CLI_ATTEST_PROXY_H

#include "cli/command.h"

int command_attest_proxy(struct arguments *arguments);

#endif
