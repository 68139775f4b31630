#include "cli/owner_key.h"

#include <stdio.h>
#include <string.h>

#include "base/io.h"

#include "cli/json_object.h"
#include "cli/secret_source.h"
#include "codec/hex.h"
#include "crypto/random.h"

enum {
    ROW_SIZE = 128 /* of a name, and the public key's digits */
};

int owner_key_take(struct arguments *arguments, struct owner_key_option *ret_option)
{
    *ret_option = (struct owner_key_option){.source = NULL};
    return command_take_value(arguments, "--owner-key", &ret_option->source);
}

static CC_SENSITIVE cc_err read_seed(const struct arguments *arguments,
                                     struct owner_key_option *option)
{
    CC_CLEANUP(secret_text_wipep) struct secret_text text;
    CC_TRY(secret_read(option->source, arguments->environment, &text));
    return owner_text_parse(span_of(text.text, text.len), option->seed);
}

int owner_key_use(const struct arguments *arguments,
                  struct owner_key_option *option,
                  struct signer *signer)
{
    static const char name[] = "--owner-key";
    if (!option->source)
        return EXIT_CODE_DONE;
    if (signer->token[0])
        return command_usage(arguments, "says who asks, and so does --auth-token: give one", name);
    if (!signer->tls)
        return command_usage(arguments, "needs a --signer-url that begins with https://", name);
    if (read_seed(arguments, option).code)
        return command_usage(arguments, name, error_detail());
    signer->signs_with = option->seed;
    return EXIT_CODE_DONE;
}

void owner_key_release(struct owner_key_option *option)
{
    wipe(option->seed, sizeof option->seed);
}

static int print_made(const char *to, const char *name, const char *row)
{
    struct json_object object = json_object_begin();
    json_object_text(&object, "to", to);
    json_object_text(&object, "name", name);
    json_object_text(&object, "row", row);
    return json_object_print(&object, "auth", EXIT_CODE_DONE);
}

static int say_made(const char *to, const char *row)
{
    (void)printf("%s\n", row);
    (void)fprintf(stderr,
                  "The row of auth.owner_keys; the key is in %s: who has it is the owner of every "
                  "chamber whose configuration has the row.\n",
                  to);
    return EXIT_CODE_DONE;
}

/* As auth.owner_keys takes it. */
static CC_SENSITIVE void write_row(const char *name,
                                   const uint8_t seed[static ED25519_SEED_SIZE],
                                   char ret_row[static ROW_SIZE])
{
    uint8_t public_key[ED25519_PUBLIC_SIZE];
    char digits[2 * ED25519_PUBLIC_SIZE + 1] = "";
    ed25519_public(seed, public_key);
    hex_encode(public_key, sizeof public_key, digits);
    (void)snprintf(ret_row, ROW_SIZE, "%s%s%s", name ? name : "", name ? "=" : "", digits);
}

CC_SENSITIVE int
owner_key_make(const struct arguments *arguments, const char *to, const char *name, bool json)
{
    char row[ROW_SIZE];
    WIPED32 struct secret32 seed;
    CC_CLEANUP(secret_text_wipep) struct secret_text text;
    if (!to)
        return command_usage(arguments, "needs --to FILE", NULL);
    if (name && !policy_is_name(span_str(name)))
        return command_usage(arguments, "is no name: [a-z0-9][a-z0-9._-]*, shorter than 40",
                             "--name");
    cc_err err = random_bytes(seed.bytes, sizeof seed.bytes);
    if (!err.code) {
        owner_text(seed.bytes, text.text);
        text.text[OWNER_TEXT_SIZE - 1] = '\n';
        err = file_write_durable(to, span_of(text.text, OWNER_TEXT_SIZE), true);
    }
    write_row(name, seed.bytes, row);
    if (!err.code)
        return json ? print_made(to, name, row) : say_made(to, row);
    (void)fprintf(stderr, "containment-chamber auth: %s: %s%s%s\n", to, error_text(err),
                  error_detail()[0] ? ": " : "", error_detail());
    return EXIT_CODE_FAILED;
}
