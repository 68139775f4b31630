
#include "config/config_load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A dump does not show them. */
static void forget_secrets(struct config *config)
{
    for (size_t i = 0; i < config_row_count; i++)
        if (config_rows[i].secret)
            memset((uint8_t *)config + config_rows[i].offset, 0, config_rows[i].size);
}

/* The configuration as YAML, and as a room gets it. What is accepted must come back the same from its own dump. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config config;
    static struct config again;
    static struct config_loading loading;
    struct config_faults faults = {.text = buf_init(1 << 16)};
    config_defaults(&config);
    loading = (struct config_loading){.config = &config, .faults = &faults};
    config_load_text(&loading, "fuzz", span_of(data, size));
    config_check_rules(&loading);
    bool accepted = faults.count == 0;
    buf_release(&faults.text);
    if (accepted) {
        struct buf text = buf_init(1 << 20);
        cc_assert(!config_dump(&config, &text).code);
        config_defaults(&again);
        faults = (struct config_faults){.text = buf_init(1 << 16)};
        loading = (struct config_loading){.config = &again, .faults = &faults};
        config_load_text(&loading, "dump", buf_span(&text));
        cc_assert(faults.count == 0);
        forget_secrets(&config);
        forget_secrets(&again);
        cc_assert(span_equal(span_of(&config, sizeof config), span_of(&again, sizeof again)));
        buf_release(&faults.text);
        buf_release(&text);
    }
    cc_err err = config_decode(span_of(data, size), CONFIG_FOR_CORE, &again);
    (void)err;
    return 0;
}
