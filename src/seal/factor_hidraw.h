/* seal/factor_hidraw.h - the YubiKey that is plugged in.
 *
 * WHAT      Finds it among the hidraw devices, and is the port of seal/factor_yubikey.h to it.
 * PROMISE   Where there are several, none is chosen: the caller names one. Nothing is written to a device that is not a YubiKey's keyboard
 *           interface.
 * THREADS   One.
 * OWNERSHIP hidraw_close() ends it; it takes zeros.
 * ERRORS    FACTOR (none, several, no access, not a YubiKey), IO.
 * SECRETS   Answers pass through; the copies are wiped.
 */
#ifndef SEAL_FACTOR_HIDRAW_H
#define SEAL_FACTOR_HIDRAW_H

#include "seal/factor_yubikey.h"

struct hidraw {
    bool is_open;
    int fd;
};

/* `path`: a hidraw device; NULL: the only YubiKey. */
CC_ERR hidraw_open(const char *path, struct hidraw *ret_device);
void hidraw_close(struct hidraw *device);
/* `touch` is called when the key waits for one. */
void hidraw_port(struct hidraw *device, void (*touch)(void *), struct yubikey_port *ret_port);

#endif
