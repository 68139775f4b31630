/* operator: one table of subcommands, and what begins all of them. */
#include "cli/command_operator.h"

#include <stdio.h>
#include <string.h>

#include "app/listeners.h"
#include "cli/auth_proof.h"
#include "cli/operator_send.h"
#include "cli/operator_wanted.h"
#include "cli/order_send.h"
#include "core/order.h"
#include "crypto/self_test.h"
#include "secret/harden.h"

static struct command_config command;
static struct config config;

/* --- unseal, by who it is -------------------------------------------------------------------------------------------------------- */

/* Offline: only who has chamber.key, the configuration and the state store at hand can do it, and no signer runs meanwhile. */
static int unseal_offline(const struct operator_wanted *w)
{
    CC_CLEANUP(buf_release) struct buf answer = buf_init(ORDER_TEXT_MAX);
    int code = command_load_config(&command, &config);
    if (code == EXIT_CODE_DONE)
        code =
            order_send_or(&command.source, &config, span_str("unseal"),
                          "add --signer-url unix:ADMIN.SOCK (modes local and kms); where there are "
                          "operators they unseal: operator unseal --name NAME ...",
                          &answer);
    return code == EXIT_CODE_DONE ? order_print("operator", &answer, w->json) : code;
}

/* His file, where no key of his signs the request. */
static int show_unseal(const struct operator_wanted *w)
{
    if (w->owner.source)
        return EXIT_CODE_DONE;
    int code = command_load_config(&command, &config);
    if (code != EXIT_CODE_DONE)
        return code;
    cc_err err = auth_proof_write(config.data_dir, "unseal\n");
    return err.code ? operator_say(config.data_dir, err) : EXIT_CODE_DONE;
}

/* The latch, in the modes local and kms. The signer looks for itself whether its owner asks. */
static int unseal_as_owner(struct operator_wanted *w)
{
    CC_CLEANUP(operator_reply_release) struct operator_reply reply = {0};
    CC_CLEANUP(buf_release) struct buf report = buf_init(ORDER_TEXT_MAX);
    const struct operator_request request = {&w->signers.each[0], "DELETE", "seal", {0}};
    int code = operator_needs_one_signer(w);
    if (code == EXIT_CODE_DONE)
        code = show_unseal(w);
    if (code != EXIT_CODE_DONE)
        return code;
    code = operator_ask(&request, &reply);
    if (!w->owner.source)
        auth_proof_remove(config.data_dir);
    if (code == EXIT_CODE_DONE &&
        buf_append_str(&report, "the seal is taken back: the signer starts anew\n").code)
        code = EXIT_CODE_FAILED;
    return code == EXIT_CODE_DONE ? order_print("operator", &report, w->json) : code;
}

static int unseal(struct operator_wanted *w)
{
    if (w->name)
        return w->owner.source ? operator_refuse(w, "do not go together", "--name and --owner-key")
                               : operator_unseal(w);
    if (w->signers.count == 0)
        return unseal_offline(w);
    return w->has_config || w->owner.source
               ? unseal_as_owner(w)
               : operator_refuse(
                     w, "needs --name of the operator, or -c FILE or --owner-key of the owner",
                     NULL);
}

/* --- the table --------------------------------------------------------------------------------------------------------------------- */

#define PERSON                                                                                     \
    "--name NAME --chamber-identity FILE|KEY [--passphrase SECRET] [--device PATH] [--pin SECRET]"
#define KMS                                                                                        \
    "--kms-key-arns ARN[,ARN]... --kms-threshold N [--break-glass KEY]... [--break-glass-threshold N]"
#define QUORUM "--operator NAME=KEY... --operator-threshold N"

enum asks {
    ASKS_A_SIGNER,
    MAY_ASK_ONE,
    ASKS_OR_IS_ONE /* unseal: starts rooms of its own where none runs */
};

