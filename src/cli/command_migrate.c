#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

#include "cli/command.h"
#include "cli/json_object.h"
#include "cli/migrate_try.h"
#include "cli/web3signer.h"
#include "core/stores.h"
#include "keys/filesystem.h"
#include "slash/postgres.h"

enum {
    TEXT_MAX = 1 << 18
};

static struct web3signer w;
static struct config config;
static struct json_object report; /* what was found, for --json */
static struct stores stores;      /* too large for the stack */

/* What the command's own arguments say. */
struct wanted {
    const char *out;       /* "-": standard output */
    const char *directory; /* where the trial's chamber is made */
    const char *reference; /* the signer that there is now; NULL: none */
    bool no_try;
    bool json;
};

static int say(const char *what, cc_err err)
{
    (void)fprintf(stderr, "containment-chamber migrate: %s: %s%s%s\n", what, error_text(err),
                  error_detail()[0] ? ": " : "", error_detail());
    return EXIT_CODE_REFUSED;
}

/* --- the configuration ---------------------------------------------------------------------------------- */

static cc_err put_comments(struct buf *out, const struct buf *lines)
{
    for (size_t at = 0; at < lines->len;) {
        const uint8_t *end = memchr(lines->data + at, '\n', lines->len - at);
        size_t len = end ? (size_t)(end - lines->data) - at : lines->len - at;
        CC_TRY(buf_printf(out, "# %.*s\n", (int)len, (const char *)lines->data + at));
        at += len + 1;
    }
    return CC_OK;
}

static cc_err make_text(struct buf *out)
{
    CC_TRY(buf_append_str(out,
                          "# What Web3Signer's options are here. Everything else has its default: "
                          "`containment-chamber config example`.\n"));
    if (w.notes.len)
        CC_TRY(buf_append_str(out, "#\n# What differs:\n"));
    CC_TRY(put_comments(out, &w.notes));
    if (w.database)
        CC_TRY(buf_append_str(
            out, "#\n# The database's password is not written here: put it into a file, mode "
                 "0600, of the user that the core runs as, as\n# HOST:PORT:DATABASE:USER:PASSWORD, "
                 "and name that as passfile=FILE in the URL.\n"));
    CC_TRY(buf_append_str(out, "\n"));
    return config_dump_changed(&config, "anti_slashing.url", w.database ? w.database : "", out);
}

static int write_config(const char *path)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(TEXT_MAX);
    cc_err err = make_text(&text);
    if (!err.code)
        err = strcmp(path, "-") == 0 ? fd_write_all(STDOUT_FILENO, text.data, text.len)
                                     : file_write_durable(path, buf_span(&text), true);
    return err.code ? say(path, err) : EXIT_CODE_DONE;
}

/* --- what it needs ------------------------------------------------------------------------------------------ */

static int check_network(void)
{
    cc_err err = stores_load_config(&config, &stores);
    if (!err.code && !stores.has_genesis_validators_root)
        err = CC_FAIL(
            CONFIG,
            "its genesis_validators_root isn't known: set CONTAINMENT_GENESIS_VALIDATORS_ROOT");
    if (err.code)
        return say("network", err);
    json_object_text(&report, "network", config.network.network);
    (void)fprintf(stderr, "network: %s\n", config.network.network);
    return EXIT_CODE_DONE;
}

static void report_files(const char *path, size_t count)
{
    json_object_open(&report, NULL, '{');
    json_object_text(&report, "path", path);
    json_object_count(&report, "files", count);
    json_object_close(&report, '}');
    (void)fprintf(stderr, "keys: %zu files in %s\n", count, path);
}

