#include "core/state_floor.h"

#include <limits.h>
#include <stdio.h>

#include "core/ceiling.h"
#include "core/state_backend.h"
#include "state/pin.h"

static cc_err path_of(const struct config *config, const char *name, char ret_path[static PATH_MAX])
{
    int n = snprintf(ret_path, PATH_MAX, "%s/%s", config->data_dir, name);
    return n > 0 && n < PATH_MAX ? CC_OK : CC_FAIL(LIMIT, "path too long");
}

CC_ERR state_floor_read(const struct config *config,
                        struct aws_session *aws,
                        struct slash_watermark *ret_floor)
{
    char identity[PATH_MAX], seen[PATH_MAX];
    struct state_pin pin;
    struct state_fault fault = {0};
    struct state_store *state = NULL;
    CC_TRY(path_of(config, "identity.pub", identity));
    CC_TRY(path_of(config, "state.seen", seen));
    CC_TRY(pin_read(identity, &pin));
    CC_TRY(state_backend_open(config, aws, &state));
    cc_err err = state_open(state, &pin, seen, &fault);
    if (!err.code)
        err = ceiling_read_floor(state, ret_floor);
    state_store_close(state);
    return err;
}
