#include "app/room.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"

#include "app/inject.h"
#include "app/sandbox.h"
#include "app/supervisor.h"
#include "secret/harden.h"

enum {
    CONFIG_MAX = 1 << 17
};

/* Constant once the entry point runs. */
static struct config part;

static const enum config_room part_of[ROOM_END] = {
    [ROOM_FRONT] = CONFIG_FOR_FRONT,         [ROOM_CORE] = CONFIG_FOR_CORE,
    [ROOM_VAULT] = CONFIG_FOR_VAULT,         [ROOM_LOADER] = CONFIG_FOR_LOADER,
    [ROOM_FORWARDER] = CONFIG_FOR_FORWARDER,
};

static cc_err lock_room(enum room room)
{
    CC_TRY(sandbox_lock_with(room, &part));
    inject_run();
    return CC_OK;
}

static enum room find_room(const char *name)
{
    for (enum room room = ROOM_FRONT; room < ROOM_END; room++)
        if (span_is(span_str(name), room_name(room)))
            return room;
    return ROOM_END;
}

static bool has_control_line(void)
{
    int type = 0;
    socklen_t len = sizeof type;
    return getsockopt(ROOM_FD_CONTROL, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
           type == SOCK_SEQPACKET;
}

static cc_err read_config(enum room room)
{
    CC_CLEANUP(buf_release) struct buf blob = buf_init(CONFIG_MAX);
    CC_TRY(fd_read_all(ROOM_FD_CONFIG, &blob));
    (void)close(ROOM_FD_CONFIG);
    return config_decode(buf_span(&blob), part_of[room], &part);
}

/* A service manager may signal the whole group: rooms end when the supervisor says so, or with it. */
static cc_err leave_signals_to_supervisor(void)
{
    static const int ignored[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT,
                                  SIGPIPE, SIGUSR1, SIGUSR2, SIGXFSZ};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
        if (sigaction(ignored[i], &ignore, NULL) != 0)
            return CC_FAIL(SYSTEM, "sigaction");
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        return CC_FAIL(SYSTEM, "PR_SET_PDEATHSIG");
    return CC_OK;
}

static cc_err run(enum room room, room_main_fn *entry)
{
    CC_TRY(leave_signals_to_supervisor());
    CC_TRY(read_config(room));
    log_set_level(part.logging.level);
    CC_TRY(harden_process());
    CC_TRY(sandbox_enter(room, &part));
    inject_start();
    const struct room_context context = {&part, ROOM_FD_CONTROL, lock_room};
    return entry(&context);
}

int room_run(const char *name, room_main_fn *const mains[static ROOM_END])
{
    enum room room = find_room(name);
    if (room == ROOM_END || !mains[room] || !has_control_line()) {
        (void)fprintf(stderr, "containment-chamber: rooms are started by the server only\n");
        return EXIT_CODE_USAGE;
    }
    log_init(ROOM_FD_LOG, false, LOG_LEVEL_INFO);
    cc_err err = run(room, mains[room]);
    if (!err.code)
        return EXIT_CODE_DONE;
    log_error("the room ends", KV_ERR(err));
    cc_err sent = control_send(ROOM_FD_CONTROL, CONTROL_FAILED, 0, (uint64_t)err.code, -1);
    (void)sent; /* the supervisor may be gone */
    return EXIT_CODE_FAILED;
}
