#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"

#include "app/datadir.h"
#include "cli/command.h"
#include "cli/json_object.h"
#include "keys/fence.h"

static struct command_config command;
static struct config config;

static int take(struct arguments *arguments)
{
    int code = command_take_config(arguments, &command);
    return code == EXIT_CODE_DONE ? command_refuse_rest(arguments) : code;
}

/* --- fences of the key directories (keys/fence.h) ---------------------------------------------------------------------- */

/* A new history is no other's, so whatever fence is there is another's. */
static int refuse_fenced(void)
{
    static const uint8_t none[FENCE_ID_SIZE];
    const struct filesystem_config *keys = &config.key_sources.filesystem;
    enum datadir_state state;
    int code = EXIT_CODE_DONE;
    if (datadir_state(&config, &state).code || state != DATADIR_EMPTY)
        return EXIT_CODE_DONE; /* there is more to say than that */
    for (uint32_t i = 0; i < keys->path_count; i++) {
        bool there = false;
        if (!fence_check(keys->paths[i], none, &there).code || !there)
            continue;
        (void)fprintf(
            stderr,
            "containment-chamber init: %s: %s: these keys are another chamber's, or were.\n"
            "Two signers with two histories slash them. When the other has ended for good and its history is "
            "to be imported here: init --replace-fence\n",
            keys->paths[i], error_detail());
        code = EXIT_CODE_REFUSED;
    }
    return code;
}

static void fence_all(const uint8_t history_id[static FENCE_ID_SIZE], bool replace)
{
    const struct filesystem_config *keys = &config.key_sources.filesystem;
    for (uint32_t i = 0; i < keys->path_count; i++) {
        cc_err err = fence_write(keys->paths[i], history_id, replace);
        if (err.code)
            (void)fprintf(stderr,
                          "No fence in %s (%s): a second chamber on these keys would not be "
                          "noticed there.\n",
                          keys->paths[i], error_detail());
    }
}

static int make_chamber(uint8_t ret_history_id[static FENCE_ID_SIZE])
{
    CC_CLEANUP(fd_closep) int fd = memfd_create("history id", MFD_CLOEXEC);
    if (fd < 0)
        return EXIT_CODE_FAILED;
    int code = supervisor_init(&command.source, &config, fd);
    if (code != EXIT_CODE_DONE)
        return code;
    return pread(fd, ret_history_id, FENCE_ID_SIZE, 0) == FENCE_ID_SIZE ? EXIT_CODE_DONE
                                                                        : EXIT_CODE_FAILED;
}

/* `history_id` NULL: it is not this process's to know. */
static int print_outcome(const char *outcome, const uint8_t *history_id)
{
    struct json_object object = json_object_begin();
    json_object_text(&object, "data_dir", config.data_dir);
    json_object_text(&object, "outcome", outcome);
    if (history_id)
        json_object_hex(&object, "history_id", span_of(history_id, FENCE_ID_SIZE));
    return json_object_print(&object, "init", EXIT_CODE_DONE);
}

static int init(bool replace_fences, bool json)
{
    uint8_t history_id[FENCE_ID_SIZE];
    int code = replace_fences ? EXIT_CODE_DONE : refuse_fenced();
    if (code == EXIT_CODE_DONE)
        code = make_chamber(history_id);
    if (code != EXIT_CODE_DONE)
        return code;
    fence_all(history_id, replace_fences);
    if (json)
        return print_outcome("made", history_id);
    (void)fprintf(stderr,
                  "Made a chamber and an empty history in %s.\n"
                  "Where keys have signed before, import that first: containment-chamber slashing "
                  "import -c FILE --from INTERCHANGE\n",
                  config.data_dir);
    return EXIT_CODE_DONE;
}

/* What an enclave's tables hold of a chamber; *ret_found: there is one. */
static int take_over(bool *ret_found)
{
    int code = supervisor_take_over(&command.source, &config, ret_found);
    if (code == EXIT_CODE_DONE && *ret_found)
        (void)fprintf(stderr, "The chamber of this enclave's tables is taken over.\n");
    return code;
}

