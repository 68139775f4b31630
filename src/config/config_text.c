#include <ctype.h>

#include "config/config_table.h"

/* YAML, example and document: three walks over the same rows. */

enum {
    INDENT = 2
};

static cc_err put_quoted(struct buf *out, const char *text)
{
    CC_TRY(buf_append(out, "\"", 1));
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            CC_TRY(buf_append(out, "\\", 1));
        CC_TRY(buf_append(out, text, 1));
    }
    return buf_append(out, "\"", 1);
}

static cc_err put_item(struct buf *out, const struct config_row *row, const char *item)
{
    const char *equals = row->type == CONFIG_MAP ? strchr(item, '=') : NULL;
    if (!equals)
        return put_quoted(out, item);
    CC_TRY(buf_append(out, item, (size_t)(equals - item)));
    CC_TRY(buf_append_str(out, ": "));
    return put_quoted(out, equals + 1);
}

static cc_err put_list(struct buf *out, const struct config *config, const struct config_row *row)
{
    bool map = row->type == CONFIG_MAP;
    CC_TRY(buf_append_str(out, map ? "{" : "["));
    for (uint32_t i = 0; i < config_list_count(config, row); i++) {
        CC_TRY(buf_append_str(out, i ? ", " : ""));
        CC_TRY(put_item(out, row, config_list_item(config, row, i)));
    }
    return buf_append_str(out, map ? "}" : "]");
}

static cc_err put_value(struct buf *out, const struct config *config, const struct config_row *row)
{
    if (row->secret && ((const char *)config + row->offset)[0])
        return buf_append_str(out, "\"********\"");
    if (config_row_is_list(row))
        return put_list(out, config, row);
    if (config_row_is_text(row))
        return put_quoted(out, (const char *)config + row->offset);
    return config_value_text(config, row, out);
}

/* How many leading parts of two paths, but for the last of `path`, are the same. */
static size_t common_sections(const char *path, const char *before)
{
    size_t parts = 0;
    for (size_t i = 0; path[i] && path[i] == before[i]; i++)
        parts += path[i] == '.';
    return parts;
}

static cc_err put_indent(struct buf *out, size_t depth)
{
    for (size_t i = 0; i < depth * INDENT; i++)
        CC_TRY(buf_append(out, " ", 1));
    return CC_OK;
}

/* Opens the sections of `row` that are not open after the row before; *ret_depth is where its own line stands. */
static cc_err put_sections(struct buf *out,
                           const struct config_row *row,
                           const char **ret_name,
                           size_t *ret_depth)
{
    const char *before = row == config_rows ? "" : row[-1].path;
    size_t common = common_sections(row->path, before);
    size_t depth = 0;
    const char *at = row->path;
    for (const char *dot = strchr(at, '.'); dot; dot = strchr(at, '.')) {
        if (depth >= common) {
            CC_TRY(put_indent(out, depth));
            CC_TRY(buf_append(out, at, (size_t)(dot - at)));
            CC_TRY(buf_append_str(out, ":\n"));
        }
        depth++;
        at = dot + 1;
    }
    *ret_name = at;
    *ret_depth = depth;
    return CC_OK;
}

static cc_err put_rows(struct buf *out, const struct config *config, bool with_comments)
{
    for (size_t i = 0; i < config_row_count; i++) {
        const struct config_row *row = &config_rows[i];
        const char *name = NULL;
        size_t depth = 0;
        CC_TRY(put_sections(out, row, &name, &depth));
        if (with_comments) {
            CC_TRY(put_indent(out, depth));
            CC_TRY(buf_printf(out, "# %s\n", row->doc));
            CC_TRY(put_indent(out, depth));
            CC_TRY(buf_append_str(out, "# Takes: "));
            CC_TRY(config_row_kind(row, out));
            CC_TRY(buf_append_str(out, row->reloadable ? ". SIGHUP reloads it.\n" : ".\n"));
        }
        CC_TRY(put_indent(out, depth));
        CC_TRY(buf_printf(out, "%s: ", name));
        CC_TRY(put_value(out, config, row));
        CC_TRY(buf_append_str(out, "\n"));
    }
    return CC_OK;
}

CC_ERR config_dump(const struct config *config, struct buf *out)
{
    return put_rows(out, config, false);
}

CC_ERR config_example(struct buf *out)
{
    static struct config defaults;
    config_defaults(&defaults);
    CC_TRY(buf_append_str(
        out,
        "# Configuration of Containment Chamber: every option with its default.\n"
        "# Flags override environment variables, and those override this file: server.listen_port\n"
        "# is also CONTAINMENT_SERVER__LISTEN_PORT and --server-listen-port.\n\n"));
    return put_rows(out, &defaults, true);
}

static cc_err put_env_and_flag(struct buf *out, const char *path)
{
    CC_TRY(buf_append_str(out, "`CONTAINMENT_"));
    for (const char *at = path; *at; at++) {
        char upper = (char)toupper(*at);
        CC_TRY(*at == '.' ? buf_append_str(out, "__") : buf_append(out, &upper, 1));
    }
    CC_TRY(buf_append_str(out, "` `--"));
    for (const char *at = path; *at; at++)
        CC_TRY(buf_append(out, *at == '.' || *at == '_' ? "-" : at, 1));
    return buf_append_str(out, "`");
}

static cc_err
document_row(struct buf *out, const struct config *defaults, const struct config_row *row)
{
    CC_TRY(buf_printf(out, "### `%s`\n\n%s\n\n- Takes: ", row->path, row->doc));
    CC_TRY(config_row_kind(row, out));
    CC_TRY(buf_append_str(out, "\n- Default: `"));
    CC_TRY(put_value(out, defaults, row));
    CC_TRY(buf_append_str(out, "`\n- Also: "));
    CC_TRY(put_env_and_flag(out, row->path));
    return buf_printf(out, "\n- SIGHUP: %s\n\n", row->reloadable ? "reloaded" : "needs a restart");
}

CC_ERR config_document(struct buf *out)
{
    static struct config defaults;
    config_defaults(&defaults);
    CC_TRY(buf_append_str(
        out,
        "# Configuration\n\n"
        "<!-- Made by `containment-chamber config document` from src/config/config.def: change it there. -->\n\n"
        "A YAML file (`-c FILE`), environment variables and flags set the same options; flags override the\n"
        "environment, and that overrides the file. An unknown option, a wrong type or a value out of range is\n"
        "refused with file, line and option; `config check` lists every fault, `config dump` shows what is in\n"
        "force, `config example` writes a commented file.\n\n"
        "- Environment: `CONTAINMENT_` and the path in capitals, `__` for each dot. A list is written with commas.\n"
        "  A name without `__` that is no option is warned about; one with `__` is refused.\n"
        "- Flags: `--` and the path with dashes, `--server-listen-port 9001` or `--server-listen-port=9001`;\n"
        "  `--set server.listen_port=9001` sets any option by its path.\n"
        "- One option may hold a secret: the password in `anti_slashing.url`. It is masked in every output and not\n"
        "  taken from a flag; `passfile=FILE` in the URL keeps it out of the configuration altogether.\n"
        "- No option makes a record less durable: `anti_slashing.backend: noop` is the one named exception, and\n"
        "  needs `anti_slashing.i_accept_slashing_risk: true`.\n\n"
        "## Options\n\n"));
    for (size_t i = 0; i < config_row_count; i++)
        CC_TRY(document_row(out, &defaults, &config_rows[i]));
    return CC_OK;
}
