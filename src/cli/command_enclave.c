#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"

#include "app/landlock.h"
#include "app/notify.h"
#include "app/sandbox.h"
#include "cli/command.h"
#include "cli/proxy_plan.h"
#include "net/forward.h"
#include "net/metrics_page.h"
#include "secret/harden.h"

enum {
    PLAN_MAX = 1 << 20,
    FD_RESERVE = 32, /* listeners, metrics, name servers */
    PLACES_MIN = 8
};

static const struct flag {
    const char *name;
    const char *setting;
    bool is_switch;
} flags[] = {
    {"--ingress", "ingress", false},
    {"--egress", "egress", false},
    {"--enclave-cid", "enclave_cid", false},
    {"--metrics", "metrics", false},
    {"--drain-seconds", "drain_seconds", false},
    {"--idle-seconds", "idle_seconds", false},
    {"--places", "places", false},
    {"--proxy-protocol", "proxy_protocol", true},
};

static struct proxy_plan plan;

_Static_assert((int)FORWARD_ROUTES_MAX < (int)LANDLOCK_ENDPOINTS_MAX, "and a page of metrics");

/* --- the plan ------------------------------------------------------------------------------------------------------------------ */

static int read_plan(const struct arguments *arguments, const char *path)
{
    struct proxy_plan_fault fault = {0};
    CC_CLEANUP(buf_release) struct buf text = buf_init(PLAN_MAX);
    cc_err err = file_read(path, &text);
    if (!err.code)
        err = proxy_plan_read(&plan, buf_span(&text), &fault);
    if (!err.code)
        return EXIT_CODE_DONE;
    (void)fprintf(stderr, "containment-chamber %s: %s:%u: %s%s%s\n", arguments->command, path,
                  fault.line, fault.name, fault.name[0] ? ": " : "",
                  error_detail()[0] ? error_detail() : error_text(err));
    return EXIT_CODE_REFUSED;
}

static int set(const struct arguments *arguments, const struct flag *flag, const char *value)
{
    cc_err err = proxy_plan_set(&plan, span_str(flag->setting), span_str(value));
    if (!err.code)
        return EXIT_CODE_DONE;
    (void)fprintf(stderr, "containment-chamber %s: %s %s: %s\n", arguments->command, flag->name,
                  value, error_detail());
    return EXIT_CODE_USAGE;
}

/* Every occurrence, in their order. */
static int take_flag(struct arguments *arguments, const struct flag *flag)
{
    const char *value = NULL;
    if (flag->is_switch)
        return command_take_switch(arguments, flag->name) ? set(arguments, flag, "true")
                                                          : EXIT_CODE_DONE;
    int code = command_take_value(arguments, flag->name, &value);
    while (code == EXIT_CODE_DONE && value) {
        code = set(arguments, flag, value);
        if (code == EXIT_CODE_DONE)
            code = command_take_value(arguments, flag->name, &value);
    }
    return code;
}

static int take_plan(struct arguments *arguments)
{
    const char *path = NULL;
    proxy_plan_init(&plan);
    int code = command_take_value(arguments, "-c", &path);
    if (code == EXIT_CODE_DONE && path)
        code = read_plan(arguments, path);
    for (size_t i = 0; i < ARRAY_LEN(flags) && code == EXIT_CODE_DONE; i++)
        code = take_flag(arguments, &flags[i]);
    if (code == EXIT_CODE_DONE)
        code = command_refuse_rest(arguments);
    if (code == EXIT_CODE_DONE && proxy_plan_finish(&plan).code)
        code = command_usage(arguments, error_detail(), NULL);
    return code;
}

/* --- running ------------------------------------------------------------------------------------------------------------------- */

struct proxy {
    struct forward *forward;
    struct metrics_page *page; /* NULL: none */
    struct notify notify;
    int signals;
    bool draining;
    uint64_t end_ms; /* while draining */
};

/* Two descriptors for a connection. Where there are fewer, no route may take those of another one. */
static void fit_places(void)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)plan.places * plan.count * 2 + FD_RESERVE + plan.count;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max >= wanted)
        return;
    rlim_t left = limit.rlim_max > FD_RESERVE + plan.count
                      ? (limit.rlim_max - FD_RESERVE - plan.count) / 2 / plan.count
                      : 0;
    uint32_t places = left > PLACES_MIN ? (uint32_t)left : PLACES_MIN;
    log_warn("fewer files may be open than the places need: each route has fewer",
             KV_NUM("limit", limit.rlim_max), KV_NUM("wanted", wanted), KV_NUM("places", places));
    for (size_t i = 0; i < plan.count; i++)
        plan.routes[i].places = places;
}

static cc_err take_signals(int *ret_fd)
{
    sigset_t set_of;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigemptyset(&set_of);
    (void)sigaddset(&set_of, SIGTERM);
    (void)sigaddset(&set_of, SIGINT);
    if (sigaction(SIGPIPE, &ignore, NULL) != 0 || sigprocmask(SIG_BLOCK, &set_of, NULL) != 0)
        return CC_FAIL(SYSTEM, "signals");
    *ret_fd = signalfd(-1, &set_of, SFD_CLOEXEC | SFD_NONBLOCK);
    return *ret_fd >= 0 ? CC_OK : CC_FAIL(SYSTEM, "signalfd");
}

