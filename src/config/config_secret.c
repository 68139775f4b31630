/* Values of secret options that only say where the value is: env:NAME, file:PATH. */
#include "base/io.h"

#include "config/config_load.h"

static const char env_prefix[] = "env:";
static const char file_prefix[] = "file:";

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool config_is_reference(const char *text)
{
    return begins(text, env_prefix) || begins(text, file_prefix);
}

static cc_err read_variable(const char *name, char *const *environment, struct buf *ret_text)
{
    size_t len = strlen(name);
    for (; len && environment && *environment; environment++) {
        if (strncmp(*environment, name, len) != 0 || (*environment)[len] != '=')
            continue;
        cc_err err = buf_append_str(ret_text, *environment + len + 1);
        return error_is(err, ERROR_LIMIT) ? CC_FAIL(CONFIG, "is too long") : err;
    }
    return CC_FAIL(CONFIG, "names a variable that is not set");
}

static cc_err read_file(const char *path, struct buf *ret_text)
{
    if (file_read(path, ret_text).code)
        return CC_FAIL(CONFIG, "names a file that can't be read, or is too long");
    if (ret_text->len && ret_text->data[ret_text->len - 1] == '\n')
        ret_text->len--;
    return CC_OK;
}

CC_ERR config_read_reference(const char *reference, char *const *environment, struct buf *ret_text)
{
    return begins(reference, env_prefix)
               ? read_variable(reference + strlen(env_prefix), environment, ret_text)
               : read_file(reference + strlen(file_prefix), ret_text);
}

static cc_err resolve(struct config *config, const struct config_row *row, char *const *environment)
{
    const char *value = (const char *)config + row->offset;
    CC_CLEANUP(buf_release) struct buf text = buf_init(CONFIG_PATH_MAX);
    if (!config_is_reference(value))
        return CC_OK;
    CC_TRY(config_read_reference(value, environment, &text));
    return config_value_set(config, row, buf_span(&text));
}

void config_resolve_secrets(struct config_loading *loading, char *const *environment)
{
    for (size_t i = 0; i < config_row_count; i++) {
        const struct config_row *row = &config_rows[i];
        if (!row->secret)
            continue;
        cc_err err = resolve(loading->config, row, environment);
        if (err.code)
            config_fault_value(loading, loading->faults->places[i], row, err);
    }
}
