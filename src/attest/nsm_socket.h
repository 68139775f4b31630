/* attest/nsm_socket.h - a security module in software, in builds with test switches.
 *
 * WHAT      The path of a Unix stream socket stands for a device: request and answer go over it with their length before
 *           them (4 bytes, little-endian). tests/support/nsm_device.py is at the other end.
 * PROMISE   A release build has none of it: there a socket is no device. What such a device signs is worth nothing
 *           to who trusts AWS's root alone.
 * THREADS   As attest/nsm.h.   OWNERSHIP None.   ERRORS NSM.   SECRETS None.
 */
#ifndef ATTEST_NSM_SOCKET_H
#define ATTEST_NSM_SOCKET_H

#include <errno.h>

#include "base/error.h"
#include "base/span.h"

#ifdef CC_TESTING
/* Connects; -1 and errno where that fails. */
int nsm_socket_open(const char *path);
bool nsm_socket_is(int fd);
CC_ERR
nsm_socket_exchange(int fd, struct span request, uint8_t *ret_answer, size_t size, size_t *ret_len);
#else
static inline int nsm_socket_open(const char *path)
{
    (void)path;
    errno = ENXIO;
    return -1;
}
static inline bool nsm_socket_is(int fd)
{
    (void)fd;
    return false;
}
static inline CC_ERR
nsm_socket_exchange(int fd, struct span request, uint8_t *ret_answer, size_t size, size_t *ret_len)
{
    (void)fd, (void)request, (void)ret_answer, (void)size, (void)ret_len;
    return CC_FAIL(NSM, NULL);
}
#endif

#endif