static const struct subcommand {
    const char *name;
    const char *second; /* of `rotate` and `propose`; else NULL */
    unsigned groups;
    enum asks asks;
    int (*run)(struct operator_wanted *w);
    const char *usage;
    const char *help;
    const char *example; /* what stands behind the name */
} subcommands[] = {
    {"status", NULL, OPERATOR_OF_OWNER, ASKS_A_SIGNER, operator_status, "",
     "What state the chamber is in, and how far a ceremony or a rotation is. Token: chamber_status.",
     "-c config.yaml"},
    {"setup-token", NULL, OPERATOR_OF_OWNER, ASKS_A_SIGNER, operator_setup_token,
     "-c FILE | SIGNER --owner-key SECRET",
     "Has the signer write a setup token to <data_dir>/setup-token: with it, `init` may be asked for once, within 15 minutes. The owner's.\n"
     "With --owner-key it is in no file, but printed.",
     "-c config.yaml"},
    {"init", NULL,
     OPERATOR_OF_OWNER | OPERATOR_OF_SETUP | OPERATOR_OF_KMS | OPERATOR_OF_QUORUM | OPERATOR_OF_OUT,
     ASKS_A_SIGNER, operator_init,
     "--setup-token SECRET|--owner-key SECRET --mode kms|quorum|operators [" KMS "] [" QUORUM
     "] [--out DIR]",
     "The first ceremony: makes the master key, its shares, and for each operator a registration token that only they can decrypt. --out DIR: the\n"
     "age files go there, where no such files are yet (it is made if it is not there); else to standard output. With KMS keys alone the chamber is unsealed at once.",
     "-c config.yaml --setup-token file:/var/lib/containment-chamber/setup-token --mode operators --operator alice=file:alice.pub --operator bob=file:bob.pub --operator-threshold 2 --out first"},
    {"tokens", NULL, OPERATOR_OF_OWNER | OPERATOR_OF_OUT, ASKS_A_SIGNER, operator_tokens,
     "[--out DIR]",
     "The registration tokens, encrypted to the operators who have not registered, once more; and the break-glass shares, while the signer that made\n"
     "them runs. --out DIR: a directory without such files, made if it is not there. Token: chamber_rotate.",
     "-c config.yaml --out tokens"},
    {"register", NULL, OPERATOR_OF_PERSON | OPERATOR_OF_REGISTER, ASKS_A_SIGNER, operator_register,
     PERSON
     "\n         --registration-token SECRET [--factor passphrase|yubikey|fido2] [--passphrase-out FILE] [--fingerprint HEX]",
     "An operator takes their share: decrypt the token with `age -d`, and give it by file:, fd: or env:. Without --passphrase one is made and shown\n"
     "at the terminal once, or written to the new file --passphrase-out; --passphrase prompt asks for one of your own. Compare the fingerprint with\n"
     "the other operators before you say yes.",
     "--name alice --chamber-identity identity.pub --registration-token file:alice.token --signer-url https://signer.example:9443"},
    {"unseal", NULL, OPERATOR_OF_OWNER | OPERATOR_OF_PERSON, ASKS_OR_IS_ONE, unseal,
     PERSON
     " [--signer-url URL]...\n       -c FILE [--signer-url unix:ADMIN.SOCK]\n       SIGNER --owner-key SECRET",
     "An operator's credential towards opening the master key. Several --signer-url: each gets its own envelope.\n"
     "Without --name: takes an emergency seal back in the modes local and kms, as the owner (of the data directory, or by his key); with -c alone,\n"
     "while no signer runs.",
     "--name alice --chamber-identity identity.pub --signer-url https://signer.example:9443"},
    {"seal", NULL, OPERATOR_OF_OWNER, ASKS_A_SIGNER, operator_seal, "",
     "Stops all signing, on every replica, also after restarts. Token: chamber_seal.",
     "-c config.yaml"},
    {"rehearse", NULL, OPERATOR_OF_PERSON, ASKS_A_SIGNER, operator_rehearse, PERSON,
     "As unseal, on a chamber that is unsealed, and nothing changes: shows that shares and passphrases are still good.",
     "--name alice --chamber-identity identity.pub --signer-url https://signer.example:9443"},
    {"break-glass", NULL, OPERATOR_OF_SHARE, ASKS_A_SIGNER, operator_break_glass,
     "--share SECRET --chamber-identity FILE|KEY",
     "Gives a break-glass share, where too many KMS keys are lost: decrypt it with `age -d`.",
     "--share file:share.txt --chamber-identity identity.pub --signer-url https://signer.example:9443"},
    {"rotate", "kms", OPERATOR_OF_OWNER | OPERATOR_OF_KMS | OPERATOR_OF_OUT, ASKS_A_SIGNER,
     operator_rotate_kms, KMS " [--out FILE]",
     "Proposes other KMS keys. Token: chamber_rotate. Nothing happens before it is approved. --out FILE: a new file, the proposal for `approve --proposal`.",
     "-c config.yaml --kms-key-arns ARN,ARN,ARN --kms-threshold 2 --out proposal.json"},
    {"rotate", "quorum", OPERATOR_OF_OWNER | OPERATOR_OF_QUORUM | OPERATOR_OF_OUT, ASKS_A_SIGNER,
     operator_rotate_quorum, QUORUM " [--out FILE]",
     "Proposes another set of operators; all of them register anew.",
     "-c config.yaml --operator alice=file:alice.pub --operator dave=file:dave.pub --operator-threshold 2 --out proposal.json"},
    {"rotate", "mode",
     OPERATOR_OF_OWNER | OPERATOR_OF_MODE | OPERATOR_OF_KMS | OPERATOR_OF_QUORUM | OPERATOR_OF_OUT,
     ASKS_A_SIGNER, operator_rotate_mode,
     "--mode local|kms|quorum|operators [" KMS "] [" QUORUM "] [--out FILE]",
     "Proposes another mode.",
     "-c config.yaml --mode kms --kms-key-arns ARN,ARN,ARN --kms-threshold 2 --out proposal.json"},
    {"rotate", "master", OPERATOR_OF_OWNER | OPERATOR_OF_OUT, ASKS_A_SIGNER, operator_rotate_master,
     "[--out FILE]",
     "Proposes a new master key and nothing else: when an operator has left, or a copy of the store is where it should not be.",
     "-c config.yaml --out proposal.json"},
    {"approve", NULL, OPERATOR_OF_OWNER | OPERATOR_OF_PERSON | OPERATOR_OF_APPROVAL, ASKS_A_SIGNER,
     operator_approve,
     PERSON
     "\n         [--proposal FILE | --management-key KEY] [--cancel] [--digest HEX] SIGNER\n       -c FILE|SIGNER --owner-key SECRET [--proposal FILE] [--digest HEX]",
     "Shows what is proposed, and approves it: with an operator's credential, or (modes local and kms) as the owner with -c or --owner-key. --proposal FILE is what\n"
     "`rotate --out` wrote; without it the signer is asked, for which it takes a token of chamber_status or -c. --cancel approves that\n"
     "nothing of it happens. The digest is computed here, of what is shown; --digest takes the place of the question at the terminal.",
     "--name alice --chamber-identity identity.pub --proposal proposal.json --signer-url https://signer.example:9443"},
    {"propose", "auto-unseal", OPERATOR_OF_OWNER | OPERATOR_OF_IMAGE | OPERATOR_OF_OUT,
     ASKS_A_SIGNER, operator_propose_image,
     "--pcr 0=HEX [--pcr 8=HEX] [--out FILE]\n       --pcr 0=HEX --remove",
     "Proposes that an enclave's image opens the chamber at its starts without operators; they approve it: `operator approve`. Token: chamber_rotate.\n"
     "PCR8 says who must have signed it. --remove takes that from the image, at once.",
     "-c config.yaml --pcr 0=HEX --out image.json"},
    {"cancel", NULL, OPERATOR_OF_OWNER, ASKS_A_SIGNER, operator_cancel, "",
     "Takes a rotation back, by who proposed it. Token: the one that proposed.", "-c config.yaml"},
    {"generate-root-token", NULL, OPERATOR_OF_ROOT, MAY_ASK_ONE, operator_root_token,
     "--to FILE [--chamber-identity FILE]\n       --from file:FILE SIGNER|-c FILE",
     "A new management key by the quorum: --to makes it, then the operators `approve --management-key`, then --from puts it in place.",
     "--to management.key --chamber-identity identity.pub"},
};

