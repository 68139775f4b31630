#include "cli/keys_order.h"

#include <stdio.h>
#include <string.h>

#include "cli/order_send.h"
#include "cli/secret_source.h"
#include "core/key_move.h"
#include "core/order.h"

static struct command_config command;
static struct config config;

enum {
    ORDER_SIZE = 160
};

static int load(struct arguments *arguments)
{
    int code = command_take_config(arguments, &command);
    if (code == EXIT_CODE_DONE)
        code = command_refuse_rest(arguments);
    return code == EXIT_CODE_DONE ? command_load_config(&command, &config) : code;
}

static int send(const char *order)
{
    CC_CLEANUP(buf_release) struct buf answer = buf_init(ORDER_TEXT_MAX);
    int code = order_send(&command.source, &config, span_str(order), &answer);
    if (code == EXIT_CODE_DONE)
        (void)printf("%.*s", (int)answer.len, (const char *)answer.data);
    return code;
}

/* --- stores ------------------------------------------------------------------------------------------------------- */

static int stores(struct arguments *arguments)
{
    int code = load(arguments);
    return code == EXIT_CODE_DONE ? send("key-stores") : code;
}

/* --- forget-store --------------------------------------------------------------------------------------------------- */

static int confirm(const char *name)
{
    (void)fprintf(
        stderr,
        "The chamber forgets the key store %s. Keys that are in it alone sign nowhere any more, and after the\n"
        "next rotation nobody can open them. It is for a store whose machine or database is gone for good.\n",
        name);
    cc_err err = terminal_confirm("Forget it (yes)? ",
                                  "there is no terminal to ask at: --yes takes its place");
    if (!err.code)
        return EXIT_CODE_DONE;
    (void)fprintf(
        stderr,
        "containment-chamber keys: nothing was done: say yes at the terminal, or give --yes\n");
    return EXIT_CODE_REFUSED;
}

static const char *take_name(struct arguments *arguments)
{
    if (arguments->count == 0 || arguments->items[0][0] == '-')
        return NULL;
    arguments->count--;
    return *arguments->items++;
}

static int forget(struct arguments *arguments)
{
    char order[ORDER_SIZE];
    const char *name = take_name(arguments);
    const bool yes = command_take_switch(arguments, "--yes");
    const bool force = command_take_switch(arguments, "--force");
    if (!name || strlen(name) >= STATE_NAME_SIZE)
        return command_usage(arguments, "which key store? Its name as `keys stores` shows it",
                             NULL);
    int code = load(arguments);
    if (code == EXIT_CODE_DONE && !yes)
        code = confirm(name);
    (void)snprintf(order, sizeof order, "forget-store %s%s", force ? "--force " : "", name);
    return code == EXIT_CODE_DONE ? send(order) : code;
}

/* --- move ------------------------------------------------------------------------------------------------------------- */

static bool is_kind(const char *text)
{
    return strcmp(text, "sqlite") == 0 || strcmp(text, "postgres") == 0 ||
           strcmp(text, "dynamodb") == 0;
}

/* The table may stand beside the URL here, as it may not in a configuration: one of them is left. */
static int set_table(struct arguments *arguments, const char *table)
{
    const size_t size = sizeof config.key_sources.dynamodb.table;
    if (!table)
        return EXIT_CODE_DONE;
    if (strlen(table) >= size)
        return command_usage(arguments, "too long", "--table");
    memset(config.key_sources.dynamodb.table, 0, size);
    memcpy(config.key_sources.dynamodb.table, table, strlen(table));
    return EXIT_CODE_DONE;
}

struct move {
    const char *from;
    const char *to;
    const char *table;
    bool cancel;
};

static int read_move(struct arguments *arguments, struct move *move)
{
    move->cancel = command_take_switch(arguments, "--cancel");
    int code = command_take_value(arguments, "--from", &move->from);
    if (code == EXIT_CODE_DONE)
        code = command_take_value(arguments, "--to", &move->to);
    if (code == EXIT_CODE_DONE)
        code = command_take_value(arguments, "--table", &move->table);
    if (code != EXIT_CODE_DONE)
        return code;
    if (!move->from || !is_kind(move->from))
        return command_usage(arguments, "--from sqlite, postgres or dynamodb", move->from);
    if (move->cancel)
        return move->to ? command_usage(arguments, "--cancel takes no --to", NULL) : EXIT_CODE_DONE;
    if (!move->to || !is_kind(move->to) || strcmp(move->from, move->to) == 0)
        return command_usage(arguments, "--to sqlite, postgres or dynamodb, and another one",
                             move->to);
    return EXIT_CODE_DONE;
}

/* On the wrong machine, or with the wrong word behind --from: no work of the signer's has failed. */
static int send_move(const char *order)
{
    CC_CLEANUP(buf_release) struct buf answer = buf_init(ORDER_TEXT_MAX);
    int code = order_send(&command.source, &config, span_str(order), &answer);
    if (code != EXIT_CODE_DONE)
        return code;
    const size_t len = strlen(KEY_MOVE_NOTHING);
    const bool nothing =
        answer.len >= len && span_equal(span_of(answer.data, len), span_str(KEY_MOVE_NOTHING));
    (void)fprintf(nothing ? stderr : stdout, "%.*s", (int)answer.len, (const char *)answer.data);
    return nothing ? EXIT_CODE_REFUSED : EXIT_CODE_DONE;
}

static int move(struct arguments *arguments)
{
    struct move move = {.from = NULL};
    char order[ORDER_SIZE];
    int code = read_move(arguments, &move);
    if (code == EXIT_CODE_DONE)
        code = load(arguments);
    if (code == EXIT_CODE_DONE)
        code = set_table(arguments, move.table);
    if (code != EXIT_CODE_DONE)
        return code;
    if (move.cancel)
        (void)snprintf(order, sizeof order, "move-keys --cancel %s", move.from);
    else
        (void)snprintf(order, sizeof order, "move-keys %s %s", move.from, move.to);
    return send_move(order);
}

/* ------------------------------------------------------------------------------------------------------------------------- */

bool keys_order(struct arguments *arguments, int *ret_code)
{
    static const struct {
        const char *name;
        int (*run)(struct arguments *arguments);
    } orders[] = {{"stores", stores}, {"forget-store", forget}, {"move", move}};
    const char *name = arguments->count ? arguments->items[0] : "";
    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        if (strcmp(name, orders[i].name) != 0)
            continue;
        arguments->count--;
        arguments->items++;
        *ret_code = orders[i].run(arguments);
        return true;
    }
    return false;
}
