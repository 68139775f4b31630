/* `attest proxy` */
#include "cli/attest_proxy.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cidr.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/num.h"

#include "app/landlock.h"
#include "app/notify.h"
#include "app/sandbox.h"
#include "attest/proxy.h"
#include "cli/attest_options.h"
#include "front/peer.h"
#include "secret/harden.h"

enum {
    DRAIN_S = 25,
    TURN_MS = 250,
    DESCRIPTORS_OWN = 64
};

struct wish {
    struct attest_options attest;
    struct attest_proxy_options proxy;
    uint32_t drain_seconds;
    bool allow_remote;
};

/* --- arguments ------------------------------------------------------------------------------------------------ */

static int take_endpoint(struct arguments *arguments,
                         const char *name,
                         struct endpoint *endpoint,
                         bool *ret_given)
{
    const char *text;
    int code = command_take_value(arguments, name, &text);
    *ret_given = text != NULL;
    if (code != EXIT_CODE_DONE || !text)
        return code;
    if (endpoint_parse(span_str(text), endpoint).code)
        return command_usage(arguments, error_detail(), name);
    return EXIT_CODE_DONE;
}

static int
take_number(struct arguments *arguments, const char *name, uint64_t max, uint32_t *number)
{
    const char *text;
    uint64_t value;
    int code = command_take_value(arguments, name, &text);
    if (code != EXIT_CODE_DONE || !text)
        return code;
    if (u64_parse(span_str(text), &value).code || value == 0 || value > max)
        return command_usage(arguments, "a number in its range is needed", name);
    *number = (uint32_t)value;
    return EXIT_CODE_DONE;
}

/* Nobody but who is on this machine comes there; an endpoint whose host is a name is listened on nowhere. */
static bool is_near(const struct endpoint *endpoint)
{
    struct endpoint_address address;
    uint8_t bytes[CIDR_ADDRESS_SIZE] = {0};
    if (endpoint->kind == ENDPOINT_UNIX)
        return true;
    if (endpoint->kind != ENDPOINT_TCP || endpoint_address(endpoint, &address).code)
        return false;
    peer_address(&address.storage, bytes);
    return cidr_is_loopback(bytes);
}

static int check_endpoints(const struct arguments *arguments, const struct wish *wish)
{
    if (!wish->allow_remote && !is_near(&wish->proxy.listen))
        return command_usage(arguments,
                             "is not on loopback, and what comes there is not encrypted: "
                             "--allow-remote-clients allows it",
                             "--listen");
    if (!wish->allow_remote && wish->proxy.has_metrics && !is_near(&wish->proxy.metrics))
        return command_usage(arguments, "is not on loopback: --allow-remote-clients allows it",
                             "--metrics");
    return EXIT_CODE_DONE;
}

static int take_endpoints(struct arguments *arguments, struct wish *wish)
{
    bool listens = false;
    bool reaches = false;
    int code = take_endpoint(arguments, "--listen", &wish->proxy.listen, &listens);
    if (code == EXIT_CODE_DONE)
        code = take_endpoint(arguments, "--signer", &wish->proxy.signer, &reaches);
    if (code == EXIT_CODE_DONE)
        code =
            take_endpoint(arguments, "--metrics", &wish->proxy.metrics, &wish->proxy.has_metrics);
    if (code != EXIT_CODE_DONE)
        return code;
    if (!listens || !reaches)
        return command_usage(arguments, "needs --listen and --signer, such as tcp:127.0.0.1:9000",
                             NULL);
    return check_endpoints(arguments, wish);
}

static int take_wish(struct arguments *arguments, struct wish *wish)
{
    *wish = (struct wish){.drain_seconds = DRAIN_S};
    wish->allow_remote = command_take_switch(arguments, "--allow-remote-clients");
    int code = command_take_attest(arguments, &wish->attest);
    if (code == EXIT_CODE_DONE)
        code = take_endpoints(arguments, wish);
    if (code == EXIT_CODE_DONE)
        code = take_number(arguments, "--max-connections", ATTEST_PROXY_CONNECTIONS_MAX,
                           &wish->proxy.connections);
    if (code == EXIT_CODE_DONE)
        code = take_number(arguments, "--drain-seconds", 3600, &wish->drain_seconds);
    if (code == EXIT_CODE_DONE)
        code = command_refuse_rest(arguments);
    if (code == EXIT_CODE_DONE)
        code = command_need_attest(arguments, &wish->attest);
    wish->proxy.policy = &wish->attest.policy;
    return code;
}

/* --- running -------------------------------------------------------------------------------------------------- */

struct run {
    int signals;
    struct attest_proxy *proxy;
    struct notify notify;
    uint64_t end_ms; /* 0: no end in sight */
};

