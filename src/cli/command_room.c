#include "app/room.h"
#include "cli/command.h"
#include "cli/test_switch.h"
#include "core/core.h"
#include "front/front.h"
#include "keys/loader.h"
#include "net/forwarder.h"
#include "vault/vault.h"

static room_main_fn *const mains[ROOM_END] = {
    [ROOM_FRONT] = front_main,   [ROOM_CORE] = core_main,           [ROOM_VAULT] = vault_main,
    [ROOM_LOADER] = loader_main, [ROOM_FORWARDER] = forwarder_main,
};

int command_room(struct arguments *arguments)
{
    if (!test_switch_take(arguments) || arguments->count != 1)
        return command_usage(arguments, "rooms are started by the server only", NULL);
    return room_run(arguments->items[0], mains);
}
