#include "support/front_loops.h"

#include <unistd.h>

#include "base/alloc.h"

#include "support/test.h"

void front_loops_defaults(struct front_loops *loops)
{
    memset(loops, 0, sizeof *loops);
    config_defaults(&loops->config);
    loops->config.server.max_connections = 64;
    assert_int_equal(network_load("minimal", &loops->network).code, 0);
}

void front_loops_open(struct front_loops *loops, uint32_t threads, struct tls *tls_or_null)
{
    int pair[2];
    assert_int_equal(door_pair(pair).code, 0);
    loops->core.door = pair[0];
    loops->door = pair[1];
    assert_int_equal(
        exchange_init(&loops->exchange, http_tickets(&loops->config.server), http_done).code, 0);
    const struct http_options options = {.server = &loops->config.server,
                                         .config = &loops->config,
                                         .network = &loops->network,
                                         .exchange = &loops->exchange,
                                         .threads = threads,
                                         .tls = tls_or_null};
    assert_int_equal(http_open(&options, &loops->http).code, 0);
    assert_int_equal(http_listen(loops->http, tls_or_null ? LISTENER_TLS : LISTENER_API,
                                 rig_listen_tcp(&loops->port))
                         .code,
                     0);
    exchange_start(&loops->exchange, loops->door, RIG_LIFE);
    assert_int_equal(http_read_answers(loops->http).code, 0);
    http_serve(loops->http);
}

void front_loops_start_core(struct front_loops *loops)
{
    loops->core.core = rig_good_core;
    rig_start_core(&loops->core);
}

void front_loops_close(struct front_loops *loops)
{
    if (loops->http)
        http_stop_accepting(loops->http);
    exchange_stop(&loops->exchange);
    http_close(loops->http);
    exchange_release(&loops->exchange);
    rig_kill_core(&loops->core);
    (void)close(loops->door);
    (void)close(loops->core.door);
}
