/* Connections whose TLS handshake is under way.
 *
 * libmicrohttpd 0.9.75 with epoll takes a connection for readable until it has itself read all there is, and during a
 * handshake GnuTLS reads: a client that sends nothing, or half a message, would keep the loop turning without a rest. So a
 * connection whose handshake waits is suspended after each turn, watched by the loop's own epoll, and resumed when the
 * socket is ready. Deadlines and places are those of every connection (http.c).
 */
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "front/http_inside.h"

static void list_add(struct connection **list, struct connection *c)
{
    c->handshake.list = list;
    c->handshake.previous = NULL;
    c->handshake.next = *list;
    if (*list)
        (*list)->handshake.previous = c;
    *list = c;
}

static void list_remove(struct connection *c)
{
    struct handshake *s = &c->handshake;
    if (s->next)
        s->next->handshake.previous = s->previous;
    if (s->previous)
        s->previous->handshake.next = s->next;
    else
        *s->list = s->next;
}

void handshake_begin(struct http *h, struct connection *c, struct MHD_Connection *mhd, int fd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (!info || !info->tls_session || !tls_begin(h->tls, info->tls_session, &c->tls)) {
        (void)shutdown(fd, SHUT_RDWR);
        return;
    }
    c->handshake = (struct handshake){.mhd = mhd, .session = info->tls_session, .fd = fd};
    list_add(&c->loop->moving, c);
}

void handshake_end(struct connection *c)
{
    if (!c->handshake.mhd)
        return;
    list_remove(c);
    c->handshake = (struct handshake){0};
}

bool handshake_identify(struct connection *c, struct MHD_Connection *mhd)
{
    if (c->listener != LISTENER_TLS || c->tls.told)
        return true;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (!info || !info->tls_session || tls_identify(info->tls_session, &c->tls).code)
        return false;
    c->tls.told = true;
    c->caller.certificate = c->tls.certificate;
    memcpy(c->caller.fingerprint, c->tls.fingerprint, sizeof c->caller.fingerprint);
    return true;
}

static void resume(struct loop *loop, struct connection *c)
{
    (void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, c->handshake.fd, NULL);
    list_remove(c);
    list_add(&loop->moving, c);
    MHD_resume_connection(c->handshake.mhd);
}

/* One that can't be watched goes on as libmicrohttpd does it: it has a deadline. */
static void rest(struct loop *loop, struct connection *c)
{
    const struct handshake *s = &c->handshake;
    uint32_t wanted = tls_wants_to_write(s->session) ? EPOLLOUT : EPOLLIN;
    struct epoll_event event = {.events = wanted | EPOLLRDHUP,
                                .data.u64 = loop_event(SOURCE_HANDSHAKE, s->fd)};
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, s->fd, &event) != 0)
        return;
    list_remove(c);
    list_add(&loop->resting, c);
    MHD_suspend_connection(s->mhd);
}

void handshakes_rest(struct loop *loop)
{
    struct connection *next = NULL;
    for (struct connection *c = loop->moving; c; c = next) {
        next = c->handshake.next;
        if (c->tls.shook_hands)
            handshake_end(c);
        else
            rest(loop, c);
    }
}

void handshake_wake(struct loop *loop, int fd)
{
    struct connection *c = &loop->http->connections[fd];
    if (c->handshake.list == &loop->resting)
        resume(loop, c);
}

void handshakes_wake_all(struct loop *loop)
{
    while (loop->resting)
        resume(loop, loop->resting);
}
