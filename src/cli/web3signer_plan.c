#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#include "cli/web3signer.h"

enum {
    LIST_MAX = 1 << 16,
    VARIABLE_MAX = 256
};

/* --- what rules do ------------------------------------------------------------------------------------- */

static const char *origin_of(const char *name)
{
    for (size_t i = 0; i < web3signer_option_count; i++)
        if (strcmp(web3signer_options[i].name, name) == 0)
            return web3signer_options[i].origin;
    return "Web3Signer's defaults";
}

CC_ERR web3signer_set(struct web3signer *w, const char *name, const char *path, const char *value)
{
    if (w->override_count == WEB3SIGNER_OVERRIDES_MAX)
        return CC_FAIL(LIMIT, "options");
    char *kept = cc_strdup(value);
    if (!kept)
        return CC_FAIL(NO_MEMORY, "an option");
    w->texts[w->override_count] = kept;
    w->overrides[w->override_count++] =
        (struct config_override){.path = path, .value = kept, .origin = origin_of(name)};
    return CC_OK;
}

bool web3signer_has_own(const struct web3signer *w, const char *path)
{
    char name[VARIABLE_MAX];
    size_t len = (size_t)snprintf(name, sizeof name, "CONTAINMENT_");
    for (const char *at = path; *at && len + 3 < sizeof name; at++) {
        if (*at == '.')
            name[len++] = '_';
        name[len++] = *at == '.' ? '_' : (char)toupper((unsigned char)*at);
    }
    name[len++] = '=';
    for (char *const *variable = w->environment; variable && *variable; variable++)
        if (strncmp(*variable, name, len) == 0)
            return true;
    return false;
}

CC_ERR
web3signer_default(struct web3signer *w, const char *name, const char *path, const char *value)
{
    return web3signer_has_own(w, path) ? CC_OK : web3signer_set(w, name, path, value);
}

/* --- rows that stand for themselves ----------------------------------------------------------------------- */

static cc_err plan_row(struct web3signer *w, const struct web3signer_option *row, const char *value)
{
    bool yes = strcmp(value, "true") == 0;
    switch (row->kind) {
    case WEB3SIGNER_TEXT:
    case WEB3SIGNER_BOOL:
    case WEB3SIGNER_LIST:
        return web3signer_set(w, row->name, row->target, value);
    case WEB3SIGNER_IDLE:
        return web3signer_note(w, row->name, row->text);
    case WEB3SIGNER_IDLEB:
        return yes ? web3signer_note(w, row->name, row->text) : CC_OK;
    case WEB3SIGNER_NOT:
        return web3signer_fault(w, row->name, row->text);
    case WEB3SIGNER_NOTB:
        return yes ? web3signer_fault(w, row->name, row->text) : CC_OK;
    case WEB3SIGNER_PART:
    case WEB3SIGNER_PARTB:
    case WEB3SIGNER_SAME:
        return CC_OK;
    }
    return CC_OK;
}

/* --- the log ------------------------------------------------------------------------------------------------ */

struct word {
    const char *theirs, *ours;
};

static cc_err plan_word(struct web3signer *w,
                        const char *name,
                        const char *path,
                        const struct word *words,
                        size_t count)
{
    const char *value = web3signer_value(w, name);
    if (!value)
        return CC_OK;
    for (size_t i = 0; i < count; i++)
        if (span_is_nocase(span_str(value), words[i].theirs))
            return web3signer_set(w, name, path, words[i].ours);
    return web3signer_fault(w, name, "is none of its values");
}

static cc_err plan_log(struct web3signer *w)
{
    static const struct word levels[] = {{"OFF", "error"},   {"FATAL", "error"}, {"ERROR", "error"},
                                         {"WARN", "warn"},   {"INFO", "info"},   {"DEBUG", "debug"},
                                         {"TRACE", "debug"}, {"ALL", "debug"}};
    static const struct word formats[] = {{"PLAIN", "text"},
                                          {"ECS", "json"},
                                          {"GCP", "json"},
                                          {"GELF", "json"},
                                          {"LOGSTASH", "json"}};
    CC_TRY(plan_word(w, "logging", "logging.level", levels, ARRAY_LEN(levels)));
    return plan_word(w, "logging-format", "logging.format", formats, ARRAY_LEN(formats));
}

