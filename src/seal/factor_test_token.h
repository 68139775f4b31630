/* seal/factor_test_token.h - a YubiKey of tests: a program behind a Unix socket.
 *
 * WHAT      In builds for tests a path that is a Unix socket (SOCK_SEQPACKET) is a device: 'S' and a report sets, 'G' gets one, and the
 *           answer to each is a report.
 * PROMISE   A build without CC_TESTING has none of it: there is no such device.
 * THREADS   One.   OWNERSHIP The descriptor is the caller's.   ERRORS false.   SECRETS Those of tests.
 */
#ifndef SEAL_FACTOR_TEST_TOKEN_H
#define SEAL_FACTOR_TEST_TOKEN_H

#include <stdbool.h>

#include "base/macros.h"

#ifdef CC_TESTING
bool test_token_open(const char *path, int *ret_fd);
bool test_token_is(int fd);
bool test_token_report(int fd, char what, uint8_t report[static 8]);
#else
static inline bool test_token_open(const char *path, int *ret_fd)
{
    (void)path;
    (void)ret_fd;
    return false;
}

static inline bool test_token_is(int fd)
{
    (void)fd;
    return false;
}

static inline bool test_token_report(int fd, char what, uint8_t report[static 8])
{
    (void)fd;
    (void)what;
    (void)report;
    return false;
}
#endif

#endif
