#include "attest/atls_line.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>

#include "base/alloc.h"
#include "base/io.h"

#include "attest/tls_client.h"

struct atls_line {
    struct atls_client *client;
    struct atls_session *session;
    int fd;
    int patience_ms;
};

/* True when it is worth another try; else *ret_err says why not. */
static bool wait_for(const struct atls_line *line, enum atls_progress progress, cc_err *ret_err)
{
    struct pollfd one = {.fd = line->fd,
                         .events = progress == ATLS_WANTS_TO_WRITE ? POLLOUT : POLLIN};
    switch (progress) {
    case ATLS_DONE:
    case ATLS_ENDED:
        *ret_err = CC_OK;
        return false;
    case ATLS_FAILED:
        *ret_err = error_make((enum error_code)atls_session_error(line->session).code,
                              atls_session_detail(line->session), __FILE__, __LINE__);
        return false;
    case ATLS_WANTS_TO_READ:
    case ATLS_WANTS_TO_WRITE:
        break;
    }
    if (poll(&one, 1, line->patience_ms) == 1)
        return true;
    *ret_err = CC_FAIL(IO, "the signer does not answer");
    return false;
}

static cc_err shake_hands(const struct atls_line *line)
{
    cc_err err;
    while (wait_for(line, atls_session_shake_hands(line->session), &err))
        ;
    return err;
}

static cc_err open_line(struct atls_line *line, const struct atls_line_options *options)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    int flags = fcntl(line->fd, F_GETFL);
    if (sigaction(SIGPIPE, &ignore, NULL) != 0 || flags < 0 ||
        fcntl(line->fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return CC_FAIL(SYSTEM, "fcntl");
    CC_TRY(atls_client_new(options->policy, &line->client));
    CC_TRY(atls_session_new(line->client, line->fd, options->name, &line->session));
    return shake_hands(line);
}

CC_ERR
atls_line_open(int fd, const struct atls_line_options *options, struct atls_line **ret_line)
{
    struct atls_line *line = cc_alloc(sizeof *line);
    if (!line) {
        fd_closep(&fd);
        return CC_FAIL(NO_MEMORY, "attested TLS");
    }
    *line = (struct atls_line){.fd = fd, .patience_ms = (int)options->patience_ms};
    cc_err err = open_line(line, options);
    if (err.code) {
        atls_line_close(line);
        return err;
    }
    *ret_line = line;
    return CC_OK;
}

void atls_line_close(struct atls_line *line)
{
    if (!line)
        return;
    atls_session_free(line->session);
    atls_client_free(line->client);
    fd_closep(&line->fd);
    cc_free(line);
}

void atls_line_closep(struct atls_line **line)
{
    atls_line_close(*line);
}

const struct atls_peer *atls_line_peer(const struct atls_line *line)
{
    return atls_session_peer(line->session);
}

CC_ERR atls_line_send(struct atls_line *line, const void *data, size_t len)
{
    const uint8_t *at = data;
    while (len) {
        size_t n = 0;
        cc_err err;
        enum atls_progress progress = atls_session_write(line->session, at, len, &n);
        if (progress != ATLS_DONE && !wait_for(line, progress, &err)) {
            CC_TRY(err);
            return CC_FAIL(IO, "the signer has ended the connection");
        }
        at += n;
        len -= n;
    }
    return CC_OK;
}

CC_ERR atls_line_receive(struct atls_line *line, void *into, size_t room, size_t *ret_len)
{
    for (;;) {
        cc_err err;
        *ret_len = 0;
        enum atls_progress progress = atls_session_read(line->session, into, room, ret_len);
        if (!wait_for(line, progress, &err))
            return err;
    }
}
