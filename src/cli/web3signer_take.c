#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"

#include "cli/web3signer.h"
#include "codec/yaml.h"
#include "secret/wipe.h"

enum {
    TEXT_MAX = 1 << 16,
    FILE_MAX = 1 << 20,
    NAME_MAX_LEN = 96
};

#define ROOT WEB3SIGNER_ROOT
#define ETH2 WEB3SIGNER_ETH2
const struct web3signer_option web3signer_options[] = {
#define W(name, scope, kind, target, text)                                                         \
    {name, scope, WEB3SIGNER_##kind, target, text, "Web3Signer's --" name},
#include "cli/web3signer_option.def"
#undef W
};
#undef ROOT
#undef ETH2
const size_t web3signer_option_count = ARRAY_LEN(web3signer_options);
_Static_assert(ARRAY_LEN(web3signer_options) <= WEB3SIGNER_OPTIONS_MAX, "rows of the table");

/* --- rows and values --------------------------------------------------------------------------------- */

/* NULL when there is none; another name's row is the one that it stands for. */
static const struct web3signer_option *find(struct span name)
{
    for (size_t i = 0; i < web3signer_option_count; i++) {
        const struct web3signer_option *row = &web3signer_options[i];
        if (!span_is(name, row->name))
            continue;
        return row->kind == WEB3SIGNER_SAME ? find(span_str(row->target)) : row;
    }
    return NULL;
}

static bool is_boolean(const struct web3signer_option *row)
{
    return row->kind == WEB3SIGNER_BOOL || row->kind == WEB3SIGNER_PARTB ||
           row->kind == WEB3SIGNER_IDLEB || row->kind == WEB3SIGNER_NOTB;
}

/* What argv must not go on showing. */
static bool is_secret(const struct web3signer_option *row)
{
    static const char *const names[] = {"slashing-protection-db-password",
                                        "slashing-protection-db-url", "azure-client-secret",
                                        "aws-secrets-secret-access-key"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(row->name, names[i]) == 0)
            return true;
    return false;
}

static void drop(char **text)
{
    if (*text)
        wipe(*text, strlen(*text));
    cc_free(*text);
    *text = NULL;
}

static cc_err keep(const char *text, char **ret_text)
{
    drop(ret_text);
    *ret_text = cc_strdup(text);
    return *ret_text ? CC_OK : CC_FAIL(NO_MEMORY, "an option");
}

static cc_err append_item(char **list, const char *item)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(TEXT_MAX);
    CC_TRY(buf_printf(&text, "%s,%s", *list, item));
    CC_TRY(buf_append(&text, "", 1));
    return keep((const char *)text.data, list);
}

CC_ERR web3signer_note(struct web3signer *w, const char *name, const char *text)
{
    return buf_printf(&w->notes, "--%s: %s\n", name, text);
}

CC_ERR web3signer_fault(struct web3signer *w, const char *name, const char *text)
{
    w->fault_count++;
    return buf_printf(&w->faults, "%s%s%s%s\n", name[0] ? "--" : "", name, name[0] ? ": " : "",
                      text);
}

/* `value` NULL: none was given. */
static cc_err set_row(struct web3signer *w, const struct web3signer_option *row, const char *value)
{
    char **place = &w->values[row - web3signer_options];
    if (is_boolean(row)) {
        struct span text = span_str(value ? value : "true");
        bool yes = span_is_nocase(text, "true");
        if (!yes && !span_is_nocase(text, "false"))
            return web3signer_fault(w, row->name, "takes true or false");
        value = yes ? "true" : "false";
    }
    if (!value)
        return web3signer_fault(w, row->name, "needs a value");
    if (!*place)
        return keep(value, place);
    if (row->kind == WEB3SIGNER_LIST)
        return append_item(place, value);
    /* Only what has no effect may be said as often as one likes. */
    return row->kind == WEB3SIGNER_IDLE || row->kind == WEB3SIGNER_NOT
               ? CC_OK
               : web3signer_fault(w, row->name, "is given more than once");
}

const char *web3signer_value(const struct web3signer *w, const char *name)
{
    const struct web3signer_option *row = find(span_str(name));
    cc_assert(row);
    return w->values[row - web3signer_options];
}

bool web3signer_is_true(const struct web3signer *w, const char *name)
{
    const char *value = web3signer_value(w, name);
    return value && strcmp(value, "true") == 0;
}

/* --- flags ------------------------------------------------------------------------------------------------ */

static bool is_task(const char *word)
{
    static const char *const tasks[] = {"export", "import", "watermark-repair"};
    for (size_t i = 0; i < ARRAY_LEN(tasks); i++)
        if (strcmp(word, tasks[i]) == 0)
            return true;
    return false;
}

