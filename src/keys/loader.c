#include "keys/loader.h"

#include <string.h>

#include "base/alloc.h"
#include "base/io.h"

#include "keys/load.h"
#include "wire/door_key.h"

static cc_err take_control(struct load_doors *doors, const struct control *message, int fd)
{
    int *slot = NULL;
    uint32_t *life = NULL;
    if (message->type == CONTROL_DOOR_KEY) {
        slot = &doors->key_fd;
        life = &doors->key_life;
    } else if (message->type == CONTROL_DOOR_LOAD) {
        slot = &doors->load_fd;
        life = &doors->load_life;
    } else if (message->type == CONTROL_LOG_LEVEL && message->value <= LOG_LEVEL_DEBUG) {
        log_set_level((enum log_level)message->value);
    }
    if (!slot) {
        fd_closep(&fd);
        return CC_OK;
    }
    if (fd < 0 || *slot >= 0) {
        fd_closep(&fd);
        return CC_FAIL(PROTOCOL, "a door without a descriptor, or twice");
    }
    *slot = fd;
    *life = message->life;
    return CC_OK;
}

static cc_err collect(int control_fd, struct load_doors *doors)
{
    for (;;) {
        struct control message;
        int fd = -1;
        CC_TRY(control_receive(control_fd, &message, &fd));
        CC_TRY(take_control(doors, &message, fd));
        if (message.type == CONTROL_START)
            break;
    }
    if (doors->key_fd < 0 || doors->load_fd < 0)
        return CC_FAIL(PROTOCOL, "started without both doors");
    return CC_OK;
}

static void doors_closep(struct load_doors *doors)
{
    fd_closep(&doors->key_fd);
    fd_closep(&doors->load_fd);
}

/* The core says whose keys may be loaded. */
static cc_err begin(struct load_doors *doors)
{
    CC_CLEANUP(cc_freep) struct door_message *message = cc_alloc(sizeof *message);
    struct l_begin said;
    if (!message)
        return CC_FAIL(NO_MEMORY, "door message");
    CC_TRY(door_receive(doors->load_fd, doors->load_life, door_load_to_loader, message));
    memcpy(&said, message->items, sizeof said);
    memcpy(doors->history_id, said.history_id, sizeof doors->history_id);
    doors->knows_history = true;
    return CC_OK;
}

CC_ERR loader_main(const struct room_context *room)
{
    CC_CLEANUP(doors_closep) struct load_doors doors = {.key_fd = -1, .load_fd = -1};
    CC_TRY(collect(room->control_fd, &doors));
    CC_TRY(room->lock(ROOM_LOADER));
    CC_TRY(control_send(room->control_fd, CONTROL_READY, doors.load_life, 0, -1));
    CC_TRY(begin(&doors));
    return load_run(&room->config->key_sources.filesystem, &doors);
}
