/* auth: management keys, policies, tokens, the latch, keys of the owner. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/num.h"

#include "app/listeners.h"
#include "auth/policy.h"
#include "cli/auth_client.h"
#include "cli/auth_print.h"
#include "cli/auth_proof.h"
#include "cli/owner_key.h"
#include "cli/signer_arguments.h"
#include "codec/hex.h"
#include "crypto/random.h"
#include "secret/wipe.h"

enum {
    BODY_MAX = 48 << 10,
    LIST_MAX = 16,
    DAY = 86400
};

struct wanted {
    struct arguments *arguments;
    struct auth_client client;
    struct owner_key_option owner; /* in the place of -c */
    const char *data_dir;          /* of -c; NULL: a signer elsewhere */
    bool json;
    bool replace;
    const char *name;
    const char *from;
    const char *policies;
    const char *ttl;
    const char *cidrs[LIST_MAX];
    size_t cidr_count;
    const char *certificate;
    const char *to;
    const char *key_name;
};

/* Large enough at once where a token may be in it. */
static CC_SENSITIVE int ask(const struct wanted *w,
                            const char *method,
                            const char *path,
                            struct span body,
                            struct buf *ret_answer)
{
    uint8_t *room = NULL;
    if (buf_grow(ret_answer, BODY_MAX, &room).code)
        return EXIT_CODE_FAILED;
    return auth_client_ask(&w->client, method, path, body, ret_answer);
}

static void release(struct buf *answer)
{
    if (answer->data)
        wipe(answer->data, answer->cap);
    buf_release(answer);
}

/* Asks about the named thing, and says what `print` makes of the answer; --json: the answer itself. */
static int ask_and_print(const struct wanted *w,
                         const char *method,
                         const char *folder,
                         struct span body,
                         auth_print_fn *print)
{
    CC_CLEANUP(release) struct buf answer = buf_init(AUTH_ANSWER_MAX);
    char path[96];
    (void)snprintf(path, sizeof path, "%s%s%s", folder, w->name ? "/" : "", w->name ? w->name : "");
    int code = ask(w, method, path, body, &answer);
    if (code != EXIT_CODE_DONE)
        return code;
    return w->json ? auth_print_json(&answer) : print(&answer);
}

/* --- bootstrap ------------------------------------------------------------------------------------------------------------ */

static CC_SENSITIVE int print_key(const struct wanted *w, const uint8_t *seed)
{
    char text[MANAGER_TEXT_SIZE];
    char keyid[MANAGER_KEYID_SIZE];
    uint8_t public_key[ED25519_PUBLIC_SIZE];
    ed25519_public(seed, public_key);
    manager_keyid(public_key, keyid);
    manager_text(seed, text);
    if (w->json)
        (void)printf("{\"management_key\":\"%s\",\"keyid\":\"%s\"}\n", text, keyid);
    else
        (void)printf("%s\n", text);
    wipe(text, sizeof text);
    if (fflush(stdout) == 0)
        return EXIT_CODE_DONE;
    (void)fprintf(
        stderr,
        "containment-chamber auth: the key could not be written: run this again with --replace\n");
    return EXIT_CODE_FAILED;
}

/* The signer looks for itself whether its owner asks: at his file, or his signature, which needs none. */
static int show(const struct wanted *w, const char *text)
{
    if (w->owner.source)
        return EXIT_CODE_DONE;
    if (!w->data_dir)
        return command_usage(w->arguments,
                             "needs -c FILE, on the signer's own machine, or --owner-key", NULL);
    if (!auth_proof_write(w->data_dir, text).code)
        return EXIT_CODE_DONE;
    (void)fprintf(stderr, "containment-chamber auth: %s: %s\n", w->data_dir, error_detail());
    return EXIT_CODE_FAILED;
}

