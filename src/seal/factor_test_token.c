#include "seal/factor_test_token.h"

#ifdef CC_TESTING

#    include <string.h>
#    include <sys/socket.h>
#    include <sys/un.h>
#    include <unistd.h>

enum {
    REPORT = 8
};

bool test_token_open(const char *path, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return false;
    memcpy(address.sun_path, path, strlen(path) + 1);
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0) {
        *ret_fd = fd;
        return true;
    }
    if (fd >= 0)
        (void)close(fd);
    return false;
}

bool test_token_is(int fd)
{
    int type = 0;
    socklen_t len = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0;
}

bool test_token_report(int fd, char what, uint8_t report[static REPORT])
{
    uint8_t message[1 + REPORT] = {(uint8_t)what};
    memcpy(message + 1, report, REPORT);
    return send(fd, message, sizeof message, MSG_NOSIGNAL) == sizeof message &&
           recv(fd, report, REPORT, 0) == REPORT;
}

#endif
