#include "cli/keys_order.h"

#include <stdio.h>
#include <string.h>

#include "cli/json_object.h"
#include "cli/order_send.h"
#include "cli/secret_source.h"
#include "core/key_move.h"
#include "core/key_order.h"
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

static int ask(const char *order, const struct order_watch *watch, struct buf *ret_answer)
{
    return order_send(&command.source, &config, span_str(order), watch, ret_answer);
}

/* --- stores ------------------------------------------------------------------------------------------------------- */

/* What follows `before`; NULL where `text` does not begin so. */
static const char *behind(const char *text, const char *before)
{
    const size_t len = strlen(before);
    return strncmp(text, before, len) == 0 ? text + len : NULL;
}

/* "NAME STATE": a state of a move names the other store. */
static void put_store(struct json_object *object, char *line)
{
    char *state = strchr(line, ' ');
    if (!state)
        return;
    *state++ = 0;
    const char *moving = behind(state, KEY_ORDER_MOVING), *moved = behind(state, KEY_ORDER_MOVED);
    json_object_open(object, NULL, '{');
    json_object_text(object, "name", line);
    json_object_text(object, "state", moving ? "moving" : moved ? "moved" : state);
    json_object_text(object, "to", moving ? moving : moved);
    json_object_close(object, '}');
}

static int print_stores(char *text)
{
    struct json_object object = json_object_begin();
    bool complete = true;
    char *rest = NULL;
    json_object_open(&object, "stores", '[');
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (strcmp(line, KEY_ORDER_CUT) == 0)
            complete = false;
        else if (strcmp(line, KEY_ORDER_NONE) != 0)
            put_store(&object, line);
    }
    json_object_close(&object, ']');
    json_object_flag(&object, "complete", complete);
    return json_object_print(&object, "keys", EXIT_CODE_DONE);
}

static int stores(struct arguments *arguments, bool json)
{
    CC_CLEANUP(buf_release) struct buf answer = buf_init(ORDER_TEXT_MAX + 1);
    int code = load(arguments);
    if (code == EXIT_CODE_DONE)
        code = ask("key-stores", NULL, &answer);
    if (code != EXIT_CODE_DONE || !json)
        return code == EXIT_CODE_DONE ? order_print("keys", &answer, false) : code;
    cc_err err = buf_append(&answer, "", 1);
    cc_assert(!err.code);
    return print_stores((char *)answer.data);
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

static int forget(struct arguments *arguments, bool json)
{
    CC_CLEANUP(buf_release) struct buf answer = buf_init(ORDER_TEXT_MAX);
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
    if (code == EXIT_CODE_DONE)
        code = ask(order, NULL, &answer);
    return code == EXIT_CODE_DONE ? order_print("keys", &answer, json) : code;
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
static int send_move(const char *order, bool json)
{
    CC_CLEANUP(buf_release) struct buf answer = buf_init(ORDER_TEXT_MAX);
    const struct order_watch watch = {"moving", json ? PROGRESS_NONE : PROGRESS_BAR};
    int code = ask(order, &watch, &answer);
    if (code != EXIT_CODE_DONE)
        return code;
    const size_t len = strlen(KEY_MOVE_NOTHING);
    const bool nothing =
        answer.len >= len && span_equal(span_of(answer.data, len), span_str(KEY_MOVE_NOTHING));
    if (!nothing)
        return order_print("keys", &answer, json);
    (void)fprintf(stderr, "%.*s", (int)answer.len, (const char *)answer.data);
    return EXIT_CODE_REFUSED;
}

static int move(struct arguments *arguments, bool json)
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
    return send_move(order, json);
}

/* ------------------------------------------------------------------------------------------------------------------------- */

bool keys_order(struct arguments *arguments, int *ret_code)
{
    static const struct {
        const char *name;
        int (*run)(struct arguments *arguments, bool json);
    } orders[] = {{"stores", stores}, {"forget-store", forget}, {"move", move}};
    const char *name = arguments->count ? arguments->items[0] : "";
    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        if (strcmp(name, orders[i].name) != 0)
            continue;
        arguments->count--;
        arguments->items++;
        const bool json = command_take_switch(arguments, "--json");
        *ret_code = orders[i].run(arguments, json);
        return true;
    }
    return false;
}