static int join_enclave(bool json)
{
    bool found = false;
    int code = take_over(&found);
    if (code == EXIT_CODE_DONE && !found) {
        (void)fprintf(stderr,
                      "containment-chamber init: there is no chamber to join yet: one replica "
                      "makes it, by `containment-chamber init -c FILE` without --join.\n");
        code = EXIT_CODE_REFUSED;
    }
    return code == EXIT_CODE_DONE && json ? print_outcome("taken_over", NULL) : code;
}

static int join(const struct datadir_copies *copies, bool json)
{
    if (config_has_root(&config))
        return join_enclave(json);
    int code = supervisor_join(&command.source, &config, copies);
    if (code == EXIT_CODE_DONE && json)
        return print_outcome("joined", NULL);
    if (code == EXIT_CODE_DONE)
        (void)fprintf(stderr,
                      "%s is one more replica of its chamber, and may be started.\n"
                      "Start only one process with it, and never a copy of it.\n",
                      config.data_dir);
    return code;
}

int command_init(struct arguments *arguments)
{
    struct datadir_copies copies = {0};
    bool joins = command_take_switch(arguments, "--join");
    bool replace_fences = command_take_switch(arguments, "--replace-fence");
    const bool json = command_take_switch(arguments, "--json");
    int code = command_take_value(arguments, "--chamber-key", &copies.chamber_key);
    if (code == EXIT_CODE_DONE)
        code = command_take_value(arguments, "--identity", &copies.identity);
    if (code == EXIT_CODE_DONE && !joins && (copies.chamber_key || copies.identity))
        code = command_usage(
            arguments, "--chamber-key and --identity are for --join; a new chamber makes its own",
            NULL);
    if (code == EXIT_CODE_DONE)
        code = take(arguments);
    if (code == EXIT_CODE_DONE)
        code = command_load_config(&command, &config);
    if (code != EXIT_CODE_DONE)
        return code;
    return joins ? join(&copies, json) : init(replace_fences, json);
}

/* Only init makes a history: a server that made one where it finds none would sign again what a lost one had refused
 * (properties P3). --init-if-missing is for machines that start for the first time, and needs that nothing is there. The data directory
 * of an enclave is memory, and always empty at first: what its tables hold is taken over.
 */
static int serve(bool init_if_missing)
{
    int code = command_load_config(&command, &config);
    if (code != EXIT_CODE_DONE)
        return code;
    enum datadir_state state;
    cc_err err = datadir_state(&config, &state);
    if (err.code)
        return supervisor_exit_code(err);
    bool made = state != DATADIR_EMPTY;
    if (!made && config_has_root(&config) && config.signer_state.backend != STATE_SQLITE)
        code = take_over(&made);
    if (code == EXIT_CODE_DONE && !made && init_if_missing) {
        code = init(false, false);
        made = true;
    }
    if (code == EXIT_CODE_DONE && !made) {
        (void)fprintf(
            stderr,
            "containment-chamber server: there is no chamber in %s.\n"
            "Run `containment-chamber init -c FILE` once: only that makes a slashing-protection history.\n",
            config.data_dir);
        return EXIT_CODE_REFUSED;
    }
    if (state == DATADIR_PARTIAL) {
        (void)fprintf(
            stderr,
            "containment-chamber server: %s holds only a part of a chamber: of chamber.key, the state store\n"
            "(state.sqlite, or state.seen where it is shared) and the history, something is missing. Restore it, or, for\n"
            "a new replica of a shared store, run init --join; a new history would forget what was signed.\n",
            config.data_dir);
        return EXIT_CODE_REFUSED;
    }
    return code == EXIT_CODE_DONE ? supervisor_serve(&command.source, &config) : code;
}

int command_server(struct arguments *arguments)
{
    bool init_if_missing = command_take_switch(arguments, "--init-if-missing");
    int code = take(arguments);
    return code == EXIT_CODE_DONE ? serve(init_if_missing) : code;
}

int command_serve(const struct supervisor_source *source)
{
    command.source = *source;
    return serve(true);
}
