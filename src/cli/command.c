#include "cli/command.h"

#include <stdio.h>
#include <unistd.h>

#include "auth/from_config.h"
#include "config/config_table.h"

int command_usage(const struct arguments *arguments, const char *message, const char *about)
{
    (void)fprintf(stderr, "containment-chamber %s: %s%s%s\n", arguments->command, message,
                  about ? ": " : "", about ? about : "");
    (void)fprintf(stderr, "Try `containment-chamber help %s`.\n", arguments->command);
    return EXIT_CODE_USAGE;
}

static void remove_items(struct arguments *arguments, int at, int count)
{
    for (int i = at; i + count < arguments->count; i++)
        arguments->items[i] = arguments->items[i + count];
    arguments->count -= count;
}

bool command_take_switch(struct arguments *arguments, const char *name)
{
    for (int i = 0; i < arguments->count; i++) {
        if (!span_is(span_str(arguments->items[i]), name))
            continue;
        remove_items(arguments, i, 1);
        return true;
    }
    return false;
}

int command_take_value(struct arguments *arguments, const char *name, const char **ret_value)
{
    size_t len = strlen(name);
    *ret_value = NULL;
    for (int i = 0; i < arguments->count; i++) {
        const char *item = arguments->items[i];
        bool joined = strncmp(item, name, len) == 0 && item[len] == '=';
        if (!joined && strcmp(item, name) != 0)
            continue;
        if (!joined && i + 1 >= arguments->count)
            return command_usage(arguments, "needs a value", name);
        *ret_value = joined ? item + len + 1 : arguments->items[i + 1];
        remove_items(arguments, i, joined ? 1 : 2);
        break;
    }
    return EXIT_CODE_DONE;
}

int command_refuse_mixed(const struct arguments *arguments, const char *option, const char *to)
{
    if (to && strcmp(to, "-") != 0)
        return EXIT_CODE_DONE;
    return command_usage(arguments,
                         "--json says on standard output what was written elsewhere: give a file",
                         option);
}

int command_refuse_rest(const struct arguments *arguments)
{
    if (arguments->count == 0)
        return EXIT_CODE_DONE;
    return command_usage(arguments, "not understood", arguments->items[0]);
}

bool command_may_color(char *const *environment)
{
    static const char variable[] = "NO_COLOR=";
    for (char *const *item = environment; item && *item; item++)
        if (strncmp(*item, variable, sizeof variable - 1) == 0 && (*item)[sizeof variable - 1])
            return false;
    return isatty(STDOUT_FILENO) == 1;
}

/* --- the configuration's options ------------------------------------------------------------------------------------ */

static const char *keep(struct command_config *config, struct span text)
{
    if (config->text_count >= COMMAND_OVERRIDES_MAX || text.len >= sizeof config->texts[0])
        return NULL;
    char *kept = config->texts[config->text_count++];
    memcpy(kept, text.data, text.len);
    kept[text.len] = 0;
    return kept;
}

static bool
add_override(struct command_config *config, const char *path, const char *value, const char *origin)
{
    if (!path || !origin || config->source.override_count >= COMMAND_OVERRIDES_MAX)
        return false;
    config->overrides[config->source.override_count++] =
        (struct config_override){.path = path, .value = value, .origin = origin};
    return true;
}

/* --set PATH=VALUE. The path is not looked up here: config_load() names what is wrong with it. */
static bool add_set(struct command_config *config, const char *text)
{
    const char *equals = strchr(text, '=');
    if (!equals)
        return false;
    return add_override(config, keep(config, span_of(text, (size_t)(equals - text))), equals + 1,
                        "--set");
}

static bool add_flag(struct command_config *config, struct span name, const char *value)
{
    const char *path = config_path_of_flag(name);
    return path &&
           add_override(config, path, value, keep(config, span_of(name.data - 2, name.len + 2)));
}

struct option {
    struct span name;  /* without dashes */
    const char *value; /* NULL: the next argument is it */
};

static bool read_option(const char *text, struct option *ret_option)
{
    if (strcmp(text, "-c") == 0) {
        *ret_option = (struct option){span_str("config"), NULL};
        return true;
    }
    if (strncmp(text, "--", 2) != 0 || text[2] == 0)
        return false;
    size_t len = strcspn(text + 2, "=");
    *ret_option = (struct option){span_of(text + 2, len), text[2 + len] ? text + 3 + len : NULL};
    return true;
}

static bool is_config_option(struct span name)
{
    return span_is(name, "config") || span_is(name, "set") || config_path_of_flag(name);
}

static bool apply_option(struct command_config *config, struct span name, const char *value)
{
    if (span_is(name, "set"))
        return add_set(config, value);
    if (!span_is(name, "config"))
        return add_flag(config, name, value);
    if (config->source.path)
        return false;
    config->source.path = value;
    return true;
}

int command_take_config(struct arguments *arguments, struct command_config *ret_config)
{
    *ret_config = (struct command_config){.source = {.environment = arguments->environment}};
    ret_config->source.overrides = ret_config->overrides;
    int i = 0;
    while (i < arguments->count) {
        struct option option;
        if (!read_option(arguments->items[i], &option) || !is_config_option(option.name)) {
            i++;
            continue;
        }
        bool separate = !option.value;
        if (separate && i + 1 >= arguments->count)
            return command_usage(arguments, "needs a value", arguments->items[i]);
        const char *value = separate ? arguments->items[i + 1] : option.value;
        if (!apply_option(ret_config, option.name, value))
            return command_usage(arguments, "not understood", arguments->items[i]);
        remove_items(arguments, i, separate ? 2 : 1);
    }
    return EXIT_CODE_DONE;
}

int command_look_at_config(const struct command_config *command,
                           command_look_fn *look,
                           struct config *ret_config,
                           struct buf *ret_faults)
{
    struct config_faults faults;
    const struct supervisor_source *source = &command->source;
    cc_err err = config_load(source->path, source->environment, source->overrides,
                             source->override_count, ret_config, &faults);
    if (!err.code)
        auth_check_config(&ret_config->auth, &faults);
    if (!err.code && look)
        look(ret_config, &faults);
    (void)fprintf(stderr, "%.*s", (int)faults.text.len,
                  faults.text.len ? (const char *)faults.text.data : "");
    cc_err kept = ret_faults ? buf_append(ret_faults, faults.text.data, faults.text.len) : CC_OK;
    buf_release(&faults.text);
    return err.code || kept.code || faults.count ? EXIT_CODE_REFUSED : EXIT_CODE_DONE;
}

int command_load_config(const struct command_config *command, struct config *ret_config)
{
    int code = command_look_at_config(command, NULL, ret_config, NULL);
    if (code != EXIT_CODE_DONE)
        (void)fprintf(stderr, "When that is mended: `containment-chamber config check%s%s`.\n",
                      command->source.path ? " -c " : "",
                      command->source.path ? command->source.path : "");
    return code;
}