static bool is_true_or_false(const char *word)
{
    return span_is_nocase(span_str(word), "true") || span_is_nocase(span_str(word), "false");
}

struct flag {
    const struct web3signer_option *row; /* NULL: of no row */
    char *value;                         /* NULL: none */
    int words;                           /* how many arguments it took */
};

/* --name=VALUE, --name VALUE; a boolean takes the next word only when it is one of its two. */
static struct flag read_flag(const struct arguments *arguments, int at)
{
    char *word = arguments->items[at];
    char *next = at + 1 < arguments->count ? arguments->items[at + 1] : NULL;
    const char *name = strcmp(word, "-l") == 0 ? "--logging" : word;
    size_t len = strcspn(name, "=");
    struct flag flag = {.words = 1};
    if (strncmp(name, "--", 2) == 0)
        flag.row = find(span_of(name + 2, len - 2));
    if (!flag.row)
        return flag;
    if (name[len] == '=') {
        flag.value = word + len + 1;
    } else if (next && (is_boolean(flag.row) ? is_true_or_false(next) : next[0] != '-')) {
        flag.value = next;
        flag.words = 2;
    }
    return flag;
}

static cc_err take_flag(struct web3signer *w, const struct flag *flag)
{
    CC_TRY(set_row(w, flag->row, flag->value));
    if (!flag->value || !is_secret(flag->row))
        return CC_OK;
    /* /proc/PID/cmdline shows this very memory. */
    wipe(flag->value, strlen(flag->value));
    return strcmp(flag->row->name, "slashing-protection-db-url") == 0
               ? CC_OK
               : web3signer_note(w, flag->row->name,
                                 "stood on the command line, where others may have read it before "
                                 "it was overwritten: a variable or the file doesn't show it");
}

static cc_err take_word(struct web3signer *w, struct arguments *arguments, int *at, bool *eth2)
{
    char *word = arguments->items[*at];
    struct flag flag = read_flag(arguments, *at);
    if (flag.row) {
        *at += flag.words;
        return take_flag(w, &flag);
    }
    ++*at;
    if (strcmp(word, "eth2") == 0 && !*eth2) {
        *eth2 = true;
        return CC_OK;
    }
    if (*eth2 && is_task(word)) {
        w->task = word;
        return CC_OK;
    }
    /* What follows "=" may be anything. */
    CC_CLEANUP(buf_release) struct buf name = buf_init(TEXT_MAX);
    CC_TRY(buf_append(&name, word, strcspn(word, "=")));
    CC_TRY(buf_append(&name, "", 1));
    w->fault_count++;
    return buf_printf(&w->faults, "%s: is no option of Web3Signer's eth2 mode\n",
                      (const char *)name.data);
}

static cc_err take_flags(struct web3signer *w, struct arguments *arguments)
{
    bool eth2 = false;
    int at = 0;
    while (at < arguments->count && !w->task)
        CC_TRY(take_word(w, arguments, &at, &eth2));
    arguments->items += at;
    arguments->count -= at;
    return eth2 ? CC_OK : web3signer_fault(w, "", "`eth2` is missing: only that mode is served");
}

/* --- variables -------------------------------------------------------------------------------------------- */

/* WEB3SIGNER_HTTP_LISTEN_PORT, WEB3SIGNER_ETH2_NETWORK */
static void name_of_variable(const struct web3signer_option *row,
                             char ret_name[static NAME_MAX_LEN])
{
    int n = snprintf(ret_name, NAME_MAX_LEN, "WEB3SIGNER_%s%s",
                     row->scope == WEB3SIGNER_ETH2 ? "ETH2_" : "", row->name);
    cc_assert(n > 0 && n < NAME_MAX_LEN);
    for (char *c = ret_name; *c; c++)
        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
}

static const struct web3signer_option *find_variable(struct span name)
{
    char candidate[NAME_MAX_LEN];
    for (size_t i = 0; i < web3signer_option_count; i++) {
        name_of_variable(&web3signer_options[i], candidate);
        if (span_is(name, candidate))
            return find(span_str(web3signer_options[i].name));
    }
    return NULL;
}

static cc_err take_variables(struct web3signer *w)
{
    bool before[WEB3SIGNER_OPTIONS_MAX];
    for (size_t i = 0; i < ARRAY_LEN(before); i++)
        before[i] = w->values[i] != NULL;
    for (char *const *variable = w->environment; variable && *variable; variable++) {
        const char *equals = strchr(*variable, '=');
        if (!equals || strncmp(*variable, "WEB3SIGNER_", 11) != 0)
            continue;
        const struct web3signer_option *row =
            find_variable(span_of(*variable, (size_t)(equals - *variable)));
        if (!row)
            CC_TRY(buf_printf(&w->notes, "%.*s: names no option of its eth2 mode, ignored\n",
                              (int)(equals - *variable), *variable));
        else if (!before[row - web3signer_options])
            CC_TRY(set_row(w, row, equals + 1));
    }
    return CC_OK;
}

