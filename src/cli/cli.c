#include "cli/cli.h"

#include <stdio.h>

#include "cli/command.h"
#include "cli/command_operator.h"
#include "cli/complete.h"

#define CONFIG_OPTIONS "[-c FILE] [--set PATH=VALUE] [--OPTION VALUE]..."

/* The running signer that a command asks (cli/signer_arguments.h). */
#define SIGNER                                                                                                             \
    "SIGNER: --signer-url unix:PATH of its server.admin_socket (<data_dir>/admin.sock) or server.unix_socket, or\n"        \
    "        --signer-url https://HOST:PORT [--auth-token TOKEN] [--ca FILE] [--client-cert FILE --client-key FILE], or\n" \
    "        --signer-url https://HOST:PORT [--auth-token TOKEN] --attested WHOM (containment-chamber help attest), or\n"  \
    "        --signer-url http://HOST:PORT --auth-token TOKEN [--allow-plaintext-signer]\n"                                \
    "TOKEN:  env:NAME, file:PATH or fd:N, never the token itself"

/* cli/attest_options.h, base/endpoint.h */
#define ENDPOINTS "ENDPOINT: tcp:HOST:PORT, unix:/PATH or vsock:CID:PORT"
#define WHOM                                                                                                    \
    "WHOM:     --attest-pcr N=HEX... --attest-chamber HEX|any [--attest-config HEX|any] [--attest-root FILE]\n" \
    "          [--attest-max-age N[s|m|h]] [--attest-allow-debug]; an N that was given already begins another set"

static int command_version(struct arguments *arguments);
static int command_help(struct arguments *arguments);
static int command_complete(struct arguments *arguments);