static CC_SENSITIVE int bootstrap(const struct wanted *w)
{
    WIPED32 struct secret32 seed;
    uint8_t public_key[ED25519_PUBLIC_SIZE];
    char digits[2 * ED25519_PUBLIC_SIZE + 1] = "";
    char body[160], proof[96];
    CC_CLEANUP(release) struct buf answer = buf_init(AUTH_ANSWER_MAX);
    if (random_bytes(seed.bytes, sizeof seed.bytes).code)
        return EXIT_CODE_FAILED;
    ed25519_public(seed.bytes, public_key);
    hex_encode(public_key, sizeof public_key, digits);
    (void)snprintf(body, sizeof body, "{\"public_key\":\"%s\",\"replace\":%s}", digits,
                   w->replace ? "true" : "false");
    (void)snprintf(proof, sizeof proof, "bootstrap %s\n", digits);
    int code = show(w, proof);
    if (code == EXIT_CODE_DONE)
        code = ask(w, "POST", "bootstrap", span_str(body), &answer);
    if (w->data_dir)
        auth_proof_remove(w->data_dir);
    if (code != EXIT_CODE_DONE)
        return code;
    if (!w->json)
        (void)fprintf(
            stderr,
            "The management key of this chamber. It is shown once: keep it where only those who manage access can "
            "read it.\n");
    return print_key(w, seed.bytes);
}

/* --- policies ---------------------------------------------------------------------------------------------------------------- */

static int policy_list(const struct wanted *w)
{
    return ask_and_print(w, "GET", "policies", span_str(""), auth_print_names);
}

static int policy_get(const struct wanted *w)
{
    return ask_and_print(w, "GET", "policies", span_str(""), auth_print_json);
}

static int policy_put(const struct wanted *w)
{
    CC_CLEANUP(buf_release) struct buf body = buf_init(BODY_MAX);
    if (!w->from)
        return command_usage(w->arguments, "needs --from FILE, or - for standard input", NULL);
    cc_err err =
        strcmp(w->from, "-") == 0 ? fd_read_all(STDIN_FILENO, &body) : file_read(w->from, &body);
    if (err.code) {
        (void)fprintf(stderr,
                      "containment-chamber auth: %s: it can't be read, or has more than 48 KiB\n",
                      w->from);
        return EXIT_CODE_FAILED;
    }
    return ask_and_print(w, "PUT", "policies", buf_span(&body), auth_print_changed);
}

static int policy_delete(const struct wanted *w)
{
    return ask_and_print(w, "DELETE", "policies", span_str(""), auth_print_changed);
}

/* --- tokens ------------------------------------------------------------------------------------------------------------------- */

static int token_list(const struct wanted *w)
{
    return ask_and_print(w, "GET", "tokens", span_str(""), auth_print_tokens);
}

static int token_revoke(const struct wanted *w)
{
    return ask_and_print(w, "DELETE", "tokens", span_str(""), auth_print_changed);
}

/* "90", "90s", "15m", "12h", "30d" */
static bool read_ttl(const char *text, uint64_t *ret_seconds)
{
    static const struct {
        char unit;
        uint64_t seconds;
    } units[] = {{0, 1}, {'s', 1}, {'m', 60}, {'h', 3600}, {'d', DAY}};
    uint64_t n = 0;
    size_t len = strspn(text, "0123456789");
    if (len > 9 || u64_parse(span_of(text, len), &n).code || strlen(text + len) > 1)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (units[i].unit == text[len]) {
            *ret_seconds = n * units[i].seconds;
            return true;
        }
    return false;
}

/* Text that stands between quotes as it is. */
static bool is_plain(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < 0x20 || text.data[i] > 0x7e || text.data[i] == '"' ||
            text.data[i] == '\\')
            return false;
    return text.len > 0;
}

static cc_err put_item(struct buf *out, size_t i, struct span text)
{
    if (!is_plain(text))
        return CC_FAIL(MALFORMED, "not understood");
    CC_TRY(buf_append_str(out, i ? ",\"" : "\""));
    CC_TRY(buf_append(out, text.data, text.len));
    return buf_append_str(out, "\"");
}

static cc_err put_policies(struct buf *out, const char *text)
{
    CC_TRY(buf_append_str(out, ",\"policies\":["));
    for (size_t i = 0; text; i++) {
        size_t len = strcspn(text, ",");
        CC_TRY(put_item(out, i, span_of(text, len)));
        text = text[len] ? text + len + 1 : NULL;
    }
    return buf_append_str(out, "]");
}

/* As openssl prints fingerprints, too. */
static cc_err put_certificate(struct buf *out, const char *text)
{
    CC_TRY(buf_append_str(out, ",\"certificate\":\""));
    for (; *text; text++) {
        if (*text == ':')
            continue;
        if (!is_plain(span_of(text, 1)))
            return CC_FAIL(MALFORMED, "not understood");
        CC_TRY(buf_append(out, text, 1));
    }
    return buf_append_str(out, "\"");
}

