#include "cli/attest_options.h"

#include "base/num.h"

#include "attest/root.h"
#include "codec/hex.h"

enum {
    AGE_DEFAULT_S = 2 * 60 * 60,
    AGE_MIN_S = 60,
    AGE_MAX_S = 24 * 60 * 60
};

static void note(struct attest_options *options, const char *name)
{
    if (!options->given)
        options->given = name;
}

/* --- registers -------------------------------------------------------------------------------------------- */

/* False when the register's number stands in the set already. */
static bool add_pcr(struct attest_options *options, const char *text)
{
    struct attest_policy *policy = &options->policy.attest;
    if (policy->set_count &&
        !attest_pcrs_add(&options->sets[policy->set_count - 1], span_str(text)).code)
        return true;
    if (policy->set_count == ATTEST_SETS_MAX)
        return false;
    options->sets[policy->set_count] = (struct attest_pcrs){0};
    return !attest_pcrs_add(&options->sets[policy->set_count], span_str(text)).code &&
           ++policy->set_count;
}

static int take_pcrs(struct arguments *arguments, struct attest_options *options)
{
    const char *text;
    do {
        int code = command_take_value(arguments, "--attest-pcr", &text);
        if (code != EXIT_CODE_DONE)
            return code;
        if (text && !add_pcr(options, text))
            return command_usage(arguments,
                                 "takes N=HEX, 96 hex digits, and not more than eight sets",
                                 "--attest-pcr");
        if (text)
            note(options, "--attest-pcr");
    } while (text);
    return EXIT_CODE_DONE;
}

/* --- the others ----------------------------------------------------------------------------------------------- */

/* 32 bytes in hex, or the word any; *ret_digest stays NULL then. */
static int take_digest(struct arguments *arguments,
                       const char *name,
                       uint8_t place[static 32],
                       const uint8_t **ret_digest,
                       bool *ret_said)
{
    const char *text;
    int code = command_take_value(arguments, name, &text);
    *ret_said = text != NULL;
    if (code != EXIT_CODE_DONE || !text || span_is(span_str(text), "any"))
        return code;
    if (hex_decode(hex_digits(span_str(text)), place, 32).code)
        return command_usage(arguments, "takes 32 bytes in hex, or `any`", name);
    *ret_digest = place;
    return EXIT_CODE_DONE;
}

/* *ret_said: whether the chamber was spoken of. */
static int take_digests(struct arguments *arguments, struct attest_options *options, bool *ret_said)
{
    bool config_said = false;
    int code = take_digest(arguments, "--attest-chamber", options->chamber_id,
                           &options->policy.chamber_id, ret_said);
    if (code == EXIT_CODE_DONE)
        code = take_digest(arguments, "--attest-config", options->config_digest,
                           &options->policy.config_digest, &config_said);
    if (*ret_said)
        note(options, "--attest-chamber");
    if (config_said)
        note(options, "--attest-config");
    return code;
}

static bool read_age(const char *text, uint64_t *ret_ms)
{
    size_t len = strlen(text);
    uint64_t unit = 1;
    uint64_t seconds;
    if (len && strchr("smh", text[len - 1])) {
        unit = text[len - 1] == 's' ? 1 : text[len - 1] == 'm' ? 60 : 3600;
        len--;
    }
    if (u64_parse(span_of(text, len), &seconds).code || seconds > AGE_MAX_S)
        return false;
    seconds *= unit;
    *ret_ms = seconds * 1000;
    return seconds >= AGE_MIN_S && seconds <= AGE_MAX_S;
}

static int take_age(struct arguments *arguments, struct attest_options *options)
{
    const char *text;
    int code = command_take_value(arguments, "--attest-max-age", &text);
    options->policy.attest.max_age_ms = (uint64_t)AGE_DEFAULT_S * 1000;
    if (code != EXIT_CODE_DONE || !text)
        return code;
    note(options, "--attest-max-age");
    if (!read_age(text, &options->policy.attest.max_age_ms))
        return command_usage(arguments,
                             "takes a number of seconds, or one with s, m or h: from 60s to 24h",
                             "--attest-max-age");
    return EXIT_CODE_DONE;
}

static int take_root(struct arguments *arguments, struct attest_options *options)
{
    const char *path;
    int code = command_take_value(arguments, "--attest-root", &path);
    if (code != EXIT_CODE_DONE || !path)
        return code;
    note(options, "--attest-root");
    if (attest_root_read(path, &options->root).code)
        return command_usage(arguments, "is no certificate that can be read", path);
    options->policy.attest.root_der = buf_span(&options->root);
    return EXIT_CODE_DONE;
}

int command_take_attest(struct arguments *arguments, struct attest_options *ret_options)
{
    bool chamber_said = false;
    *ret_options = (struct attest_options){.root = buf_init(ATTEST_ROOT_MAX)};
    ret_options->policy.attest.sets = ret_options->sets;
    int code = take_pcrs(arguments, ret_options);
    if (code == EXIT_CODE_DONE)
        code = take_digests(arguments, ret_options, &chamber_said);
    if (code == EXIT_CODE_DONE)
        code = take_root(arguments, ret_options);
    if (code == EXIT_CODE_DONE)
        code = take_age(arguments, ret_options);
    if (code != EXIT_CODE_DONE)
        return code;
    if (command_take_switch(arguments, "--attest-allow-debug")) {
        note(ret_options, "--attest-allow-debug");
        ret_options->policy.attest.allow_zero_pcrs = true;
    }
    if (!ret_options->given)
        return EXIT_CODE_DONE;
    if (ret_options->policy.attest.set_count == 0)
        return command_usage(arguments, "needs --attest-pcr, best 0=HEX of the image",
                             ret_options->given);
    if (!chamber_said)
        return command_usage(
            arguments, "needs --attest-chamber with the chamber's id, or `any` before there is one",
            ret_options->given);
    return EXIT_CODE_DONE;
}

int command_need_attest(const struct arguments *arguments, const struct attest_options *options)
{
    if (options->given)
        return EXIT_CODE_DONE;
    return command_usage(arguments, "needs --attest-pcr N=HEX and --attest-chamber HEX|any", NULL);
}

void attest_options_release(struct attest_options *options)
{
    buf_release(&options->root);
}
