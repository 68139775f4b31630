#include <ctype.h>

#include "config/config_policies.h"
#include "crypto/sha256.h"

/* YAML, example and document: three walks over the same rows. */

enum {
    INDENT = 2
};

CC_ERR config_quote(struct buf *out, const char *text)
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
        return config_quote(out, item);
    CC_TRY(buf_append(out, item, (size_t)(equals - item)));
    CC_TRY(buf_append_str(out, ": "));
    return config_quote(out, equals + 1);
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
    if (row->type == CONFIG_POLICIES)
        return config_policies_put((const void *)((const char *)config + row->offset), out);
    if (config_row_is_list(row))
        return put_list(out, config, row);
    if (config_row_is_text(row))
        return config_quote(out, (const char *)config + row->offset);
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

/* Opens the sections of `row` that are not open after the row `before`; *ret_depth is where its own line stands. */
static cc_err put_sections(struct buf *out,
                           const struct config_row *row,
                           const char *before,
                           const char **ret_name,
                           size_t *ret_depth)
{
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
        CC_TRY(put_sections(out, row, i ? row[-1].path : "", &name, &depth));
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

/* Text that is empty in both may differ behind its end. */
static bool
is_default(const struct config *config, const struct config *defaults, const struct config_row *row)
{
    enum {
        TEXT_MAX = 1 << 16
    };
    CC_CLEANUP(buf_release) struct buf ours = buf_init(TEXT_MAX);
    CC_CLEANUP(buf_release) struct buf theirs = buf_init(TEXT_MAX);
    return !put_value(&ours, config, row).code && !put_value(&theirs, defaults, row).code &&
           span_equal(buf_span(&ours), buf_span(&theirs));
}

CC_ERR config_dump_changed(const struct config *config,
                           const char *path,
                           const char *text,
                           struct buf *out)
{
    static struct config defaults;
    const char *before = "";
    config_defaults(&defaults);
    for (size_t i = 0; i < config_row_count; i++) {
        const struct config_row *row = &config_rows[i];
        const char *name = NULL;
        size_t depth = 0;
        if (is_default(config, &defaults, row))
            continue;
        CC_TRY(put_sections(out, row, before, &name, &depth));
        CC_TRY(put_indent(out, depth));
        CC_TRY(buf_printf(out, "%s: ", name));
        CC_TRY(strcmp(row->path, path) == 0 ? config_quote(out, text)
                                            : put_value(out, config, row));
        CC_TRY(buf_append_str(out, "\n"));
        before = row->path;
    }
    return CC_OK;
}

CC_ERR config_digest(const struct config *config, uint8_t ret_digest[static 32])
{
    enum {
        TEXT_MAX = 1 << 18
    };
    CC_CLEANUP(buf_release) struct buf text = buf_init(TEXT_MAX);
    for (size_t i = 0; i < config_row_count; i++) {
        const struct config_row *row = &config_rows[i];
        if (!(row->rooms & (unsigned)CONFIG_FOR_CORE))
            continue;
        CC_TRY(buf_printf(&text, "%s: ", row->path));
        CC_TRY(put_value(&text, config, row));
        CC_TRY(buf_append_str(&text, "\n"));
    }
    sha256(buf_span(&text), ret_digest);
    return CC_OK;
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

/* Every section, linked to its first option. */
static cc_err document_sections(struct buf *out)
{
    struct span before = {0};
    for (size_t i = 0; i < config_row_count; i++) {
        const char *path = config_rows[i].path;
        const struct span section = span_of(path, strcspn(path, "."));
        if (span_equal(section, before))
            continue;
        CC_TRY(buf_printf(out, "%s[%.*s](#", before.len ? " · " : "", (int)section.len, path));
        for (const char *at = path; *at; at++)
            CC_TRY(buf_append(out, at, *at == '.' ? 0 : 1));
        CC_TRY(buf_append_str(out, ")"));
        before = section;
    }
    return buf_append_str(out, "\n\n");
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
        "force, `config example` writes a commented file. Where the file says `tee.platform: nitro` it alone counts:\n"
        "an enclave's image measures it, so variables and flags that name an option are refused.\n\n"
        "- Environment: `CONTAINMENT_` and the path in capitals, `__` for each dot. A list is written with commas.\n"
        "  A name without `__` that is no option is warned about; one with `__` is refused.\n"
        "- Flags: `--` and the path with dashes, `--server-listen-port 9001` or `--server-listen-port=9001`;\n"
        "  `--set server.listen_port=9001` sets any option by its path.\n"
        "- Three options may hold a secret: the passwords in `anti_slashing.url`, `signer_state.url` and\n"
        "  `key_sources.postgres.url`. They are masked in every output and not taken from a flag. `env:NAME` or `file:PATH` in the place of such a URL says where it\n"
        "  is; `passfile=FILE` in the URL keeps the password out of the configuration altogether. In an enclave, whose file\n"
        "  everybody may read, `url_password_kms` beside each of them is the way.\n"
        "- No option makes a record less durable: `anti_slashing.backend: noop` is the one named exception, and\n"
        "  needs `anti_slashing.i_accept_slashing_risk: true`.\n\n"
        "## Options\n\n"));
    CC_TRY(document_sections(out));
    for (size_t i = 0; i < config_row_count; i++)
        CC_TRY(document_row(out, &defaults, &config_rows[i]));
    return CC_OK;
}
