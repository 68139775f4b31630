#include "cli/bench_plan.h"

#include "base/num.h"

static const char *const mode_choices[] = {"closed", "open", "slot", NULL};
static const char *const engine_choices[] = {"blst", "auto", "fixed_base", "ifma", NULL};

/* One client, many, very many; a fixed rate; slots; the batch endpoint. */
static const char usual[] = "closed:1,closed:64,closed:512,closed:64/distinct,open:64,slot:64,"
                            "closed:4x256,slot:4x256";

/* --- values ------------------------------------------------------------------------------------------ */

/* Takes what stands before the first of `marks`, or all; `text` goes on there. */
static struct span take_until(const char **text, const char *marks)
{
    struct span part = span_of(*text, strcspn(*text, marks));
    *text += part.len;
    return part;
}

static bool parse_choice(struct span text, const char *const *choices, unsigned *ret_index)
{
    for (unsigned i = 0; choices[i]; i++) {
        if (!span_is(text, choices[i]))
            continue;
        *ret_index = i;
        return true;
    }
    return false;
}

static bool parse_number(struct span text, uint64_t min, uint64_t max, uint64_t *ret_number)
{
    uint64_t number;
    if (u64_parse(text, &number).code || number < min || number > max)
        return false;
    *ret_number = number;
    return true;
}

/* Seconds with up to three decimals, at most a day. */
static bool parse_seconds(const char *text, uint64_t min_ns, uint64_t *ret_ns)
{
    uint64_t whole = 0, part = 0;
    size_t digits = 0;
    if (!parse_number(take_until(&text, "."), 0, 86400, &whole))
        return false;
    if (*text == '.') {
        digits = strlen(++text);
        if (digits > 3 || u64_parse(span_of(text, digits), &part).code)
            return false;
    }
    for (; digits < 9; digits++)
        part *= 10;
    *ret_ns = whole * 1000000000 + part;
    return *ret_ns >= min_ns;
}

/* --- loads ------------------------------------------------------------------------------------------- */

static struct bench_shape fit(struct bench_shape shape, size_t keys)
{
    shape.connections = (unsigned)u64_min(shape.connections, keys);
    if (shape.batch > 0)
        shape.batch = (unsigned)u64_min(shape.batch, keys / shape.connections);
    return shape;
}

static bool parse_size(const char **text, struct bench_shape *shape)
{
    uint64_t connections = 0, batch = 0;
    if (**text != ':')
        return true;
    ++*text;
    if (!parse_number(take_until(text, "x@/,"), 1, BENCH_CONNECTIONS_MAX, &connections))
        return false;
    if (**text == 'x') {
        ++*text;
        if (!parse_number(take_until(text, "@/,"), 1, BENCH_BATCH_MAX, &batch))
            return false;
    }
    shape->connections = (unsigned)connections;
    shape->batch = (unsigned)batch;
    return true;
}

static bool parse_shape(const char **text, struct bench_shape *ret_shape)
{
    struct bench_shape shape = {.connections = 64, .roots = BENCH_ROOTS_SHARED};
    unsigned mode;
    if (!parse_choice(take_until(text, ":@/,"), mode_choices, &mode) || !parse_size(text, &shape))
        return false;
    shape.mode = (enum bench_mode)mode;
    if (**text == '@') {
        ++*text;
        if (shape.mode != BENCH_OPEN ||
            !parse_number(take_until(text, "/,"), 1, BENCH_RATE_MAX, &shape.per_second))
            return false;
    }
    if (**text == '/') {
        ++*text;
        if (!span_is(take_until(text, ","), "distinct"))
            return false;
        shape.roots = BENCH_ROOTS_DISTINCT;
    }
    *ret_shape = shape;
    return **text == ',' || **text == 0;
}

static bool parse_shapes(const char *text, struct bench_options *options)
{
    do {
        struct bench_shape shape;
        if (options->shape_count == BENCH_SHAPES_MAX || !parse_shape(&text, &shape))
            return false;
        options->shapes[options->shape_count++] = fit(shape, options->keys);
    } while (*text++ == ',');
    return true;
}

static bool parse_engines(const char *text, struct bench_options *options)
{
    do {
        unsigned engine;
        if (options->engine_count == BENCH_ENGINES_MAX ||
            !parse_choice(take_until(&text, ","), engine_choices, &engine))
            return false;
        options->engines[options->engine_count++] = engine_choices[engine];
    } while (*text++ == ',');
    return true;
}

/* --- options ----------------------------------------------------------------------------------------- */

static int refuse(const struct arguments *arguments, bool understood, const char *text)
{
    return understood ? EXIT_CODE_DONE : command_usage(arguments, "not understood", text);
}

static int take_durations(struct arguments *arguments, struct bench_options *options)
{
    const struct {
        const char *name;
        uint64_t min_ns;
        uint64_t *ns;
    } table[] = {
        {"--seconds", 1, &options->run_ns},
        {"--warm", 0, &options->warm_ns},
        {"--yardstick", 1, &options->raw_ns},
        {"--slot-seconds", 1, &options->slot_ns},
    };
    int code = EXIT_CODE_DONE;
    for (size_t i = 0; i < ARRAY_LEN(table) && code == EXIT_CODE_DONE; i++) {
        const char *text;
        code = command_take_value(arguments, table[i].name, &text);
        if (code == EXIT_CODE_DONE && text)
            code = refuse(arguments, parse_seconds(text, table[i].min_ns, table[i].ns), text);
    }
    return code;
}

static int take_numbers(struct arguments *arguments, struct bench_options *options)
{
    uint64_t keys = options->keys, repeat = options->repeat;
    const struct {
        const char *name;
        uint64_t max;
        uint64_t *number;
    } table[] = {{"--keys", 100000, &keys}, {"--repeat", 9, &repeat}};
    int code = EXIT_CODE_DONE;
    for (size_t i = 0; i < ARRAY_LEN(table) && code == EXIT_CODE_DONE; i++) {
        const char *text;
        code = command_take_value(arguments, table[i].name, &text);
        if (code == EXIT_CODE_DONE && text)
            code = refuse(arguments, parse_number(span_str(text), 1, table[i].max, table[i].number),
                          text);
    }
    options->keys = (size_t)keys;
    options->repeat = (unsigned)repeat;
    return code;
}

static int take_lists(struct arguments *arguments, struct bench_options *options)
{
    const char *loads, *engines;
    int code = command_take_value(arguments, "--load", &loads);
    if (code == EXIT_CODE_DONE)
        code = command_take_value(arguments, "--engine", &engines);
    if (code != EXIT_CODE_DONE)
        return code;
    loads = loads ? loads : usual;
    code = refuse(arguments, parse_shapes(loads, options), loads);
    if (code == EXIT_CODE_DONE && engines)
        code = refuse(arguments, parse_engines(engines, options), engines);
    return code;
}

int bench_options_take(struct arguments *arguments, struct bench_options *ret_options)
{
    *ret_options = (struct bench_options){
        .keys = 1000,
        .directory = ".",
        .json = command_take_switch(arguments, "--json"),
        .auth = command_take_switch(arguments, "--auth"),
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
        code = command_take_value(arguments, "--program", &ret_options->program);
    if (code == EXIT_CODE_DONE)
        code = take_numbers(arguments, ret_options);
    if (code == EXIT_CODE_DONE)
        code = take_durations(arguments, ret_options);
    if (code == EXIT_CODE_DONE)
        code = take_lists(arguments, ret_options);
    return code == EXIT_CODE_DONE ? command_refuse_rest(arguments) : code;
}