static const struct command {
    const char *name;
    int (*run)(struct arguments *arguments);
    const char *usage; /* NULL: hidden */
    const char *help;
    const char
        *examples; /* lines that work as they are on a machine set up as docs/quick-start.md says */
} commands[] = {
    {"init", command_init,
     "[--replace-fence | --join [--chamber-key FILE] [--identity FILE]] [--json] " CONFIG_OPTIONS,
     "make the chamber and an empty slashing-protection history, once; --join: be one more replica of a chamber",
     "  containment-chamber init -c config.yaml\n"},
    {"server", command_server, CONFIG_OPTIONS " [--init-if-missing]", "run the signer",
     "  containment-chamber server -c config.yaml\n"
     "  containment-chamber server -c config.yaml --server-listen-port 9001 --logging-level debug\n"},
    {"config", command_config, "check [--json] | dump | example | document\n       " CONFIG_OPTIONS,
     "check the configuration, show what is in force, write a commented example or its documentation",
     "  containment-chamber config example > config.yaml\n"
     "  containment-chamber config check -c config.yaml\n"},
    {"slashing", command_slashing,
     "import --from FILE|- | export --to FILE|- | status | verify |"
     " repair-watermark --epoch N|--token FILE --identity FILE|0xKEY | hand-over --epoch N [--to FILE|-]|--cancel [--force] |"
     " prune [--keep-epochs N] | enable --key KEY | migrate [--grant-to ROLE]\n       [--json] " CONFIG_OPTIONS
     "\n       or, on a running signer and without -c: SIGNER\n\n" SIGNER,
     "the slashing-protection history: EIP-3076 in and out, counts, watermarks raised, a database's tables",
     "  containment-chamber slashing import -c config.yaml --from interchange.json\n"
     "  containment-chamber slashing export --signer-url unix:/var/lib/containment-chamber/admin.sock --to interchange.json\n"
     "  containment-chamber slashing status -c config.yaml --json\n"},
    {"auth", command_auth,
     "bootstrap [--replace] | unlatch | owner-key --to FILE [--name NAME] |\n"
     "       policy list | policy get NAME | policy put NAME --from FILE|- | policy delete NAME |\n"
     "       token list | token create NAME --policy NAME,... [--ttl N[s|m|h|d]] [--cidr RANGE]... [--certificate SHA256] |\n"
     "       token revoke NAME\n"
     "       [--json] " CONFIG_OPTIONS
     "\n       or, without -c: SIGNER\n       or, as the owner from elsewhere: SIGNER --owner-key TOKEN\n\n" SIGNER
     "\n\n"
     "bootstrap and unlatch: with -c, as the owner of the data directory, on the signer's machine; or over https:// by a key of\n"
     "auth.owner_keys, which owner-key makes. All else: the token is the management key that bootstrap prints; it signs each request\n"
     "and is never sent. Lists can be read with -c, with --owner-key, or with a token of scope auth_manage, too.",
     "who may ask a running signer for what: management keys, policies, tokens",
     "  containment-chamber auth bootstrap -c config.yaml > management.key\n"
     "  containment-chamber auth token create vc-1 --policy vc --ttl 90d --signer-url https://signer.example:9443 --auth-token file:management.key\n"},
    {"keys", command_keys,
     "list | import --from-dir DIR|FILE [--passwords DIR] [--password-file FILE] [--slashing-protection FILE] [--inactive]"
     " [--items N] |\n       import --from hashicorp|aws-secrets|azure|gcp [--from-dir DIR] [--prefixes TEXT,...] [--tags NAME=VALUE,...] [--filter TEXT]\n       [--region NAME] [--vault NAME] [--project ID] [--source-token TOKEN] [--endpoint URL] [--source-ca FILE] ... |\n       generate --count N [--withdrawal-address ADDRESS [--compounding] [--amount GWEI]] [--out-dir DIR]"
     " [--inactive] [--items N] |\n       deposit-data --key KEY[,KEY...]|--from FILE|- --network NAME --withdrawal-address"
     " ADDRESS [--compounding] [--amount GWEI] [--out-dir DIR] |\n       activate|deactivate --key KEY[,KEY...]|--from FILE|- |"
     " delete --key KEY[,KEY...]|--from FILE|- --to FILE|- |\n       pause|resume --key KEY[,KEY...]|--from FILE|-|--all"
     " |\n"
     "       stores | forget-store NAME [--yes] [--force] |\n"
     "       move --from sqlite|postgres|dynamodb --to sqlite|postgres|dynamodb [--table NAME] | move --cancel --from KIND\n"
     "       SIGNER [--json]\n       or, for stores, forget-store and move, with the signer stopped: " CONFIG_OPTIONS
     "\n\n" SIGNER,
     "the keys of a running signer: list, new ones, EIP-2335 in, deposits, switched off and on, deleted, paused; moved from store to store",
     "  containment-chamber keys list --signer-url unix:/var/lib/containment-chamber/admin.sock\n"
     "  containment-chamber keys import --from-dir validator_keys --password-file password.txt --slashing-protection interchange.json --signer-url https://signer.example:9443 --auth-token file:importer.token\n"},
    {"operator", command_operator,
     "status | setup-token | init | tokens | register | unseal | seal | rehearse | break-glass |\n"
     "       rotate kms|quorum|mode|master | propose auto-unseal | approve | cancel | generate-root-token\n"
     "       [--json] SIGNER|-c FILE\n\n" SIGNER "\n\n"
     "-c FILE: the admin socket of that configuration's signer. `containment-chamber operator SUBCOMMAND --help` says what each takes.",
     "ceremonies: who opens the master key, unsealing, rotations; stop all signing in an emergency",
     "  containment-chamber operator status -c config.yaml\n"
     "  containment-chamber operator unseal --name alice --chamber-identity identity.pub --signer-url https://signer.example:9443\n"},
    {"audit", command_audit,
     "verify [--first SEGMENT] | export [--from TIME] [--to TIME] [--out FILE|-] [--first SEGMENT]\n       [--json] " CONFIG_OPTIONS
     "\n\nTIME: 2026-11-26, or any longer beginning of a time of the log, such as 2026-11-26T15:00",
     "the audit log: verify that nothing was removed, changed or moved; write the lines of a time, with what the verification found",
     "  containment-chamber audit verify -c config.yaml\n"
     "  containment-chamber audit export -c config.yaml --from 2026-11-26T15:00 --to 2026-11-26T16:00 --out audit.jsonl\n"},
    {"attest", command_attest,
     "verify FILE|- [--pcr N=HEX]... [--root FILE] [--at-document-time] [--nonce HEX] [--user-data HEX] [--public-key HEX]\n"
     "       [--allow-debug] [--json] |\n"
     "       proxy --listen ENDPOINT --signer ENDPOINT WHOM [--metrics ENDPOINT] [--max-connections N] [--drain-seconds N]\n"
     "       [--allow-remote-clients]\n\n"
     "FILE: an attestation document, as bytes or in base64. --root: whose documents are trusted, instead of AWS's (DER or PEM).\n"
     "--at-document-time: evidence that was kept: its certificates have to be valid when it was made, not now.\n"
     "proxy: plain connections to --listen, which has to be on loopback, are carried to the signer's attested TLS; each is verified.\n\n" ENDPOINTS
     "\n" WHOM,
     "attestation documents of an enclave: who made them, which image runs there; clients that can't verify carried to one that is",
     "  containment-chamber attest verify document.cbor --pcr 0=HEX --json\n"
     "  containment-chamber attest proxy --listen tcp:127.0.0.1:9000 --signer tcp:enclave.example:9443 --attest-pcr 0=HEX --attest-chamber any\n"},
    {"bench", command_bench,
     "[--keys N] [--load LOAD,...] [--engine blst|auto|fixed_base|ifma,...] [--seconds S] [--warm S]\n"
     "       [--yardstick S] [--slot-seconds S] [--repeat N] [--dir DIRECTORY] [--auth] [--program FILE] [--json]\n\n"
     "LOAD: closed|open|slot[:CONNECTIONS[xBATCH]][@MESSAGES_A_SECOND][/distinct], such as closed:64,open:64@2000,slot:4x256\n"
     "--auth: the signer enforces a policy, and requests bring a token; --program: another build of this program is measured",
     "measure this machine: a signer of its own with throw-away keys, below the current directory or --dir",
     "  containment-chamber bench\n"
     "  containment-chamber bench --keys 1000 --load closed:64,slot:4x256 --seconds 10 --json\n"},
    {"enclave", command_enclave,
     "proxy [-c FILE] [--ingress FROM=TO]... [--egress FROM=TO]... [--enclave-cid CID|any]\n"
     "       [--metrics ENDPOINT] [--drain-seconds N] [--idle-seconds N] [--places N] [--proxy-protocol]\n\n"
     "FROM, TO: tcp:HOST:PORT, unix:/PATH, vsock:CID:PORT or vsock:any:PORT, such as\n"
     "  --ingress tcp:0.0.0.0:9443=vsock:16:9443 --egress vsock:any:8001=tcp:kms.eu-central-1.amazonaws.com:443\n"
     "-c FILE: the same settings as YAML (ingress, egress, enclave_cid, metrics, drain_seconds, idle_seconds, places,\n"
     "proxy_protocol); flags come on top",
     "on an enclave's parent: carry connections into the enclave, and out of it to the targets that are named",
     "  containment-chamber enclave proxy --enclave-cid 16 --ingress tcp:0.0.0.0:9443=vsock:16:9443\n"},
    {"web3signer", command_web3signer,
     "[OPTION]... eth2 [OPTION]... [import --from FILE | export --to FILE]\n\n"
     "The options are Web3Signer's: flags, WEB3SIGNER_... variables and the YAML of --config-file. What has no meaning here is named, what would\n"
     "change what is signed is refused. This program's own variables (CONTAINMENT_DATA_DIR=DIR) say the rest; docs/migrate.md has the table.",
     "be started as Web3Signer is: its options, its defaults, the signer of this program",
     "  containment-chamber web3signer --key-store-path=/keys eth2 --network=hoodi --slashing-protection-db-url=jdbc:postgresql://db/web3signer\n"},
    {"migrate", command_migrate,
     "web3signer [--out FILE|-] [--json] [--no-try] [--dir DIRECTORY] [--compare URL] -- [OPTION]... eth2 [OPTION]...\n\n"
     "Behind -- are the options of the Web3Signer that there is (see `help web3signer`). The equivalent configuration goes to --out, a new file, or to\n"
     "standard output; then database, keys and network are looked at. Then a signer of its own, below --dir or the current directory, has every\n"
     "key sign what nobody can be slashed for. --compare: where Web3Signer runs, so that its keys and signatures are compared.",
     "come here from Web3Signer: the equivalent configuration, what differs, and whether every key signs",
     "  containment-chamber migrate web3signer --out config.yaml -- --key-store-path=/keys eth2 --network=hoodi\n"},
    {"doctor", command_doctor,
     "[--connect] [--json] " CONFIG_OPTIONS
     "\n\n--connect: databases and tables of the configuration are asked, too.",
     "look at this machine and the configuration: what is weak, what would keep a signer from starting, and what to do",
     "  containment-chamber doctor -c config.yaml\n"
     "  containment-chamber doctor -c config.yaml --connect --json\n"},
    {"backup", command_backup,
     "--to FILE [--json] " CONFIG_OPTIONS " [SIGNER]\n\n" SIGNER "\n\n"
     "Of a running signer (by its admin socket, if SIGNER names no other way) or of a stopped one. The file holds no chamber.key: keep a copy of that elsewhere.",
     "copy a chamber whose stores are files: state, keys, history",
     "  containment-chamber backup -c config.yaml --to chamber.backup\n"},
    {"restore", command_restore,
     "--from FILE --chamber-key FILE --digest 0xHEX|none [--epoch N] [--json] " CONFIG_OPTIONS
     "\n\n"
     "Into an empty data directory. Nothing is signed afterwards that may have been signed since the backup was made: up to the present epoch and some more,\n"
     "or up to N. --digest: what `backup` printed; none: the file is trusted as it is.",
     "make a chamber of a backup, with all watermarks raised",
     "  containment-chamber restore -c config.yaml --from chamber.backup --chamber-key chamber.key --digest 0x...\n"},
    {"version", command_version, "[--json]", "print the version",
     "  containment-chamber version --json\n"},
    {"help", command_help, "[COMMAND [SUBCOMMAND]]", "print this, or what a command takes",
     "  containment-chamber help keys\n"
     "  containment-chamber help operator register\n"},
    {"complete", command_complete, NULL, NULL, NULL}, /* for deploy/completion */
    {"room", command_room, NULL, NULL, NULL},
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
    const bool json = command_take_switch(arguments, "--json");
    int code = command_refuse_rest(arguments);
    if (code == EXIT_CODE_DONE)
        (void)printf(json ? "{\"version\": \"%s\"}\n" : "containment-chamber %s\n", CC_VERSION);
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
        "\n--json: one object on standard output, in the place of words; what else is said goes to standard error. Where what was asked for is\n"
        "itself written to standard output (an export), --json needs a file for that.\n"
        "\nexit codes: 0 done, 1 failed, 2 usage, 3 refused, 4 a store is locked by another process\n");
}