/* --- the file ---------------------------------------------------------------------------------------------- */

struct file_walk {
    struct web3signer *w;
    const char *name;
    bool before[WEB3SIGNER_OPTIONS_MAX]; /* had a value of higher rank */
};

static cc_err file_fault(struct file_walk *walk, uint32_t line, const char *text)
{
    walk->w->fault_count++;
    return buf_printf(&walk->w->faults, "%s:%u: %s\n", walk->name, line, text);
}

static cc_err take_scalar(struct file_walk *walk,
                          const struct web3signer_option *row,
                          const struct yml_node *node)
{
    if (node->kind != YML_SCALAR || memchr(node->text.data, 0, node->text.len))
        return file_fault(walk, node->line, "is not plain text");
    if (walk->before[row - web3signer_options])
        return CC_OK;
    return set_row(walk->w, row, (const char *)node->text.data);
}

static cc_err take_entry(struct file_walk *walk,
                         enum web3signer_scope scope,
                         struct span name,
                         const struct yml_node *node)
{
    const struct web3signer_option *row = NULL;
    for (size_t i = 0; i < web3signer_option_count && !row; i++)
        if (web3signer_options[i].scope == scope && span_is(name, web3signer_options[i].name))
            row = find(name);
    if (!row)
        return file_fault(walk, node->key->line, "is no option of Web3Signer's eth2 mode");
    if (node->kind != YML_SEQUENCE)
        return take_scalar(walk, row, node);
    if (row->kind != WEB3SIGNER_LIST && row->kind != WEB3SIGNER_IDLE)
        return file_fault(walk, node->line, "is a list, where one value is expected");
    YML_EACH(item, node)
    {
        CC_TRY(take_scalar(walk, row, item));
    }
    return CC_OK;
}

/* `eth2.NAME: ...`, or NAME below `eth2:`. */
static cc_err take_root_entry(struct file_walk *walk, const struct yml_node *node)
{
    struct span name = node->key->text;
    if (name.len > 5 && span_is(span_of(name.data, 5), "eth2."))
        return take_entry(walk, WEB3SIGNER_ETH2, span_of(name.data + 5, name.len - 5), node);
    if (!span_is(name, "eth2") || node->kind != YML_MAPPING)
        return take_entry(walk, WEB3SIGNER_ROOT, name, node);
    YML_EACH(child, node)
    {
        CC_TRY(take_entry(walk, WEB3SIGNER_ETH2, child->key->text, child));
    }
    return CC_OK;
}

CC_ERR web3signer_take_file(struct web3signer *w, const char *name, struct span text)
{
    struct file_walk walk = {.w = w, .name = name};
    struct yml_fault fault = {0};
    CC_CLEANUP(yml_release) struct yml yml = {0};
    cc_err err = yml_load(text, &yml_limits_default, &yml, &fault);
    if (err.code)
        return file_fault(&walk, fault.line, fault.text ? fault.text : error_text(err));
    for (size_t i = 0; i < ARRAY_LEN(walk.before); i++)
        walk.before[i] = w->values[i] != NULL;
    if (!yml.first || yml_is_null(yml.first))
        return CC_OK;
    if (yml.first->kind != YML_MAPPING)
        return file_fault(&walk, yml.first->line, "is not a mapping of options");
    YML_EACH(child, yml.first)
    {
        CC_TRY(take_root_entry(&walk, child));
    }
    return CC_OK;
}

static cc_err take_named_file(struct web3signer *w)
{
    const char *path = web3signer_value(w, "config-file");
    CC_CLEANUP(buf_release) struct buf text = buf_init(FILE_MAX);
    if (!path)
        return CC_OK;
    if (file_read(path, &text).code)
        return web3signer_fault(w, "config-file", "can't be read");
    return web3signer_take_file(w, path, buf_span(&text));
}

CC_ERR web3signer_take(struct arguments *arguments, struct web3signer *ret_w)
{
    *ret_w = (struct web3signer){.environment = arguments->environment,
                                 .notes = buf_init(TEXT_MAX),
                                 .faults = buf_init(TEXT_MAX)};
    CC_TRY(take_flags(ret_w, arguments));
    CC_TRY(take_variables(ret_w));
    return take_named_file(ret_w);
}

void web3signer_release(struct web3signer *w)
{
    for (size_t i = 0; i < ARRAY_LEN(w->values); i++)
        drop(&w->values[i]);
    for (size_t i = 0; i < ARRAY_LEN(w->texts); i++)
        drop(&w->texts[i]);
    drop(&w->database);
    buf_release(&w->notes);
    buf_release(&w->faults);
}