static cc_err write_token_request(const struct wanted *w, uint64_t ttl, struct buf *out)
{
    CC_TRY(buf_printf(out, "{\"name\":\"%s\"", w->name));
    CC_TRY(put_policies(out, w->policies));
    if (ttl)
        CC_TRY(buf_printf(out, ",\"ttl_seconds\":%" PRIu64, ttl));
    if (w->cidr_count)
        CC_TRY(buf_append_str(out, ",\"cidrs\":["));
    for (size_t i = 0; i < w->cidr_count; i++)
        CC_TRY(put_item(out, i, span_str(w->cidrs[i])));
    if (w->cidr_count)
        CC_TRY(buf_append_str(out, "]"));
    if (w->certificate)
        CC_TRY(put_certificate(out, w->certificate));
    return buf_append_str(out, "}");
}

static int token_create(const struct wanted *w)
{
    CC_CLEANUP(buf_release) struct buf body = buf_init(BODY_MAX);
    uint64_t ttl = 0;
    if (!w->policies)
        return command_usage(w->arguments, "needs --policy NAME[,NAME]...", NULL);
    if (w->ttl && !read_ttl(w->ttl, &ttl))
        return command_usage(w->arguments, "--ttl is a number of seconds, or one with m, h or d",
                             w->ttl);
    if (write_token_request(w, ttl, &body).code)
        return command_usage(w->arguments, "not understood", NULL);
    struct wanted unnamed = *w;
    unnamed.name = NULL; /* it stands in the body */
    int code = ask_and_print(&unnamed, "POST", "tokens", buf_span(&body), auth_print_new_token);
    wipe(unnamed.client.seed, sizeof unnamed.client.seed);
    return code;
}

static int unlatch(const struct wanted *w)
{
    int code = show(w, "unlatch\n");
    if (code == EXIT_CODE_DONE)
        code = ask_and_print(w, "DELETE", "latch", span_str(""), auth_print_unlatched);
    if (w->data_dir)
        auth_proof_remove(w->data_dir);
    return code;
}

static int make_owner_key(const struct wanted *w)
{
    return owner_key_make(w->arguments, w->to, w->key_name, w->json);
}

/* --- arguments ---------------------------------------------------------------------------------------------------------------- */

static const struct action {
    const char *noun; /* NULL: none */
    const char *verb;
    bool named;
    bool by_owner; /* may be asked for with --owner-key */
    int (*run)(const struct wanted *w);
} actions[] = {
    {NULL, "bootstrap", false, true, bootstrap},
    {NULL, "unlatch", false, true, unlatch},
    {NULL, "owner-key", false, false, make_owner_key}, /* asks nobody */
    {"policy", "list", false, true, policy_list},
    {"policy", "get", true, true, policy_get},
    {"policy", "put", true, false, policy_put},
    {"policy", "delete", true, false, policy_delete},
    {"token", "list", false, true, token_list},
    {"token", "create", true, false, token_create},
    {"token", "revoke", true, false, token_revoke},
};

static const char *take_first(struct arguments *arguments)
{
    if (arguments->count == 0 || arguments->items[0][0] == '-')
        return NULL;
    arguments->count--;
    return *arguments->items++;
}

static const struct action *take_action(struct arguments *arguments)
{
    const char *first = take_first(arguments);
    const char *second = NULL;
    for (size_t i = 0; first && i < ARRAY_LEN(actions); i++) {
        const struct action *action = &actions[i];
        if (!action->noun && strcmp(first, action->verb) == 0)
            return action;
        if (!action->noun || strcmp(first, action->noun) != 0)
            continue;
        second = second ? second : take_first(arguments);
        if (second && strcmp(second, action->verb) == 0)
            return action;
    }
    return NULL;
}

static int take_cidrs(struct wanted *w)
{
    const char *text = NULL;
    do {
        int code = command_take_value(w->arguments, "--cidr", &text);
        if (code != EXIT_CODE_DONE)
            return code;
        if (text && w->cidr_count == LIST_MAX)
            return command_usage(w->arguments, "at most 16", "--cidr");
        if (text)
            w->cidrs[w->cidr_count++] = text;
    } while (text);
    return EXIT_CODE_DONE;
}

