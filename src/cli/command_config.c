#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/egress_look.h"
#include "cli/json_object.h"
#include "config/databases.h"
#include "core/stores.h"
#include "keys/filesystem.h"
#include "sql/postgres_url.h"

static struct command_config command;
static struct config config;
static struct stores stores; /* too large for the stack */

enum {
    OUTPUT_MAX = 1 << 18
};

static int print(cc_err err, struct buf *text)
{
    bool written =
        !err.code && fwrite(text->data, 1, text->len, stdout) == text->len && fflush(stdout) == 0;
    buf_release(text);
    if (written)
        return EXIT_CODE_DONE;
    (void)fprintf(stderr, "containment-chamber config: %s\n",
                  err.code ? error_text(err) : "cannot write");
    return EXIT_CODE_FAILED;
}

static void look_at_path(const char *option, const char *path, struct config_faults *faults)
{
    struct key_files files = {0};
    cc_err err = path[0] ? key_files_scan(&files, path) : CC_OK;
    key_files_release(&files);
    if (err.code)
        config_faults_add(faults, option, "%s: %s", path, error_detail());
}

static void look_at_password_file(const char *path, struct config_faults *faults)
{
    if (path[0] && access(path, R_OK) != 0)
        config_faults_add(faults, "key_sources.filesystem.password_file", "%s: %s", path,
                          errno == ENOENT ? "no such file" : "cannot be read");
}

/* The server would start without them and say so in its log; this is asked to find it before. */
static void look_at_keys(const struct config *checked, struct config_faults *faults)
{
    const struct filesystem_config *keys = &checked->key_sources.filesystem;
    for (uint32_t i = 0; i < keys->path_count; i++)
        look_at_path("key_sources.filesystem.paths", keys->paths[i], faults);
    look_at_path("key_sources.filesystem.passwords_path", keys->passwords_path, faults);
    look_at_password_file(keys->password_file, faults);
}

/* As the start does (core/stores.c), with the line in which it stands. */
static void look_at_databases(const struct config *checked, struct config_faults *faults)
{
    struct config_database databases[CONFIG_DATABASES];
    const size_t count = config_databases(checked, databases);
    const bool strict = checked->tee.platform == TEE_NITRO && config_is_about_money(checked);
    for (size_t i = 0; strict && i < count; i++)
        if (postgres_url_check_enclave(databases[i].url).code)
            config_faults_add(faults, databases[i].option, "%s", error_detail());
}

static void look_at_all(const struct config *checked, struct config_faults *faults)
{
    look_at_keys(checked, faults);
    look_at_databases(checked, faults);
    egress_look(checked, faults);
}

int command_check_config(const struct command_config *source,
                         struct config *ret_config,
                         struct buf *ret_faults)
{
    int code = command_look_at_config(source, look_at_all, ret_config, ret_faults);
    if (code != EXIT_CODE_DONE)
        return code;
    /* The file that `network` may name; it says itself what is wrong. */
    cc_err err = stores_load_config(ret_config, &stores);
    if (err.code && ret_faults)
        (void)buf_printf(ret_faults, "%s: %s\n", error_text(err), error_detail()).code;
    return err.code ? EXIT_CODE_REFUSED : EXIT_CODE_DONE;
}

static int take(struct arguments *arguments)
{
    int code = command_take_config(arguments, &command);
    return code == EXIT_CODE_DONE ? command_refuse_rest(arguments) : code;
}

static int print_check(const struct buf *faults, int code)
{
    struct json_object object = json_object_begin();
    json_object_flag(&object, "valid", code == EXIT_CODE_DONE);
    json_object_lines(&object, "faults", buf_span(faults));
    return json_object_print(&object, "config", code);
}

static int check(struct arguments *arguments)
{
    CC_CLEANUP(buf_release) struct buf faults = buf_init(OUTPUT_MAX);
    const bool json = command_take_switch(arguments, "--json");
    int code = take(arguments);
    if (code != EXIT_CODE_DONE)
        return code;
    code = command_check_config(&command, &config, &faults);
    (void)fprintf(stderr, "%s\n",
                  code == EXIT_CODE_DONE
                      ? "The configuration is valid."
                      : "Every option and what it takes: `containment-chamber config example`.");
    return json ? print_check(&faults, code) : code;
}

static int dump(struct arguments *arguments)
{
    int code = take(arguments);
    if (code == EXIT_CODE_DONE)
        code = command_load_config(&command, &config);
    if (code != EXIT_CODE_DONE)
        return code;
    struct buf text = buf_init(OUTPUT_MAX);
    cc_err err = config_dump(&config, &text);
    return print(err, &text);
}

static int print_text(const struct arguments *arguments, cc_err (*make)(struct buf *out))
{
    int code = command_refuse_rest(arguments);
    if (code != EXIT_CODE_DONE)
        return code;
    struct buf text = buf_init(OUTPUT_MAX);
    cc_err err = make(&text);
    return print(err, &text);
}

int command_config(struct arguments *arguments)
{
    if (command_take_switch(arguments, "check"))
        return check(arguments);
    if (command_take_switch(arguments, "dump"))
        return dump(arguments);
    if (command_take_switch(arguments, "example"))
        return print_text(arguments, config_example);
    if (command_take_switch(arguments, "document"))
        return print_text(arguments, config_document);
    return command_usage(arguments, "check, dump, example or document?", NULL);
}