static cc_err report(void *context, struct buf *out)
{
    return forward_report(context, out);
}

static cc_err open_page(struct proxy *proxy)
{
    if (!plan.has_metrics)
        return CC_OK;
    cc_err err = metrics_page_open(&plan.metrics, report, proxy->forward, &proxy->page);
    if (err.code)
        log_error("cannot listen for metrics", KV_ERR(err));
    return err;
}

static void log_route(const struct proxy *proxy, size_t i)
{
    char from[ENDPOINT_TEXT_SIZE], to[ENDPOINT_TEXT_SIZE];
    endpoint_text(&plan.routes[i].from, from);
    endpoint_text(&plan.routes[i].to, to);
    log_notice("carrying", KV_STR("way", plan.routes[i].way), KV_STR("from", from),
               KV_STR("to", to), KV_NUM("port", forward_port(proxy->forward, i)));
}

static cc_err enter_sandbox(void)
{
    struct landlock_endpoints ends = {.listen_count = 0};
    for (size_t i = 0; i < plan.count; i++) {
        ends.listens[ends.listen_count++] = &plan.routes[i].from;
        ends.targets[ends.target_count++] = &plan.routes[i].to;
    }
    if (plan.has_metrics)
        ends.listens[ends.listen_count++] = &plan.metrics;
    return landlock_enter_proxy(&ends);
}

static cc_err open_all(struct proxy *proxy, char *const *environment)
{
    const struct forward_options options = {
        .routes = plan.routes, .count = plan.count, .idle_ms = plan.idle_seconds * 1000U};
    CC_TRY(harden_process());
    CC_TRY(take_signals(&proxy->signals)); /* before the threads that look names up */
    fit_places();
    CC_TRY(enter_sandbox());
    CC_TRY(forward_new(&options, &proxy->forward));
    CC_TRY(open_page(proxy));
    CC_TRY(sandbox_lock_proxy());
    for (size_t i = 0; i < plan.count; i++)
        log_route(proxy, i);
    notify_init(&proxy->notify, environment);
    notify_send(&proxy->notify, "READY=1\nSTATUS=carrying");
    return CC_OK;
}

/* The first signal drains, the second ends at once. */
static void on_signal(struct proxy *proxy)
{
    struct signalfd_siginfo info;
    while (read(proxy->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        proxy->end_ms =
            clock_mono_ms() + (proxy->draining ? 0 : plan.drain_seconds * UINT64_C(1000));
        if (proxy->draining)
            continue;
        proxy->draining = true;
        log_notice("draining", KV_NUM("seconds", plan.drain_seconds),
                   KV_NUM("open", forward_open(proxy->forward)));
        forward_drain(proxy->forward); /* before it is told: who hears it finds no listener */
        notify_send(&proxy->notify, "STOPPING=1\nSTATUS=draining");
    }
}

static bool is_over(const struct proxy *proxy)
{
    return proxy->draining &&
           (forward_open(proxy->forward) == 0 || clock_mono_ms() >= proxy->end_ms);
}

static cc_err carry(struct proxy *proxy)
{
    struct pollfd fds[] = {
        {.fd = proxy->signals, .events = POLLIN},
        {.fd = forward_fd(proxy->forward), .events = POLLIN},
        {.fd = proxy->page ? metrics_page_fd(proxy->page) : -1, .events = POLLIN},
    };
    while (!is_over(proxy)) {
        (void)poll(fds, ARRAY_LEN(fds), (int)forward_patience_ms(proxy->forward));
        if (fds[0].revents)
            on_signal(proxy);
        CC_TRY(forward_turn(proxy->forward, 0));
        if (proxy->page)
            metrics_page_turn(proxy->page);
    }
    return CC_OK;
}

static int run_proxy(char *const *environment)
{
    struct proxy proxy = {.signals = -1, .notify.fd = -1};
    log_init(STDERR_FILENO, true, LOG_LEVEL_INFO);
    cc_err err = open_all(&proxy, environment);
    if (!err.code)
        err = carry(&proxy);
    if (err.code)
        log_error("the proxy ends", KV_ERR(err));
    else
        log_notice("ended", KV_NUM("cut", forward_open(proxy.forward)));
    metrics_page_free(proxy.page);
    forward_free(proxy.forward);
    notify_release(&proxy.notify);
    fd_closep(&proxy.signals);
    return supervisor_exit_code(err);
}

int command_enclave(struct arguments *arguments)
{
    if (arguments->count == 0 || !span_is(span_str(arguments->items[0]), "proxy"))
        return command_usage(arguments, "proxy is what there is", NULL);
    arguments->items++;
    arguments->count--;
    int code = take_plan(arguments);
    return code == EXIT_CODE_DONE ? run_proxy(arguments->environment) : code;
}