/* --- metrics --------------------------------------------------------------------------------------------------- */

/* They can't be switched off: where Web3Signer had none they are on a free port of loopback, so that they take nobody's. */
static cc_err plan_metrics(struct web3signer *w)
{
    const char *host = web3signer_value(w, "metrics-host");
    const char *port = web3signer_value(w, "metrics-port");
    if (!web3signer_is_true(w, "metrics-enabled"))
        return web3signer_default(w, "metrics-enabled", "metrics.listen_port", "0");
    if (host)
        CC_TRY(web3signer_set(w, "metrics-host", "metrics.listen_address",
                              strcmp(host, "localhost") == 0 ? "127.0.0.1" : host));
    return port ? web3signer_set(w, "metrics-port", "metrics.listen_port", port)
                : web3signer_default(w, "metrics-enabled", "metrics.listen_port", "9001");
}

/* --- keys -------------------------------------------------------------------------------------------------------- */

static cc_err add_path(struct web3signer *w, const char *name, struct buf *paths)
{
    const char *path = web3signer_value(w, name);
    if (!path)
        return CC_OK;
    if (strchr(path, ','))
        return web3signer_fault(w, name, "has a comma in its name, by which paths are told apart");
    return buf_printf(paths, "%s%s", paths->len ? "," : "", path);
}

static cc_err plan_passwords(struct web3signer *w)
{
    const char *directory = web3signer_value(w, "keystores-passwords-path");
    const char *file = web3signer_value(w, "keystores-password-file");
    if (directory && file)
        return web3signer_fault(w, "keystores-password-file",
                                "and --keystores-passwords-path exclude each other");
    if (directory)
        CC_TRY(web3signer_set(w, "keystores-passwords-path",
                              "key_sources.filesystem.passwords_path", directory));
    if (file)
        CC_TRY(web3signer_set(w, "keystores-password-file", "key_sources.filesystem.password_file",
                              file));
    return CC_OK;
}

static cc_err plan_keys(struct web3signer *w, const char *directory)
{
    static const char path[] = "key_sources.filesystem.paths";
    CC_CLEANUP(buf_release) struct buf paths = buf_init(LIST_MAX);
    CC_TRY(add_path(w, "key-config-path", &paths));
    CC_TRY(add_path(w, "keystores-path", &paths));
    CC_TRY(plan_passwords(w));
    if (!paths.len && !w->fault_count)
        return web3signer_default(w, "key-config-path", path, directory);
    CC_TRY(buf_append(&paths, "", 1));
    return web3signer_set(w, "key-config-path", path, (const char *)paths.data);
}

static cc_err plan_key_manager(struct web3signer *w)
{
    if (web3signer_is_true(w, "key-manager-api-enabled")) {
        CC_TRY(
            web3signer_set(w, "key-manager-api-enabled", "http.key_manager_api.enabled", "true"));
        CC_TRY(web3signer_note(w, "key-manager-api-enabled",
                               "here each request of it needs a token or the owner's socket; "
                               "`containment-chamber auth bootstrap` begins that"));
    }
    if (web3signer_is_true(w, "Xkey-manager-skip-keystore-storage"))
        CC_TRY(web3signer_set(w, "Xkey-manager-skip-keystore-storage",
                              "http.key_manager_api.storage", "memory"));
    return CC_OK;
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

CC_ERR web3signer_plan(struct web3signer *w, const char *directory)
{
    for (size_t i = 0; i < web3signer_option_count; i++)
        if (w->values[i])
            CC_TRY(plan_row(w, &web3signer_options[i], w->values[i]));
    CC_TRY(plan_log(w));
    CC_TRY(plan_metrics(w));
    CC_TRY(plan_keys(w, directory));
    CC_TRY(plan_key_manager(w));
    CC_TRY(web3signer_plan_tls(w));
    CC_TRY(web3signer_plan_network(w));
    return web3signer_plan_database(w);
}
