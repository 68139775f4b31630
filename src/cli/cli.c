#include "cli/cli.h"

#include <stdio.h>

#include "cli/command.h"

#define CONFIG_OPTIONS "[-c FILE] [--set PATH=VALUE] [--OPTION VALUE]..."

static int command_version(struct arguments *arguments);
static int command_help(struct arguments *arguments);

static const struct command {
    const char *name;
    int (*run)(struct arguments *arguments);
    const char *usage; /* NULL: hidden */
    const char *help;
} commands[] = {
    {"init", command_init, CONFIG_OPTIONS,
     "make the chamber and an empty slashing-protection history, once"},
    {"server", command_server, CONFIG_OPTIONS " [--init-if-missing]", "run the signer"},
    {"config", command_config, "check|dump|example|document " CONFIG_OPTIONS,
     "check the configuration, show what is in force, write a commented example or its documentation"},
    {"slashing", command_slashing,
     "import --from FILE|- | export --to FILE|- | status [--json] | repair-watermark --epoch N |"
     " hand-over --epoch N|--cancel | prune [--keep-epochs N] | enable --key KEY | migrate [--grant-to ROLE] " CONFIG_OPTIONS,
     "the slashing-protection history: EIP-3076 in and out, counts, watermarks raised, a database's tables"},
    {"bench", command_bench,
     "[--keys N] [--load LOAD,...] [--engine blst|auto|fixed_base|ifma,...] [--seconds S] [--warm S]\n"
     "       [--yardstick S] [--slot-seconds S] [--repeat N] [--dir DIRECTORY] [--json]\n\n"
     "LOAD: closed|open|slot[:CONNECTIONS[xBATCH]][@MESSAGES_A_SECOND][/distinct], such as closed:64,open:64@2000,slot:4x256",
     "measure this machine: a signer of its own with throw-away keys, below the current directory or --dir"},
    {"version", command_version, "", "print the version"},
    {"help", command_help, "[COMMAND]", "print this, or what a command takes"},
    {"room", command_room, NULL, NULL},
};

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (span_is(span_str(name), commands[i].name))
            return &commands[i];
    return NULL;
}

static int command_version(struct arguments *arguments)
{
    int code = command_refuse_rest(arguments);
    if (code == EXIT_CODE_DONE)
        (void)printf("containment-chamber %s\n", CC_VERSION);
    return code;
}

static void print_help(FILE *out)
{
    (void)fprintf(out, "usage: containment-chamber COMMAND [ARGUMENT]...\n\n");
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (commands[i].usage)
            (void)fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
    (void)fprintf(
        out,
        "\n`containment-chamber COMMAND --help` shows a command's arguments. -c FILE names the configuration; without it\n"
        "the defaults are in force. `containment-chamber config example` writes one to start from.\n"
        "\nEvery option of the configuration is also a flag (--server-listen-port 9001) and a variable\n"
        "(CONTAINMENT_SERVER__LISTEN_PORT=9001).\n"
        "\nexit codes: 0 done, 1 failed, 2 usage, 3 refused, 4 a store is locked by another process\n");
}

static int print_usage(const struct command *command)
{
    (void)printf("usage: containment-chamber %s%s%s\n\n%s\n", command->name,
                 command->usage[0] ? " " : "", command->usage, command->help);
    return EXIT_CODE_DONE;
}

static int command_help(struct arguments *arguments)
{
    if (arguments->count == 0) {
        print_help(stdout);
        return EXIT_CODE_DONE;
    }
    const struct command *command = find(arguments->items[0]);
    if (!command || !command->usage || arguments->count > 1)
        return command_usage(arguments, "no such command", arguments->items[0]);
    return print_usage(command);
}

static bool is_help(const char *text)
{
    return span_is(span_str(text), "--help") || span_is(span_str(text), "-h");
}

int cli_main(int argc, char **argv, char **environment)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (span_is(span_str(name), "--version"))
        name = "version";
    if (is_help(name))
        name = "help";
    const struct command *command = find(name);
    if (!command) {
        if (name[0])
            (void)fprintf(stderr, "containment-chamber: there is no command %s\n", name);
        print_help(stderr);
        return EXIT_CODE_USAGE;
    }
    for (int i = 2; i < argc && command->usage; i++)
        if (is_help(argv[i]))
            return print_usage(command);
    struct arguments arguments = {argc - 2, argv + 2, environment, command->name};
    return command->run(&arguments);
}
