#include "cli/operator_wanted.h"

#define TEXT(group, name, field)                                                                   \
    {                                                                                              \
        (group), name, offsetof(struct operator_wanted, field), false                              \
    }
#define LIST(group, name, field)                                                                   \
    {                                                                                              \
        (group), name, offsetof(struct operator_wanted, field), true                               \
    }

static const struct option {
    unsigned groups;
    const char *name;
    size_t offset;
    bool is_list;
} options[] = {
    TEXT(OPERATOR_OF_PERSON, "--name", name),
    TEXT(OPERATOR_OF_PERSON | OPERATOR_OF_SHARE | OPERATOR_OF_ROOT, "--chamber-identity", identity),
    TEXT(OPERATOR_OF_PERSON, "--passphrase", passphrase),
    TEXT(OPERATOR_OF_PERSON, "--pin", pin),
    TEXT(OPERATOR_OF_PERSON, "--device", device),
    TEXT(OPERATOR_OF_REGISTER, "--registration-token", registration_token),
    TEXT(OPERATOR_OF_REGISTER, "--factor", factor),
    TEXT(OPERATOR_OF_REGISTER, "--passphrase-out", passphrase_out),
    TEXT(OPERATOR_OF_REGISTER, "--fingerprint", fingerprint),
    TEXT(OPERATOR_OF_APPROVAL, "--proposal", proposal),
    TEXT(OPERATOR_OF_APPROVAL, "--management-key", management_key),
    TEXT(OPERATOR_OF_APPROVAL, "--digest", digest),
    TEXT(OPERATOR_OF_SHARE, "--share", share),
    TEXT(OPERATOR_OF_SETUP, "--setup-token", setup_token),
    TEXT(OPERATOR_OF_SETUP | OPERATOR_OF_MODE, "--mode", mode),
    TEXT(OPERATOR_OF_KMS, "--kms-key-arns", kms_keys),
    TEXT(OPERATOR_OF_KMS, "--kms-threshold", kms_threshold),
    LIST(OPERATOR_OF_KMS, "--break-glass", recipients),
    TEXT(OPERATOR_OF_KMS, "--break-glass-threshold", break_glass_threshold),
    LIST(OPERATOR_OF_QUORUM, "--operator", operators),
    TEXT(OPERATOR_OF_QUORUM, "--operator-threshold", operator_threshold),
    TEXT(OPERATOR_OF_OUT, "--out", out),
    LIST(OPERATOR_OF_IMAGE, "--pcr", pcrs),
    TEXT(OPERATOR_OF_ROOT, "--to", to),
    TEXT(OPERATOR_OF_ROOT, "--from", from),
};

static int take_list(struct arguments *arguments, const char *name, struct operator_list *list)
{
    const char *value = NULL;
    do {
        int code = command_take_value(arguments, name, &value);
        if (code != EXIT_CODE_DONE)
            return code;
        if (value && list->count == OPERATOR_LIST_MAX)
            return command_usage(arguments, "at most 16", name);
        if (value)
            list->each[list->count++] = value;
    } while (value);
    return EXIT_CODE_DONE;
}

int operator_take(struct operator_wanted *wanted, unsigned groups)
{
    struct arguments *arguments = wanted->arguments;
    if (groups & OPERATOR_OF_OWNER) {
        int code = owner_key_take(arguments, &wanted->owner);
        if (code != EXIT_CODE_DONE)
            return code;
    }
    wanted->json = command_take_switch(arguments, "--json");
    if (groups & OPERATOR_OF_APPROVAL)
        wanted->cancel = command_take_switch(arguments, "--cancel");
    if (groups & OPERATOR_OF_IMAGE)
        wanted->remove = command_take_switch(arguments, "--remove");
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        char *at = (char *)wanted + options[i].offset;
        int code = EXIT_CODE_DONE;
        if (!(options[i].groups & groups))
            continue;
        if (options[i].is_list) {
            code = take_list(arguments, options[i].name, (struct operator_list *)(void *)at);
        } else {
            const char *value = NULL;
            code = command_take_value(arguments, options[i].name, &value);
            memcpy(at, &value, sizeof value);
        }
        if (code != EXIT_CODE_DONE)
            return code;
    }
    return EXIT_CODE_DONE;
}
