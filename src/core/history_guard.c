#include "core/history_guard.h"

#include <limits.h>
#include <stdio.h>

#include "core/ceiling.h"
#include "secret/wipe.h"
#include "slash/guard.h"

_Static_assert((int)SLASH_TIMELINE_VERIFY == (int)TIMELINE_VERIFY &&
                   (int)SLASH_TIMELINE_RAISE == (int)TIMELINE_RAISE &&
                   (int)SLASH_TIMELINE_REFUSE == (int)TIMELINE_REFUSE,
               "the configuration's words are the guard's");

static cc_err mirror_path(const struct config *config, char ret_path[static PATH_MAX])
{
    int n = snprintf(ret_path, PATH_MAX, "%s/history.mirror", config->data_dir);
    return n > 0 && n < PATH_MAX ? CC_OK : CC_FAIL(LIMIT, "path too long");
}

CC_ERR history_guard_replica(const struct config *config, struct stores *stores)
{
    char path[PATH_MAX];
    CC_TRY(mirror_path(config, path));
    return slash_guard_replica(path, stores->replica);
}

static cc_err wrap(const struct slash_guard_options *options, struct stores *stores)
{
    struct slash_store *inner = stores->history;
    stores->history = NULL; /* the guard's from now on */
    return slash_guard_open(inner, options, &stores->history);
}

CC_ERR history_guard_wrap(const struct config *config,
                          bool fresh,
                          struct vault_call *vault,
                          struct stores *stores)
{
    char path[PATH_MAX];
    uint8_t key[32] = {0};
    struct ceiling ceiling = {0};
    bool there = false;
    if (config->anti_slashing.backend == HISTORY_NOOP)
        return CC_OK;
    struct slash_guard_options options = {
        .path = path,
        .key = key,
        .fresh = fresh,
        .automatic = config->anti_slashing.shared_with_web3signer,
        .on_new_timeline = (enum slash_guard_timeline)config->anti_slashing.on_new_timeline,
        .slots_per_epoch = stores->network.preset.slots_per_epoch,
    };
    memcpy(options.replica, stores->replica, sizeof options.replica);
    CC_TRY(mirror_path(config, path));
    CC_TRY(ceiling_read(stores->state, &there, &ceiling));
    options.has_ceiling = there && ceiling.has_confirmed;
    options.ceiling = ceiling.confirmed;
    cc_err err = vault_call_history_key(vault, key);
    if (!err.code)
        err = wrap(&options, stores);
    wipe(key, sizeof key);
    return err;
}
