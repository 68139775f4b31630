#include <stdio.h>

#include "app/datadir.h"
#include "cli/command.h"

static struct command_config command;
static struct config config;

static int load(struct arguments *arguments)
{
    int code = command_take_config(arguments, &command);
    if (code == EXIT_CODE_DONE)
        code = command_refuse_rest(arguments);
    if (code == EXIT_CODE_DONE)
        code = command_load_config(&command, &config);
    return code;
}

static int init(void)
{
    int code = supervisor_init(&command.source, &config);
    if (code == EXIT_CODE_DONE)
        (void)fprintf(stderr,
                      "Made a chamber and an empty history in %s.\n"
                      "Where keys have signed before, import what: containment-chamber slashing "
                      "import -c FILE --from INTERCHANGE\n",
                      config.data_dir);
    return code;
}

int command_init(struct arguments *arguments)
{
    int code = load(arguments);
    return code == EXIT_CODE_DONE ? init() : code;
}

/* Only init makes a history: a server that made one where it finds none would sign again what a lost one had refused
 * (properties P3). --init-if-missing is for machines that start for the first time, and needs that nothing is there.
 */
int command_server(struct arguments *arguments)
{
    bool init_if_missing = command_take_switch(arguments, "--init-if-missing");
    int code = load(arguments);
    if (code != EXIT_CODE_DONE)
        return code;
    enum datadir_state state;
    cc_err err = datadir_state(&config, &state);
    if (err.code)
        return supervisor_exit_code(err);
    if (state == DATADIR_EMPTY && init_if_missing)
        code = init();
    if (state == DATADIR_EMPTY && !init_if_missing) {
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
            "containment-chamber server: %s holds only a part of a chamber: of chamber.key, state.sqlite and\n"
            "the history, something is missing. Restore it; a new history would forget what was signed.\n",
            config.data_dir);
        return EXIT_CODE_REFUSED;
    }
    return code == EXIT_CODE_DONE ? supervisor_serve(&command.source, &config) : code;
}
