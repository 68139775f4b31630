#include "seal/factor_hidraw.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/hidraw.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"

#include "seal/factor_test_token.h"

enum {
    VENDOR_YUBICO = 0x1050,
    DEVICES_MAX = 64,
    PATH_SIZE = 32,
    NUMBERED = YUBIKEY_REPORT_SIZE + 1 /* report 0, then its bytes */
};

/* Generic Desktop, Keyboard: how the report descriptor of the OTP interface begins. */
static const uint8_t keyboard[] = {0x05, 0x01, 0x09, 0x06};

static bool is_yubikey(int fd)
{
    struct hidraw_devinfo info;
    struct hidraw_report_descriptor descriptor = {0};
    int size = 0;
    if (ioctl(fd, HIDIOCGRAWINFO, &info) < 0 || (uint16_t)info.vendor != VENDOR_YUBICO)
        return false;
    if (ioctl(fd, HIDIOCGRDESCSIZE, &size) < 0 || size < (int)sizeof keyboard)
        return false;
    descriptor.size = (uint32_t)size;
    return ioctl(fd, HIDIOCGRDESC, &descriptor) >= 0 &&
           span_equal(span_of(descriptor.value, sizeof keyboard),
                      span_of(keyboard, sizeof keyboard));
}

static cc_err open_named(const char *path, struct hidraw *device)
{
    device->is_open = test_token_open(path, &device->fd);
    if (device->is_open)
        return CC_OK;
    device->fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    device->is_open = device->fd >= 0;
    if (!device->is_open)
        return CC_FAIL(FACTOR,
                       "the device can't be opened: it takes a udev rule for hidraw, or root");
    if (!is_yubikey(device->fd))
        return CC_FAIL(FACTOR, "the device is no YubiKey with its OTP interface switched on");
    return CC_OK;
}

static cc_err find(struct hidraw *device)
{
    bool closed = false;
    for (int i = 0; i < DEVICES_MAX; i++) {
        char path[PATH_SIZE];
        (void)snprintf(path, sizeof path, "/dev/hidraw%d", i);
        int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
        closed = closed || (fd < 0 && errno == EACCES);
        if (fd < 0 || !is_yubikey(fd)) {
            fd_closep(&fd);
            continue;
        }
        if (device->is_open) {
            fd_closep(&fd);
            return CC_FAIL(FACTOR, "several YubiKeys are plugged in: name one with --device");
        }
        *device = (struct hidraw){true, fd};
    }
    if (device->is_open)
        return CC_OK;
    return closed ? CC_FAIL(FACTOR,
                            "hidraw devices are closed to this user: it takes a udev rule, or root")
                  : CC_FAIL(FACTOR, "no YubiKey is plugged in");
}

CC_ERR hidraw_open(const char *path, struct hidraw *ret_device)
{
    *ret_device = (struct hidraw){false, -1};
    cc_err err = path ? open_named(path, ret_device) : find(ret_device);
    if (err.code)
        hidraw_close(ret_device);
    return err;
}

void hidraw_close(struct hidraw *device)
{
    if (device->is_open)
        fd_closep(&device->fd);
    *device = (struct hidraw){false, -1};
}

static cc_err get(void *context, uint8_t ret_report[static YUBIKEY_REPORT_SIZE])
{
    const struct hidraw *device = context;
    uint8_t numbered[NUMBERED] = {0};
    if (test_token_is(device->fd))
        return test_token_report(device->fd, 'G', ret_report) ? CC_OK : CC_FAIL(IO, "no token");
    const int n = ioctl(device->fd, HIDIOCGFEATURE(NUMBERED), numbered);
    if (n < YUBIKEY_REPORT_SIZE)
        return CC_FAIL(IO, "the YubiKey does not answer: was it pulled out?");
    memcpy(ret_report, numbered + (n == NUMBERED ? 1 : 0), YUBIKEY_REPORT_SIZE);
    wipe(numbered, sizeof numbered);
    return CC_OK;
}

static cc_err set(void *context, const uint8_t report[static YUBIKEY_REPORT_SIZE])
{
    const struct hidraw *device = context;
    uint8_t numbered[NUMBERED] = {0};
    memcpy(numbered + 1, report, YUBIKEY_REPORT_SIZE);
    if (test_token_is(device->fd))
        return test_token_report(device->fd, 'S', numbered + 1) ? CC_OK : CC_FAIL(IO, "no token");
    if (ioctl(device->fd, HIDIOCSFEATURE(NUMBERED), numbered) < 0)
        return CC_FAIL(IO, "the YubiKey takes nothing: was it pulled out?");
    return CC_OK;
}

static void wait(void *context, uint32_t ms)
{
    const struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};
    (void)context;
    (void)nanosleep(&time, NULL);
}

void hidraw_port(struct hidraw *device, void (*touch)(void *), struct yubikey_port *ret_port)
{
    *ret_port = (struct yubikey_port){device, get, set, wait, touch};
}
