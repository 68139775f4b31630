#include "cli/bench_plan.h"

#include "base/num.h"

static const char *const mode_choices[] = {"closed", "open", "slot", NULL};
static const char *const roots_choices[] = {"shared", "distinct", NULL};
static const char *const engine_choices[] = {"blst", "auto", "fixed_base", "ifma", NULL};

/* Without options: one client, many, very many; the batch endpoint; a fixed rate; slots. */
static const struct bench_shape usual[] = {
    {BENCH_CLOSED, BENCH_ROOTS_SHARED, 1, 0},   {BENCH_CLOSED, BENCH_ROOTS_SHARED, 64, 0},
    {BENCH_CLOSED, BENCH_ROOTS_SHARED, 512, 0}, {BENCH_CLOSED, BENCH_ROOTS_DISTINCT, 64, 0},
    {BENCH_OPEN, BENCH_ROOTS_SHARED, 64, 0},    {BENCH_SLOT, BENCH_ROOTS_SHARED, 64, 0},
    {BENCH_CLOSED, BENCH_ROOTS_SHARED, 4, 256}, {BENCH_SLOT, BENCH_ROOTS_SHARED, 4, 256},
};

const char *bench_engine_name(uint64_t index)
{
    cc_assert(index + 1 < ARRAY_LEN(engine_choices));
    return engine_choices[index];
}

/* --- values ------------------------------------------------------------------------------------------ */

struct range {
    uint64_t min, max;
};

static bool in_range(struct range range, uint64_t value)
{
    return value >= range.min && value <= range.max;
}

static bool parse_choice(struct span text, const char *const *choices, uint64_t *ret_index)
{
    for (uint64_t i = 0; choices[i]; i++)
        if (span_is(text, choices[i])) {
            *ret_index = i;
            return true;
        }
    return false;
}

/* Items between commas: one of `choices`, or with none of them a number in `range`. */
static bool parse_list(const char *text,
                       const char *const *choices,
                       struct range range,
                       struct bench_list *ret_list)
{
    *ret_list = (struct bench_list){0};
    for (const char *at = text;; at++) {
        size_t len = strcspn(at, ",");
        struct span item = span_of(at, len);
        uint64_t value = 0;
        if (ret_list->count == BENCH_LIST_MAX)
            return false;
        if (choices ? !parse_choice(item, choices, &value)
                    : u64_parse(item, &value).code || !in_range(range, value))
            return false;
        ret_list->items[ret_list->count++] = value;
        at += len;
        if (*at == 0)
            return true;
    }
}

/* Seconds with up to three decimals, at most a day. */
static bool parse_seconds(const char *text, uint64_t *ret_ns)
{
    const char *point = strchr(text, '.');
    size_t whole_len = point ? (size_t)(point - text) : strlen(text), digits = 0;
    uint64_t whole = 0, part = 0;
    if (u64_parse(span_of(text, whole_len), &whole).code || whole > 86400)
        return false;
    if (point) {
        digits = strlen(point + 1);
        if (digits > 3 || u64_parse(span_of(point + 1, digits), &part).code)
            return false;
    }
    for (; digits < 9; digits++)
        part *= 10;
    *ret_ns = whole * 1000000000 + part;
    return true;
}

/* --- options ----------------------------------------------------------------------------------------- */

static int take_list(struct arguments *arguments,
                     const char *name,
                     const char *const *choices,
                     struct range range,
                     struct bench_list *ret_list)
{
    const char *text;
    int code = command_take_value(arguments, name, &text);
    if (code != EXIT_CODE_DONE || !text)
        return code;
    return parse_list(text, choices, range, ret_list)
               ? EXIT_CODE_DONE
               : command_usage(arguments, "not understood", text);
}

static int
take_number(struct arguments *arguments, const char *name, struct range range, uint64_t *number)
{
    struct bench_list list = {0};
    int code = take_list(arguments, name, NULL, range, &list);
    if (code == EXIT_CODE_DONE && list.count > 1)
        code = command_usage(arguments, "takes one number", name);
    if (code == EXIT_CODE_DONE && list.count == 1)
        *number = list.items[0];
    return code;
}

static int
take_seconds(struct arguments *arguments, const char *name, bool may_be_zero, uint64_t *ns)
{
    const char *text;
    int code = command_take_value(arguments, name, &text);
    if (code != EXIT_CODE_DONE || !text)
        return code;
    return parse_seconds(text, ns) && (may_be_zero || *ns > 0)
               ? EXIT_CODE_DONE
               : command_usage(arguments, "not understood", text);
}