static void print_usage(FILE *out, const struct subcommand *s)
{
    const bool says_whom = s->asks != ASKS_A_SIGNER || strstr(s->usage, "-c FILE");
    (void)fprintf(out, "usage: containment-chamber operator %s%s%s%s%s%s [--json]\n\n%s\n", s->name,
                  s->second ? " " : "", s->second ? s->second : "", s->usage[0] ? " " : "",
                  s->usage, says_whom ? "" : " SIGNER|-c FILE", s->help);
    (void)fprintf(
        out,
        "\nSECRET: env:NAME, file:PATH or fd:N, never the secret itself; --passphrase and --pin are asked for at the terminal without it.\n"
        "SIGNER: --signer-url URL [--auth-token TOKEN] ..., see `containment-chamber help operator`. -c FILE: its admin socket.\n");
    if (s->groups & OPERATOR_OF_OWNER)
        (void)fprintf(
            out,
            "--owner-key SECRET: as the owner, by a key of auth.owner_keys, in the place of -c and of a token; over https:// alone.\n");
    (void)fprintf(out, "\nexample:\n  containment-chamber operator %s%s%s %s\n", s->name,
                  s->second ? " " : "", s->second ? s->second : "", s->example);
}

const char *command_operator_usage(const char *name, const char *second)
{
    for (size_t i = 0; i < ARRAY_LEN(subcommands); i++)
        if (strcmp(name, subcommands[i].name) == 0 &&
            (!subcommands[i].second || strcmp(second, subcommands[i].second) == 0))
            return subcommands[i].usage;
    return NULL;
}