static int check_keys(void)
{
    const struct filesystem_config *keys = &config.key_sources.filesystem;
    int code = EXIT_CODE_DONE;
    json_object_open(&report, "keys", '[');
    for (uint32_t i = 0; i < keys->path_count; i++) {
        struct key_files files = {0};
        cc_err err = key_files_scan(&files, keys->paths[i]);
        if (err.code)
            code = say(keys->paths[i], err);
        else
            report_files(keys->paths[i], files.count);
        key_files_release(&files);
    }
    json_object_close(&report, ']');
    return code;
}

static cc_err check_found(const struct slash_postgres_found *found)
{
    if (found->has_identity)
        return CC_FAIL(EXISTS, "it is a chamber's already: another `init` would be refused");
    if (found->has_genesis_validators_root &&
        !span_equal(
            span_of(&found->genesis_validators_root, sizeof found->genesis_validators_root),
            span_of(&stores.genesis_validators_root, sizeof stores.genesis_validators_root)))
        return CC_FAIL(WRONG_NETWORK, "it is another network's");
    return CC_OK;
}

static int check_database(void)
{
    static struct slash_postgres_found found;
    if (config.anti_slashing.backend != HISTORY_POSTGRES)
        return EXIT_CODE_DONE;
    cc_err err = slash_postgres_look(config.anti_slashing.url, &found);
    if (!err.code)
        err = check_found(&found);
    if (err.code)
        return say("database", err);
    json_object_open(&report, "database", '{');
    json_object_count(&report, "validators", found.validators);
    json_object_count(&report, "disabled", found.disabled);
    json_object_close(&report, '}');
    (void)fprintf(stderr, "database: schema 12, %" PRIu64 " validators, to be adopted by `init`\n",
                  found.validators);
    if (found.disabled)
        (void)fprintf(stderr,
                      "disabled: %" PRIu64 " of them sign neither there nor here: %s%s\n"
                      "those that should: `slashing enable --key KEY`, after `init`\n",
                      found.disabled, found.disabled_keys,
                      found.disabled > 20 ? " ... (the first 20)" : "");
    return EXIT_CODE_DONE;
}

/* --- whether every key signs ------------------------------------------------------------------------------------- */

static void report_trial(const struct wanted *wanted, const struct migrate_tried *tried)
{
    json_object_open(&report, "trial", '{');
    json_object_count(&report, "keys", tried->keys);
    json_object_count(&report, "sign", tried->proven);
    json_object_count(&report, "refused_files", tried->refused);
    json_object_close(&report, '}');
    if (!wanted->reference)
        return;
    json_object_open(&report, "compared", '{');
    json_object_text(&report, "with", wanted->reference);
    json_object_count(&report, "same", tried->compared);
    json_object_count(&report, "missing_here", tried->missing);
    json_object_count(&report, "missing_there", tried->more);
    json_object_close(&report, '}');
}

static int try_keys(const struct wanted *wanted)
{
    const struct migrate_try trial = {.config = &config,
                                      .network = &stores.network,
                                      .genesis_validators_root = &stores.genesis_validators_root,
                                      .directory = wanted->directory ? wanted->directory : ".",
                                      .reference = wanted->reference,
                                      .progress = wanted->json ? PROGRESS_NONE : PROGRESS_LINES};
    struct migrate_tried tried;
    cc_err err = migrate_try(&trial, &tried);
    if (err.code)
        return say("the trial", err);
    report_trial(wanted, &tried);
    (void)fprintf(stderr,
                  "trial: %" PRIu64 " of %" PRIu64 " keys sign; %" PRIu64 " key files refused\n",
                  tried.proven, tried.keys, tried.refused);
    bool fine = tried.keys > 0 && tried.proven == tried.keys && !tried.refused;
    if (wanted->reference) {
        (void)fprintf(stderr,
                      "compared: %" PRIu64 " keys sign as %s does; it has %" PRIu64
                      " that are missing here, and lacks %" PRIu64 "\n",
                      tried.compared, wanted->reference, tried.missing, tried.more);
        fine = fine && !tried.missing && tried.compared + tried.more == tried.keys;
    }
    return fine ? EXIT_CODE_DONE : EXIT_CODE_REFUSED;
}