static int print_usage(const struct command *command)
{
    (void)printf("usage: containment-chamber %s%s%s\n\n%s\n\nexamples:\n%s", command->name,
                 command->usage[0] ? " " : "", command->usage, command->help, command->examples);
    return EXIT_CODE_DONE;
}

static bool is_help(const char *text)
{
    return span_is(span_str(text), "--help") || span_is(span_str(text), "-h");
}

/* A subcommand's own, where it has one. */
static int
print_help_of(const struct command *command, int count, char **items, char *const *environment)
{
    struct arguments arguments = {count, items, environment, command->name};
    if (command->run == command_operator && command_operator_help(&arguments) == EXIT_CODE_DONE)
        return EXIT_CODE_DONE;
    return print_usage(command);
}

static int command_help(struct arguments *arguments)
{
    if (arguments->count == 0) {
        print_help(stdout);
        return EXIT_CODE_DONE;
    }
    const struct command *command = find(arguments->items[0]);
    if (!command || !command->usage)
        return command_usage(arguments, "no such command", arguments->items[0]);
    return print_help_of(command, arguments->count - 1, arguments->items + 1,
                         arguments->environment);
}

/* The commands, each with what it is for behind a tab. */
static void complete_command(void)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (commands[i].usage)
            (void)printf("%s\t%s\n", commands[i].name, commands[i].help);
}

/* complete -- WORD...: what may stand in the place of the last word, one a line. */
static int command_complete(struct arguments *arguments)
{
    if (arguments->count < 2 || !span_is(span_str(arguments->items[0]), "--"))
        return command_usage(arguments, "needs -- and the words", NULL);
    const struct complete_words words = {arguments->count - 2, arguments->items + 2};
    const struct command *command = find(arguments->items[1]);
    const bool is_known = command && command->usage;
    if (words.count == 0 || (is_known && command->run == command_help && words.count == 1))
        complete_command();
    else if (is_known)
        complete_print(
            stdout, command->usage,
            command->run == command_operator
                ? command_operator_usage(complete_word(&words, 0), complete_word(&words, 1))
                : NULL,
            &words);
    return EXIT_CODE_DONE;
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
            return print_help_of(command, argc - 2, argv + 2, environment);
    struct arguments arguments = {argc - 2, argv + 2, environment, command->name};
    return command->run(&arguments);
}