/* Before the thread that looks names up. */
static cc_err take_signals(int *ret_fd)
{
    sigset_t set;
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    if (sigaction(SIGPIPE, &ignore, NULL) != 0 || sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return CC_FAIL(SYSTEM, "signals");
    *ret_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return *ret_fd >= 0 ? CC_OK : CC_FAIL(SYSTEM, "signalfd");
}

/* Two for each connection; with a lower limit further clients wait. */
static void raise_files(uint32_t connections)
{
    const rlim_t want =
        2 * (rlim_t)(connections ? connections : ATTEST_PROXY_CONNECTIONS) + DESCRIPTORS_OWN;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= want)
        return;
    limit.rlim_cur = limit.rlim_max < want ? limit.rlim_max : want;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < want)
        log_warn("the limit of open files is lower than --max-connections needs, carrying fewer",
                 KV_NUM("limit", limit.rlim_cur), KV_NUM("wanted", want));
}

static void say_where(const struct wish *wish, const struct attest_proxy *proxy)
{
    char listen[ENDPOINT_TEXT_SIZE];
    char signer[ENDPOINT_TEXT_SIZE];
    endpoint_text(&wish->proxy.listen, listen);
    endpoint_text(&wish->proxy.signer, signer);
    if (!wish->attest.policy.chamber_id)
        log_warn("any chamber of this image is accepted: --attest-chamber names one");
    if (wish->attest.policy.attest.allow_zero_pcrs)
        log_warn("an enclave in debug mode is accepted: its host can read its memory");
    log_notice("listening; each connection is verified", KV_STR("listen", listen),
               KV_STR("signer", signer), KV_NUM("port", attest_proxy_port(proxy)),
               KV_NUM("metrics_port", attest_proxy_metrics_port(proxy)));
}

static cc_err enter_sandbox(const struct attest_proxy_options *options)
{
    struct landlock_endpoints ends = {.listens = {&options->listen},
                                      .listen_count = 1,
                                      .targets = {&options->signer},
                                      .target_count = 1};
    if (options->has_metrics)
        ends.listens[ends.listen_count++] = &options->metrics;
    return landlock_enter_proxy(&ends);
}

static cc_err open_run(struct run *run, const struct wish *wish, char *const *environment)
{
    CC_TRY(harden_process());
    CC_TRY(take_signals(&run->signals));
    raise_files(wish->proxy.connections);
    CC_TRY(enter_sandbox(&wish->proxy));
    CC_TRY(attest_proxy_new(&wish->proxy, &run->proxy));
    CC_TRY(sandbox_lock_proxy());
    say_where(wish, run->proxy);
    notify_init(&run->notify, environment);
    notify_send(&run->notify, "READY=1\nSTATUS=listening; each connection is verified");
    return CC_OK;
}

/* The first signal drains, the second ends at once. */
static void look_for_signals(struct run *run, uint32_t drain_seconds)
{
    struct signalfd_siginfo info;
    while (read(run->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        const bool first = run->end_ms == 0;
        run->end_ms = clock_mono_ms() + (first ? drain_seconds * UINT64_C(1000) : 0);
        if (!first)
            continue;
        log_notice("draining", KV_NUM("seconds", drain_seconds),
                   KV_NUM("open", attest_proxy_open(run->proxy)));
        attest_proxy_drain(run->proxy); /* before it is told: who hears it finds no listener */
        notify_send(&run->notify, "STOPPING=1\nSTATUS=draining");
    }
}

static bool is_over(const struct run *run)
{
    return run->end_ms && (attest_proxy_open(run->proxy) == 0 || clock_mono_ms() >= run->end_ms);
}

static cc_err carry(struct run *run, uint32_t drain_seconds)
{
    while (!is_over(run)) {
        CC_TRY(attest_proxy_turn(run->proxy, TURN_MS));
        look_for_signals(run, drain_seconds);
    }
    return CC_OK;
}

static int run_proxy(const struct wish *wish, char *const *environment)
{
    struct run run = {.signals = -1, .notify.fd = -1};
    log_init(STDERR_FILENO, true, LOG_LEVEL_INFO);
    cc_err err = open_run(&run, wish, environment);
    if (!err.code)
        err = carry(&run, wish->drain_seconds);
    if (err.code)
        log_error("the proxy ends", KV_ERR(err));
    else
        log_notice("ended", KV_NUM("cut", attest_proxy_open(run.proxy)));
    attest_proxy_free(run.proxy);
    notify_release(&run.notify);
    fd_closep(&run.signals);
    return supervisor_exit_code(err);
}

int command_attest_proxy(struct arguments *arguments)
{
    static struct wish wish;
    int code = take_wish(arguments, &wish);
    if (code == EXIT_CODE_DONE)
        code = run_proxy(&wish, arguments->environment);
    attest_options_release(&wish.attest);
    return code;
}
