#include "net/metrics_page.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"

enum {
    VISITORS_MAX = 8,
    HEAD_MAX = 4096,
    ANSWER_MAX = 1 << 20,
    PATIENCE_MS = 5000,
    UNIX_MODE = 0660
};

struct visitor {
    int fd; /* -1: free */
    uint64_t deadline_ms;
    size_t got;
    uint8_t head[HEAD_MAX];
    struct buf answer;
    size_t sent;
};

struct metrics_page {
    int epoll;
    int listener;
    char path[ENDPOINT_HOST_SIZE]; /* of a Unix socket; "": none */
    metrics_text_fn *text;
    void *context;
    struct visitor visitors[VISITORS_MAX];
};

/* --- the request ------------------------------------------------------------------------------------------------------------ */

static bool begins(struct span head, const char *with)
{
    size_t len = strlen(with);
    return head.len >= len && span_is(span_of(head.data, len), with);
}

int metrics_page_status(struct span head)
{
    if (head.len < 4 || !memmem(head.data, head.len, "\r\n\r\n", 4))
        return head.len >= HEAD_MAX ? 400 : 0;
    const uint8_t *end = memmem(head.data, head.len, "\r\n", 2);
    struct span line = span_of(head.data, (size_t)(end - head.data));
    if (line.len < 9 || (!span_is(span_of(line.data + line.len - 9, 9), " HTTP/1.1") &&
                         !span_is(span_of(line.data + line.len - 9, 9), " HTTP/1.0")))
        return 400;
    if (!begins(line, "GET "))
        return 405;
    return begins(line, "GET /metrics ") || begins(line, "GET /metrics?") ? 200 : 404;
}

/* --- a visitor -------------------------------------------------------------------------------------------------------------- */

static void see_off(struct visitor *v)
{
    fd_closep(&v->fd); /* it leaves the epoll set by that */
    buf_release(&v->answer);
    v->got = v->sent = 0;
}

static cc_err put_answer(struct metrics_page *page, struct visitor *v, int status)
{
    CC_CLEANUP(buf_release) struct buf body = buf_init(ANSWER_MAX / 2);
    if (status == 200 && page->text(page->context, &body).code) {
        status = 500;
        body.len = 0;
    }
    const char *reason = status == 200   ? "OK"
                         : status == 404 ? "Not Found"
                         : status == 405 ? "Method Not Allowed"
                         : status == 400 ? "Bad Request"
                                         : "Internal Server Error";
    v->answer = buf_init(ANSWER_MAX);
    CC_TRY(buf_printf(&v->answer,
                      "HTTP/1.1 %d %s\r\nContent-Type: text/plain; version=0.0.4\r\n"
                      "Content-Length: %zu\r\nConnection: close\r\n\r\n",
                      status, reason, body.len));
    return body.len ? buf_append(&v->answer, body.data, body.len) : CC_OK;
}

static void send_some(struct metrics_page *page, struct visitor *v)
{
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = v};
    ssize_t n =
        send(v->fd, v->answer.data + v->sent, v->answer.len - v->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN) {
        see_off(v);
        return;
    }
    v->sent += n > 0 ? (size_t)n : 0;
    if (v->sent == v->answer.len) {
        (void)shutdown(v->fd, SHUT_WR);
        see_off(v);
    } else if (epoll_ctl(page->epoll, EPOLL_CTL_MOD, v->fd, &event) != 0) {
        see_off(v);
    }
}

static void read_some(struct metrics_page *page, struct visitor *v)
{
    ssize_t n = recv(v->fd, v->head + v->got, HEAD_MAX - v->got, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        see_off(v);
        return;
    }
    v->got += (size_t)n;
    int status = metrics_page_status(span_of(v->head, v->got));
    if (status == 0)
        return;
    if (put_answer(page, v, status).code)
        see_off(v);
    else
        send_some(page, v);
}

/* A free place, or that of the one who has been here longest. */
static struct visitor *place(struct metrics_page *page)
{
    struct visitor *oldest = &page->visitors[0];
    for (size_t i = 0; i < VISITORS_MAX; i++) {
        struct visitor *v = &page->visitors[i];
        if (v->fd < 0)
            return v;
        if (v->deadline_ms < oldest->deadline_ms)
            oldest = v;
    }
    see_off(oldest);
    return oldest;
}

static void welcome(struct metrics_page *page)
{
    int fd = accept4(page->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct visitor *v = place(page);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = v};
    v->fd = fd;
    v->deadline_ms = clock_mono_ms() + PATIENCE_MS;
    if (epoll_ctl(page->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        see_off(v);
}

/* --- the page ---------------------------------------------------------------------------------------------------------------- */

int metrics_page_fd(const struct metrics_page *page)
{
    return page->epoll;
}

uint16_t metrics_page_port(const struct metrics_page *page)
{
    return endpoint_port_of(page->listener);
}

/* One event a turn: another may belong to a visitor whose place the first has given away. */
void metrics_page_turn(struct metrics_page *page)
{
    struct epoll_event event;
    uint64_t now = clock_mono_ms();
    if (epoll_wait(page->epoll, &event, 1, 0) == 1) {
        struct visitor *v = event.data.ptr;
        if (!v)
            welcome(page);
        else if (v->answer.len)
            send_some(page, v);
        else
            read_some(page, v);
    }
    for (size_t i = 0; i < VISITORS_MAX; i++)
        if (page->visitors[i].fd >= 0 && now >= page->visitors[i].deadline_ms)
            see_off(&page->visitors[i]);
}

static cc_err open_page(struct metrics_page *page, const struct endpoint *at)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    CC_TRY(endpoint_listen(at, UNIX_MODE, &page->listener));
    if (at->kind == ENDPOINT_UNIX)
        (void)snprintf(page->path, sizeof page->path, "%s", at->host);
    page->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (page->epoll < 0 || epoll_ctl(page->epoll, EPOLL_CTL_ADD, page->listener, &event) != 0)
        return CC_FAIL(SYSTEM, "epoll");
    return CC_OK;
}

CC_ERR metrics_page_open(const struct endpoint *at,
                         metrics_text_fn *text,
                         void *context,
                         struct metrics_page **ret_page)
{
    struct metrics_page *page = cc_alloc(sizeof *page);
    if (!page)
        return CC_FAIL(NO_MEMORY, "metrics page");
    page->epoll = page->listener = -1;
    page->text = text;
    page->context = context;
    for (size_t i = 0; i < VISITORS_MAX; i++)
        page->visitors[i].fd = -1;
    cc_err err = open_page(page, at);
    if (err.code) {
        metrics_page_free(page);
        return err;
    }
    *ret_page = page;
    return CC_OK;
}

void metrics_page_free(struct metrics_page *page)
{
    if (!page)
        return;
    for (size_t i = 0; i < VISITORS_MAX; i++)
        see_off(&page->visitors[i]);
    if (page->path[0])
        (void)unlink(page->path);
    fd_closep(&page->listener);
    fd_closep(&page->epoll);
    cc_free(page);
}