static int take_durations(struct arguments *arguments, struct bench_options *options)
{
    const struct {
        const char *name;
        bool may_be_zero;
        uint64_t *ns;
    } table[] = {
        {"--seconds", false, &options->run_ns},
        {"--warm", true, &options->warm_ns},
        {"--yardstick", false, &options->raw_ns},
        {"--slot-seconds", false, &options->slot_ns},
    };
    int code = EXIT_CODE_DONE;
    for (size_t i = 0; i < ARRAY_LEN(table) && code == EXIT_CODE_DONE; i++)
        code = take_seconds(arguments, table[i].name, table[i].may_be_zero, table[i].ns);
    return code;
}

static int take_numbers(struct arguments *arguments, struct bench_options *options)
{
    uint64_t keys = options->keys, repeat = options->repeat;
    const struct {
        const char *name;
        struct range range;
        uint64_t *number;
    } table[] = {
        {"--keys", {1, 100000}, &keys},
        {"--repeat", {1, 9}, &repeat},
        {"--rate", {1, 10000000}, &options->rate},
    };
    int code = EXIT_CODE_DONE;
    for (size_t i = 0; i < ARRAY_LEN(table) && code == EXIT_CODE_DONE; i++)
        code = take_number(arguments, table[i].name, table[i].range, table[i].number);
    options->keys = (size_t)keys;
    options->repeat = (unsigned)repeat;
    return code;
}

static int take_lists(struct arguments *arguments, struct bench_options *options)
{
    const struct {
        const char *name;
        const char *const *choices;
        struct range range;
        struct bench_list *list;
    } table[] = {
        {"--engine", engine_choices, {0}, &options->engines},
        {"--load", mode_choices, {0}, &options->modes},
        {"--roots", roots_choices, {0}, &options->roots},
        {"--batch", NULL, {0, BENCH_BATCH_MAX}, &options->batches},
        {"--connections", NULL, {1, BENCH_CONNECTIONS_MAX}, &options->connections},
    };
    int code = EXIT_CODE_DONE;
    for (size_t i = 0; i < ARRAY_LEN(table) && code == EXIT_CODE_DONE; i++)
        code = take_list(arguments, table[i].name, table[i].choices, table[i].range, table[i].list);
    return code;
}

int bench_options_take(struct arguments *arguments, struct bench_options *ret_options)
{
    *ret_options = (struct bench_options){
        .keys = 1000,
        .directory = ".",
        .json = command_take_switch(arguments, "--json"),
        .warm_ns = 1000000000,
        .run_ns = 5000000000,
        .raw_ns = 1000000000,
        .slot_ns = 1000000000,
        .repeat = 1,
    };
    const char *directory = NULL;
    int code = command_take_value(arguments, "--dir", &directory);
    if (directory)
        ret_options->directory = directory;
    if (code == EXIT_CODE_DONE)
        code = take_numbers(arguments, ret_options);
    if (code == EXIT_CODE_DONE)
        code = take_durations(arguments, ret_options);
    if (code == EXIT_CODE_DONE)
        code = take_lists(arguments, ret_options);
    return code == EXIT_CODE_DONE ? command_refuse_rest(arguments) : code;
}

/* --- rows ---------------------------------------------------------------------------------------------- */

static struct bench_shape fit(struct bench_shape shape, size_t keys)
{
    shape.connections = (unsigned)u64_min(shape.connections, keys);
    if (shape.batch > 0)
        shape.batch = (unsigned)u64_min(shape.batch, keys / shape.connections);
    return shape;
}

static void default_to(struct bench_list *list, uint64_t value)
{
    if (list->count == 0)
        *list = (struct bench_list){1, {value}};
}

size_t bench_shapes(const struct bench_options *options,
                    struct bench_shape ret_shapes[static BENCH_ROWS_MAX])
{
    struct bench_options o = *options;
    size_t count = 0;
    if (!o.modes.count && !o.batches.count && !o.connections.count && !o.roots.count) {
        for (; count < ARRAY_LEN(usual); count++)
            ret_shapes[count] = fit(usual[count], o.keys);
        return count;
    }
    default_to(&o.modes, BENCH_CLOSED);
    default_to(&o.batches, 0);
    default_to(&o.connections, 64);
    default_to(&o.roots, BENCH_ROOTS_SHARED);
    size_t total = (size_t)o.modes.count * o.batches.count * o.connections.count * o.roots.count;
    for (size_t i = 0; i < total && count < BENCH_ROWS_MAX; i++) {
        size_t rest = i;
        uint64_t mode = o.modes.items[rest % o.modes.count];
        rest /= o.modes.count;
        uint64_t roots = o.roots.items[rest % o.roots.count];
        rest /= o.roots.count;
        uint64_t connections = o.connections.items[rest % o.connections.count];
        rest /= o.connections.count;
        ret_shapes[count++] =
            fit((struct bench_shape){(enum bench_mode)mode, (enum bench_roots)roots,
                                     (unsigned)connections, (unsigned)o.batches.items[rest]},
                o.keys);
    }
    return count;
}