/* `owner-key` takes these alone, but for --json: it asks no signer. */
static int take_key_options(struct wanted *w)
{
    int code = command_take_value(w->arguments, "--to", &w->to);
    if (code == EXIT_CODE_DONE)
        code = command_take_value(w->arguments, "--name", &w->key_name);
    return code == EXIT_CODE_DONE ? command_refuse_rest(w->arguments) : code;
}

static int take_options(struct wanted *w, const struct action *action)
{
    struct arguments *arguments = w->arguments;
    int code = EXIT_CODE_DONE;
    w->json = command_take_switch(arguments, "--json");
    if (action->run == make_owner_key)
        return take_key_options(w);
    if (action->by_owner)
        code = owner_key_take(arguments, &w->owner);
    if (action->run == bootstrap)
        w->replace = command_take_switch(arguments, "--replace");
    if (action->run == policy_put)
        code = command_take_value(arguments, "--from", &w->from);
    if (code != EXIT_CODE_DONE || action->run != token_create)
        return code;
    code = command_take_value(arguments, "--policy", &w->policies);
    if (code == EXIT_CODE_DONE)
        code = command_take_value(arguments, "--ttl", &w->ttl);
    if (code == EXIT_CODE_DONE)
        code = command_take_value(arguments, "--certificate", &w->certificate);
    return code == EXIT_CODE_DONE ? take_cidrs(w) : code;
}

static int take_name(struct wanted *w, const struct action *action)
{
    if (!action->named)
        return EXIT_CODE_DONE;
    w->name = take_first(w->arguments);
    if (!w->name || !policy_is_name(span_str(w->name)))
        return command_usage(w->arguments, "needs a name: [a-z0-9][a-z0-9._-]*, shorter than 40",
                             w->name);
    return EXIT_CODE_DONE;
}

/* Without --signer-url: the admin socket of the configuration's signer. */
static int find_signer(struct wanted *w, struct command_config *command, struct signer *signer)
{
    static struct config config;
    static char path[SIGNER_PATH_MAX];
    int code = command_load_config(command, &config);
    if (code != EXIT_CODE_DONE)
        return code;
    if (listeners_admin_path(&config, path).code || !path[0])
        return command_usage(w->arguments,
                             "the configuration has no admin socket: give --signer-url", NULL);
    if (signer_of_url(path, signer).code)
        return command_usage(w->arguments, "--signer-url", error_detail());
    w->data_dir = config.data_dir;
    return EXIT_CODE_DONE;
}

static int run_with(struct wanted *w, const struct action *action, struct signer *signer)
{
    int code = owner_key_use(w->arguments, &w->owner, signer);
    if (code != EXIT_CODE_DONE)
        return code;
    if (auth_client_init(&w->client, signer).code)
        return command_usage(w->arguments, "--auth-token", error_detail());
    code = action->run(w);
    auth_client_release(&w->client);
    owner_key_release(&w->owner);
    return code;
}

/* Whoever the action asks. */
static int ask_somebody(struct wanted *w, const struct action *action)
{
    static struct command_config command;
    CC_CLEANUP(signer_release) struct signer signer = {0};
    int code = command_take_signer(w->arguments, &signer);
    if (code == EXIT_CODE_DONE)
        code = command_take_config(w->arguments, &command);
    if (code == EXIT_CODE_DONE)
        code = command_refuse_rest(w->arguments);
    if (code == EXIT_CODE_DONE && w->owner.source && (!signer.url || command.source.path))
        code = command_usage(w->arguments, OWNER_KEY_NEEDS_SIGNER, "--owner-key");
    if (code == EXIT_CODE_DONE && !signer.url)
        code = find_signer(w, &command, &signer);
    return code == EXIT_CODE_DONE ? run_with(w, action, &signer) : code;
}

int command_auth(struct arguments *arguments)
{
    struct wanted w = {.arguments = arguments};
    const struct action *action = take_action(arguments);
    if (!action)
        return command_usage(
            arguments,
            "bootstrap, unlatch, owner-key, policy list|get|put|delete, or token list|create|revoke?",
            NULL);
    int code = take_name(&w, action);
    if (code == EXIT_CODE_DONE)
        code = take_options(&w, action);
    if (code != EXIT_CODE_DONE)
        return code;
    return action->run == make_owner_key ? action->run(&w) : ask_somebody(&w, action);
}
