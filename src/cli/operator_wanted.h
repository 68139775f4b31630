/* cli/operator_wanted.h - what an `operator` command was given.
 *
 * WHAT      The options of all of them, and which of them takes which: one table.
 * PROMISE   An option that a command does not take is an error. Secrets are named by their source, never given.
 * THREADS   Main only.
 * OWNERSHIP Borrows the arguments; operator_release() wipes tokens.
 * ERRORS    Exit codes of app/supervisor.h.
 * SECRETS   Tokens in `signers`, the seed of an owner's key.
 */
#ifndef CLI_OPERATOR_WANTED_H
#define CLI_OPERATOR_WANTED_H

#include "cli/command.h"
#include "cli/owner_key.h"
#include "cli/signer_arguments.h"

enum {
    OPERATOR_LIST_MAX = 16
};

struct operator_list {
    size_t count;
    const char *each[OPERATOR_LIST_MAX];
};

struct operator_wanted {
    struct arguments *arguments;
    struct signers signers;
    const char *data_dir; /* of -c; NULL: a signer elsewhere */
    bool has_config;
    struct owner_key_option owner; /* in the place of -c */
    bool json;
    bool cancel;
    bool remove;
    const char *name, *identity, *fingerprint, *digest, *proposal, *management_key;
    const char *factor, *passphrase, *passphrase_out, *pin, *device;
    const char *registration_token, *share, *setup_token;
    const char *mode, *kms_keys, *kms_threshold, *operator_threshold, *break_glass_threshold;
    const char *to, *from, *out;
    struct operator_list operators, recipients, pcrs;
};

/* Groups of options, for the table of subcommands. */
enum operator_options {
    OPERATOR_OF_OWNER = 1 << 11, /* --owner-key */
    OPERATOR_OF_PERSON = 1 << 0, /* --name, --chamber-identity, and how the factor is asked */
    OPERATOR_OF_REGISTER =
        1 << 1, /* --registration-token, --factor, --passphrase-out, --fingerprint */
    OPERATOR_OF_APPROVAL = 1 << 2, /* --proposal, --cancel, --management-key, --digest */
    OPERATOR_OF_SHARE = 1 << 3,    /* --share, --chamber-identity */
    OPERATOR_OF_SETUP = 1 << 4,    /* --setup-token, --mode */
    OPERATOR_OF_MODE = 1 << 5,     /* --mode */
    OPERATOR_OF_KMS = 1 << 6,      /* --kms-..., --break-glass... */
    OPERATOR_OF_QUORUM = 1 << 7,   /* --operator..., */
    OPERATOR_OF_OUT = 1 << 8,      /* --out */
    OPERATOR_OF_ROOT = 1 << 9,     /* --to, --from, --chamber-identity */
    OPERATOR_OF_IMAGE = 1 << 10,   /* --pcr, --remove */
};

/* Takes the options of these groups. */
int operator_take(struct operator_wanted *wanted, unsigned groups);

/* --- the subcommands: exit codes ------------------------------------------------------------------------------------------ */

int operator_status(struct operator_wanted *w);
int operator_seal(struct operator_wanted *w);
int operator_setup_token(struct operator_wanted *w);
int operator_init(struct operator_wanted *w);
int operator_tokens(struct operator_wanted *w);
int operator_rotate_kms(struct operator_wanted *w);
int operator_rotate_quorum(struct operator_wanted *w);
int operator_rotate_mode(struct operator_wanted *w);
int operator_rotate_master(struct operator_wanted *w);
int operator_propose_image(struct operator_wanted *w);
int operator_cancel(struct operator_wanted *w);
int operator_root_token(struct operator_wanted *w);

int operator_register(struct operator_wanted *w);
int operator_unseal(struct operator_wanted *w);
int operator_rehearse(struct operator_wanted *w);
int operator_break_glass(struct operator_wanted *w);
int operator_approve(struct operator_wanted *w);

#endif
