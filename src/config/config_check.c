#include "config/config_load.h"
#include "eth/kind.h"

static struct config_place place_of(const struct config_loading *loading, const char *path)
{
    const struct config_row *row = config_row_find(path);
    cc_assert(row);
    return loading->faults->places[config_row_index(row)];
}

/* SQLite opens names like these in memory, or by rules of their own: durability would be gone by a file name
 * (properties P1).
 */
static bool is_file_path(const char *path)
{
    return path[0] != ':' && strncmp(path, "file:", 5) != 0;
}

static void check_paths(struct config_loading *loading)
{
    static const char *const rows[] = {"data_dir", "anti_slashing.path", "server.unix_socket"};
    const struct config *config = loading->config;
    const char *const values[] = {config->data_dir, config->anti_slashing.path,
                                  config->server.unix_socket};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (!is_file_path(values[i]))
            config_fault(loading, place_of(loading, rows[i]), rows[i], "is not the path of a file");
}

static void check_history(struct config_loading *loading)
{
    const struct anti_slashing_config *history = &loading->config->anti_slashing;
    if (history->backend == HISTORY_NOOP && !history->i_accept_slashing_risk)
        config_fault(loading, place_of(loading, "anti_slashing.backend"), "anti_slashing.backend",
                     "noop keeps no history and lets validators be slashed; it needs "
                     "anti_slashing.i_accept_slashing_risk: true");
}

/* A database password in a URL that everybody can read in the process list would be none. */
static void check_database(struct config_loading *loading)
{
    const struct anti_slashing_config *history = &loading->config->anti_slashing;
    struct config_place place = place_of(loading, "anti_slashing.url");
    if (history->backend == HISTORY_POSTGRES && !history->url[0])
        config_fault(loading, place_of(loading, "anti_slashing.backend"), "anti_slashing.backend",
                     "postgres needs anti_slashing.url");
    if (history->url[0] && place.origin.len > 1 &&
        span_equal(span_of(place.origin.data, 2), span_str("--")))
        config_fault(loading, place, "anti_slashing.url",
                     "may hold a password, so it is not taken from a flag: use the file or "
                     "CONTAINMENT_ANTI_SLASHING__URL");
}

static void check_operations(struct config_loading *loading)
{
    const struct config_text_list *list = &loading->config->auth.open_operations;
    for (uint32_t i = 0; i < list->count; i++) {
        enum eth_kind kind;
        struct span name = span_str(list->items[i]);
        if (span_is(name, "*") || span_is(name, "all") || !kind_parse(name, &kind).code)
            continue;
        config_fault(loading, place_of(loading, "auth.open_operations"), "auth.open_operations",
                     "item %u is not *, all, or the name of an operation", i + 1);
    }
}

void config_check_rules(struct config_loading *loading)
{
    check_paths(loading);
    check_history(loading);
    check_database(loading);
    check_operations(loading);
}