int command_operator_help(struct arguments *arguments)
{
    const char *name = arguments->count ? arguments->items[0] : "";
    const char *second = arguments->count > 1 ? arguments->items[1] : "";
    bool found = false;
    for (size_t i = 0; i < ARRAY_LEN(subcommands); i++) {
        const struct subcommand *s = &subcommands[i];
        if (strcmp(name, s->name) != 0 ||
            (s->second && second[0] != '-' && second[0] && strcmp(second, s->second) != 0))
            continue;
        if (found)
            (void)printf("\n");
        print_usage(stdout, s);
        found = true;
    }
    return found ? EXIT_CODE_DONE : EXIT_CODE_USAGE;
}

static const char *take_first(struct arguments *arguments)
{
    if (arguments->count == 0 || arguments->items[0][0] == '-')
        return NULL;
    arguments->count--;
    return *arguments->items++;
}

static const struct subcommand *take_subcommand(struct arguments *arguments)
{
    const char *first = take_first(arguments);
    const bool two = first && (strcmp(first, "rotate") == 0 || strcmp(first, "propose") == 0);
    const char *second = two ? take_first(arguments) : NULL;
    for (size_t i = 0; first && i < ARRAY_LEN(subcommands); i++) {
        const struct subcommand *s = &subcommands[i];
        if (strcmp(first, s->name) == 0 &&
            (!s->second || (second && strcmp(second, s->second) == 0)))
            return s;
    }
    return NULL;
}

/* Without --signer-url: the admin socket of the configuration's signer. */
static int find_signer(struct operator_wanted *w)
{
    static char path[SIGNER_PATH_MAX];
    if (w->signers.count == 0 && !w->has_config)
        return operator_refuse(w, COMMAND_NEEDS_SIGNER ", or -c FILE", NULL);
    if (!w->has_config)
        return EXIT_CODE_DONE;
    int code = command_load_config(&command, &config);
    if (code != EXIT_CODE_DONE)
        return code;
    w->data_dir = config.data_dir;
    if (w->signers.count)
        return EXIT_CODE_DONE;
    if (listeners_admin_path(&config, path).code || !path[0])
        return operator_refuse(w, "the configuration has no admin socket: give --signer-url", NULL);
    if (signer_of_url(path, &w->signers.each[0]).code)
        return operator_refuse(w, error_detail(), "--signer-url");
    w->signers.count = 1;
    return EXIT_CODE_DONE;
}

/* Secrets of people are in this process; but for what starts rooms, which need its /proc. */
static int harden(const struct operator_wanted *w, const struct subcommand *subcommand)
{
    if (subcommand->asks == ASKS_OR_IS_ONE && !w->name && !w->owner.source)
        return EXIT_CODE_DONE;
    cc_err err = harden_process();
    if (!err.code)
        err = crypto_self_test();
    return err.code ? operator_say("this process", err) : EXIT_CODE_DONE;
}

static int take_all(struct operator_wanted *w, const struct subcommand *subcommand)
{
    int code = operator_take(w, subcommand->groups);
    if (code == EXIT_CODE_DONE)
        code = command_take_signers(w->arguments, &w->signers);
    if (code == EXIT_CODE_DONE)
        code = command_take_config(w->arguments, &command);
    w->has_config = command.source.path || command.source.override_count;
    if (code == EXIT_CODE_DONE)
        code = command_refuse_rest(w->arguments);
    if (code == EXIT_CODE_DONE && w->owner.source && (w->has_config || w->signers.count == 0))
        code = operator_refuse(w, OWNER_KEY_NEEDS_SIGNER, "--owner-key");
    const bool named = w->signers.count || w->has_config;
    if (code == EXIT_CODE_DONE && subcommand->asks != ASKS_OR_IS_ONE &&
        (named || subcommand->asks == ASKS_A_SIGNER))
        code = find_signer(w);
    return code;
}

int command_operator(struct arguments *arguments)
{
    static struct operator_wanted w;
    w.arguments = arguments;
    const struct subcommand *subcommand = take_subcommand(arguments);
    if (!subcommand)
        return command_usage(
            arguments,
            "status, setup-token, init, tokens, register, unseal, seal, rehearse, break-glass, rotate "
            "kms|quorum|mode|master, approve, propose auto-unseal, cancel or generate-root-token?",
            NULL);
    int code = take_all(&w, subcommand);
    if (code == EXIT_CODE_DONE)
        code = harden(&w, subcommand);
    if (code == EXIT_CODE_DONE)
        code = owner_key_use(arguments, &w.owner, &w.signers.each[0]);
    if (code == EXIT_CODE_DONE)
        code = subcommand->run(&w);
    owner_key_release(&w.owner);
    signers_release(&w.signers);
    return code;
}
