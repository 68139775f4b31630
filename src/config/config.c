#include "config/config.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#include "config/config_policies.h"

#define ENVIRONMENT_PREFIX "CONTAINMENT_"
enum {
    FAULTS_MAX = 65536,
    NAME_MAX_LEN = 200
};

void config_defaults(struct config *ret_config)
{
    memset(ret_config, 0, sizeof *ret_config);
    for (size_t i = 0; i < config_row_count; i++) {
        cc_err err =
            config_value_set(ret_config, &config_rows[i], span_str(config_rows[i].default_text));
        cc_assert(!err.code);
    }
}

/* A text that did not fit is missing from the list of faults, never from their count. */
static void put_line(struct config_faults *faults,
                     struct config_place place,
                     const char *path,
                     const char *kind,
                     const char *message)
{
    char line[24] = "";
    if (place.line)
        (void)snprintf(line, sizeof line, ":%u", place.line);
    struct span origin = place.origin.data ? place.origin : span_str("configuration");
    cc_err err =
        buf_printf(&faults->text, "%.*s%s: %s%s%s%s\n", (int)origin.len, (const char *)origin.data,
                   line, kind, path, path[0] ? ": " : "", message);
    (void)err;
}

void config_fault(struct config_loading *loading,
                  struct config_place place,
                  const char *path,
                  const char *fmt,
                  ...)
{
    char message[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    loading->faults->count++;
    put_line(loading->faults, place, path, "", message);
}

void config_faults_add(struct config_faults *faults, const char *path, const char *fmt, ...)
{
    char message[CONFIG_PATH_MAX + 128];
    const struct config_row *row = config_row_find(path);
    cc_assert(row);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    faults->count++;
    put_line(faults, faults->places[config_row_index(row)], path, "", message);
}

static void CC_PRINTF(4, 5) config_warning(struct config_loading *loading,
                                           struct config_place place,
                                           const char *path,
                                           const char *fmt,
                                           ...)
{
    char message[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    loading->faults->warnings++;
    put_line(loading->faults, place, path, "warning: ", message);
}

void config_fault_value(struct config_loading *loading,
                        struct config_place place,
                        const struct config_row *row,
                        cc_err err)
{
    CC_CLEANUP(buf_release) struct buf kind = buf_init(512);
    const char *detail = error_is(err, ERROR_CONFIG) ? error_detail() : error_text(err);
    err = config_row_kind(row, &kind);
    if (!err.code)
        err = buf_append(&kind, "", 1);
    config_fault(loading, place, row->path, "%s (takes: %s)", detail,
                 err.code ? "" : (const char *)kind.data);
}

void config_fault_unknown(struct config_loading *loading,
                          struct config_place place,
                          const char *path)
{
    const char *why = config_ignored(path);
    const char *near = config_nearest(path);
    if (why)
        config_warning(loading, place, path, "has no effect here: %s", why);
    else if (config_is_later(path))
        config_fault(loading, place, path, "is not in this release");
    else if (near)
        config_fault(loading, place, path, "unknown option; did you mean %s?", near);
    else
        config_fault(loading, place, path, "unknown option");
}

void config_fault_section(struct config_loading *loading,
                          struct config_place place,
                          const char *path)
{
    const char *words = config_words(path);
    config_fault(loading, place, path, "is a section, not a value%s%s",
                 words ? ", or the word " : "", words ? words : "");
}

bool config_set_word(struct config_loading *loading,
                     struct config_place place,
                     const char *path,
                     struct span word)
{
    const char *value = NULL;
    const struct config_row *row = config_word(path, word, &value);
    if (!row)
        return false;
    cc_err err = config_value_set(loading->config, row, span_str(value));
    loading->faults->places[config_row_index(row)] = place;
    if (err.code)
        config_fault_value(loading, place, row, err);
    return true;
}

/* --- single values from outside the file ----------------------------------------------------------------------- */

/* "network_overrides.GLOAS_FORK_EPOCH" names one entry of a MAP row. */
static const struct config_row *find_map(const char *path, struct span *ret_key)
{
    for (size_t i = 0; i < config_row_count; i++) {
        const struct config_row *row = &config_rows[i];
        size_t len = strlen(row->path);
        if (row->type != CONFIG_MAP || strncmp(path, row->path, len) != 0 || path[len] != '.')
            continue;
        *ret_key = span_str(path + len + 1);
        return row;
    }
    return NULL;
}

/* What an enclave's image measures is its file: whoever starts it can't have it run as anything else. Nor can he have a signer outside believe
 * that it is in one. `config` holds what the file says, until the first of these.
 */
static bool is_measured(const struct config *config, const char *path)
{
    return config->tee.platform == TEE_NITRO || strcmp(path, "tee") == 0 ||
           strncmp(path, "tee.", 4) == 0;
}

static void set_by_path(struct config_loading *loading,
                        struct config_place place,
                        const char *path,
                        const char *value)
{
    if (is_measured(loading->config, path)) {
        config_fault(loading, place, path,
                     "an enclave takes its options from its file alone, which its image measures");
        return;
    }
    struct span key = {0};
    const struct config_row *row = config_row_find(path);
    const struct config_row *map = row ? NULL : find_map(path, &key);
    if (!row && !map) {
        if (config_set_word(loading, place, path, span_str(value)))
            return;
        if (config_words(path))
            config_fault_section(loading, place, path);
        else
            config_fault_unknown(loading, place, path);
        return;
    }
    cc_err err = map ? config_map_put(loading->config, map, key, span_str(value))
                     : config_value_set(loading->config, row, span_str(value));
    row = row ? row : map;
    loading->faults->places[config_row_index(row)] = place;
    if (err.code)
        config_fault_value(loading, place, row, err);
}

/* SERVER__LISTEN_PORT -> server.listen_port. The last part of a map's path keeps its case. */
static void path_of_name(struct span name, char ret_path[static NAME_MAX_LEN + 1])
{
    size_t len = 0;
    for (size_t i = 0; i < name.len; i++) {
        bool nested = i + 1 < name.len && name.data[i] == '_' && name.data[i + 1] == '_';
        ret_path[len++] = nested ? '.' : (char)tolower(name.data[i]);
        i += nested;
    }
    ret_path[len] = 0;
    struct span key = {0};
    if (find_map(ret_path, &key))
        memcpy(ret_path + len - key.len, name.data + name.len - key.len, key.len);
}

static void load_variable(struct config_loading *loading, const char *variable)
{
    size_t prefix_len = strlen(ENVIRONMENT_PREFIX);
    const char *equals = strchr(variable, '=');
    if (!equals || strncmp(variable, ENVIRONMENT_PREFIX, prefix_len) != 0)
        return;
    struct span whole = span_of(variable, (size_t)(equals - variable));
    struct config_place place = {whole, 0};
    if (whole.len <= prefix_len || whole.len > NAME_MAX_LEN) {
        config_warning(loading, place, "", "names no option, ignored");
        return;
    }
    char path[NAME_MAX_LEN + 1];
    path_of_name(span_of(variable + prefix_len, whole.len - prefix_len), path);
    /* Such a name may belong to something else that shares the prefix, so it is no fault. */
    if (!strchr(path, '.') && !config_row_find(path)) {
        config_warning(loading, place, "", "names no option, ignored");
        return;
    }
    set_by_path(loading, place, path, equals + 1);
}

CC_ERR config_load(const char *path,
                   char *const *environment,
                   const struct config_override *overrides,
                   size_t override_count,
                   struct config *ret_config,
                   struct config_faults *ret_faults)
{
    struct config_loading loading = {.config = ret_config, .faults = ret_faults};
    *ret_faults = (struct config_faults){.text = buf_init(FAULTS_MAX)};
    config_defaults(ret_config);
    if (path)
        config_load_file(&loading, path);
    for (char *const *variable = environment; variable && *variable; variable++)
        load_variable(&loading, *variable);
    for (size_t i = 0; i < override_count; i++) {
        struct config_place place = {span_str(overrides[i].origin), 0};
        set_by_path(&loading, place, overrides[i].path, overrides[i].value);
    }
    config_check_rules(&loading);
    config_resolve_secrets(&loading, environment);
    config_policies_resolve(&loading, environment);
    return ret_faults->count ? CC_FAIL(CONFIG, "see the list of faults") : CC_OK;
}

void config_take_reloadable(struct config *config, const struct config *fresh, struct buf *fixed)
{
    for (size_t i = 0; i < config_row_count; i++) {
        const struct config_row *row = &config_rows[i];
        uint8_t *to = (uint8_t *)config + row->offset;
        const uint8_t *from = (const uint8_t *)fresh + row->offset;
        if (span_equal(span_of(to, row->size), span_of(from, row->size)))
            continue;
        if (row->reloadable) {
            memcpy(to, from, row->size);
            continue;
        }
        cc_err err = buf_printf(fixed, "%s%s", fixed->len ? " " : "", row->path);
        (void)err; /* a name more or less in a warning */
    }
}