static int check_all(const struct wanted *wanted)
{
    int network = check_network();
    int keys = check_keys();
    int database = network == EXIT_CODE_DONE ? check_database() : EXIT_CODE_DONE;
    if (network != EXIT_CODE_DONE || keys != EXIT_CODE_DONE || database != EXIT_CODE_DONE)
        return EXIT_CODE_REFUSED;
    return wanted->no_try ? EXIT_CODE_DONE : try_keys(wanted);
}

/* --- the command ------------------------------------------------------------------------------------------------------ */

static int take(struct arguments *arguments, struct wanted *wanted)
{
    wanted->no_try = command_take_switch(arguments, "--no-try");
    wanted->json = command_take_switch(arguments, "--json");
    int code = command_take_value(arguments, "--out", &wanted->out);
    if (code == EXIT_CODE_DONE)
        code = command_take_value(arguments, "--dir", &wanted->directory);
    if (code == EXIT_CODE_DONE)
        code = command_take_value(arguments, "--compare", &wanted->reference);
    (void)command_take_switch(arguments, "--");
    if (code == EXIT_CODE_DONE && wanted->json)
        code = command_refuse_mixed(arguments, "--out", wanted->out);
    return code;
}

static void print_lines(const char *what, const struct buf *lines)
{
    for (size_t at = 0; at < lines->len;) {
        const uint8_t *end = memchr(lines->data + at, '\n', lines->len - at);
        const size_t len = end ? (size_t)(end - lines->data) - at : lines->len - at;
        (void)fprintf(stderr, "%s%.*s\n", what, (int)len, (const char *)lines->data + at);
        at += len + 1;
    }
}

/* What is refused, and beside it what has another place here: an option of a vault names the one of `keys import`. */
static void say_faults(void)
{
    print_lines("", &w.faults);
    print_lines("note: ", &w.notes);
}

static int load(struct arguments *arguments)
{
    struct config_faults faults;
    char directory[PATH_MAX];
    if (!getcwd(directory, sizeof directory))
        return EXIT_CODE_FAILED;
    cc_err err = web3signer_take(arguments, &w);
    if (!err.code)
        err = web3signer_plan(&w, directory);
    if (err.code)
        return say("options", err);
    if (w.fault_count) {
        say_faults();
        return EXIT_CODE_REFUSED;
    }
    err =
        config_load(NULL, arguments->environment, w.overrides, w.override_count, &config, &faults);
    (void)fprintf(stderr, "%.*s", (int)faults.text.len,
                  faults.text.len ? (const char *)faults.text.data : "");
    buf_release(&faults.text);
    return err.code ? EXIT_CODE_REFUSED : EXIT_CODE_DONE;
}

static int check_and_report(const struct wanted *wanted)
{
    report = json_object_begin();
    json_object_text(&report, "out", wanted->out);
    json_object_lines(&report, "differs", buf_span(&w.notes));
    int code = check_all(wanted);
    json_object_flag(&report, "ready", code == EXIT_CODE_DONE);
    if (wanted->json)
        return json_object_print(&report, "migrate", code);
    json_object_release(&report);
    return code;
}

int command_migrate(struct arguments *arguments)
{
    struct wanted wanted = {0};
    if (!command_take_switch(arguments, "web3signer"))
        return command_usage(arguments, "migrate from what? web3signer", NULL);
    int code = take(arguments, &wanted);
    if (code == EXIT_CODE_DONE)
        code = load(arguments);
    if (code == EXIT_CODE_DONE && w.task)
        code = command_usage(arguments, "is a command of Web3Signer, not an option", w.task);
    if (code == EXIT_CODE_DONE)
        code = write_config(wanted.out ? wanted.out : "-");
    if (code == EXIT_CODE_DONE)
        code = check_and_report(&wanted);
    web3signer_release(&w);
    return code;
}
