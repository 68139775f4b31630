#include <stdio.h>

#include "cli/command.h"
#include "core/stores.h"

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

static int check_or_dump(struct arguments *arguments, bool dump)
{
    int code = command_take_config(arguments, &command);
    if (code == EXIT_CODE_DONE)
        code = command_refuse_rest(arguments);
    if (code == EXIT_CODE_DONE)
        code = command_load_config(&command, &config);
    if (code != EXIT_CODE_DONE)
        return code;
    if (!dump) {
        cc_err err = stores_load_config(&config, &stores); /* the file that `network` may name */
        if (err.code)
            return EXIT_CODE_REFUSED;
        (void)fprintf(stderr, "The configuration is valid.\n");
        return EXIT_CODE_DONE;
    }
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
        return check_or_dump(arguments, false);
    if (command_take_switch(arguments, "dump"))
        return check_or_dump(arguments, true);
    if (command_take_switch(arguments, "example"))
        return print_text(arguments, config_example);
    if (command_take_switch(arguments, "document"))
        return print_text(arguments, config_document);
    return command_usage(arguments, "check, dump, example or document?", NULL);
}
