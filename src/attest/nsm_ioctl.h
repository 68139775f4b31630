/* attest/nsm_ioctl.h - the one call that /dev/nsm knows.
 *
 * WHAT      Number and argument of the ioctl, as linux/nsm.h has them from Linux 6.10 on: older headers lack the file.
 * PROMISE   The vault's filter lets this number pass and no other one (app/sandbox.def).
 * THREADS   Any.   OWNERSHIP None.   ERRORS None.   SECRETS None.
 */
#ifndef ATTEST_NSM_IOCTL_H
#define ATTEST_NSM_IOCTL_H

#include <stdint.h>
#include <sys/ioctl.h>

struct nsm_bytes {
    uint64_t at;
    uint64_t len;
};

struct nsm_raw {
    struct nsm_bytes request;
    struct nsm_bytes answer; /* .len: the room that there is, then the answer's length */
};

#define NSM_IOCTL_RAW _IOWR(0x0A, 0, struct nsm_raw)
_Static_assert(NSM_IOCTL_RAW == 0xC0200A00, "the driver's number");

#endif
