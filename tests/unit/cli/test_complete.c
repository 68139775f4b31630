#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/complete.h"
#include "config/config_table.h"
#include "support/test.h"

enum {
    WORDS_MAX = 8
};

/* One of each form that usages have. */
#define KEYS                                                                                       \
    "list | import --from-dir DIR|FILE [--inactive] [--items N] |\n"                               \
    "       import --from aws-secrets|azure [--region NAME] | pause|resume --key KEY|--all |\n"    \
    "       move --to sqlite|postgres\n"                                                           \
    "       SIGNER [--json]\n\nSIGNER: --signer-url URL or --attested WHOM, and not --else, of course"
#define POLICIES                                                                                   \
    "policy list | policy put NAME --from FILE|- | token revoke NAME\n       [--replace]"
#define SERVER "[-c FILE] [--set PATH=VALUE] [--OPTION VALUE]... [--init-if-missing]"

/* `line`: the words, with a blank between; it ends with the one that is being typed. */
static char *completed(const char *usage, const char *more, const char *line)
{
    char text[256];
    char *items[WORDS_MAX];
    struct complete_words words = {.items = items};
    (void)snprintf(text, sizeof text, "%s", line);
    for (char *at = text; at && words.count < WORDS_MAX;) {
        items[words.count++] = at;
        at = strchr(at, ' ');
        if (at)
            *at++ = 0;
    }
    char *out = NULL;
    size_t len = 0;
    FILE *stream = open_memstream(&out, &len);
    assert_non_null(stream);
    complete_print(stream, usage, more, &words);
    assert_int_equal(fclose(stream), 0);
    for (char *at = out; *at; at++)
        *at = *at == '\n' ? ' ' : *at;
    return out;
}

static void completes(const char *usage, const char *line, const char *expected)
{
    char *out = completed(usage, NULL, line);
    assert_string_equal(out, expected);
    free(out);
}

static void subcommands_come_first(void **state)
{
    (void)state;
    completes(KEYS, "", "list import import pause resume move ");
    completes(KEYS, "--json ", "list import import pause resume move ");
    completes(POLICIES, "", "policy policy token ");
    completes(POLICIES, "policy ", "list put ");
    completes(POLICIES, "token --replace ", "revoke ");
    completes("check|dump [-c FILE]", "", "check dump ");
}

static void a_subcommand_has_its_options_and_those_of_all(void **state)
{
    (void)state;
    completes(KEYS, "list ", "--json --signer-url --attested ");
    completes(KEYS, "import ",
              "--from-dir --inactive --items --from --region --json --signer-url --attested ");
    completes(KEYS, "resume --", "--key --all --json --signer-url --attested ");
    completes(POLICIES, "policy put n ", "--from --replace ");
    completes(POLICIES, "policy list ", "--replace ");
    completes(KEYS, "nothing ", "--json --signer-url --attested ");
    completes("", "", "");
}

static void an_options_choices_are_named_and_a_file_is_nobodys_word(void **state)
{
    (void)state;
    completes(KEYS, "import --from ", "aws-secrets azure ");
    completes(KEYS, "import --from-dir ", "");
    completes(KEYS, "move --to s", "sqlite postgres ");
    completes(KEYS, "pause --key ", "");
    completes(KEYS, "pause --all ", "--key --all --json --signer-url --attested ");
    completes(KEYS, "import --inactive ", /* it takes no value */
              "--from-dir --inactive --items --from --region --json --signer-url --attested ");
    completes(KEYS, "list --signer-url ", "");
    completes(SERVER, "-c ", "");
    completes(SERVER, "--set ", "");
}

static void a_subcommands_own_usage_comes_on_top(void **state)
{
    (void)state;
    char *out = completed("rotate kms|mode\n       [--json]", "--mode kms|quorum [--out FILE]",
                          "rotate mode ");
    assert_string_equal(out, "--mode --out --json ");
    free(out);
    out = completed("rotate kms|mode\n       [--json]", "--mode kms|quorum [--out FILE]",
                    "rotate mode --mode ");
    assert_string_equal(out, "kms quorum ");
    free(out);
}

static void every_option_of_the_configuration_is_a_flag_that_is_taken(void **state)
{
    (void)state;
    completes(SERVER, "", "--set --init-if-missing ");
    completes(SERVER, "--signing-engine ", "blst auto fixed_base ifma ");
    completes(SERVER, "--signer-state-kms ", "true false ");
    completes(SERVER, "--data-dir ", "");
    completes(KEYS, "list --data-dir ",
              "--json --signer-url --attested "); /* it takes no configuration */
    char *out = completed(SERVER, NULL, "--");
    size_t count = 0;
    for (char *rest = NULL, *word = strtok_r(out, " ", &rest); word;
         word = strtok_r(NULL, " ", &rest)) {
        bool own = strcmp(word, "--set") == 0 || strcmp(word, "--init-if-missing") == 0;
        assert_true(own || config_path_of_flag(span_str(word + 2)));
        count++;
    }
    free(out);
    assert_int_equal(count, config_row_count + 2 - 1); /* static policies stand in a file alone */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subcommands_come_first),
        cmocka_unit_test(a_subcommand_has_its_options_and_those_of_all),
        cmocka_unit_test(an_options_choices_are_named_and_a_file_is_nobodys_word),
        cmocka_unit_test(a_subcommands_own_usage_comes_on_top),
        cmocka_unit_test(every_option_of_the_configuration_is_a_flag_that_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
