#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/num.h"

#include "cli/command.h"
#include "cli/keys_client.h"
#include "cli/keys_generate.h"
#include "cli/keys_import.h"
#include "cli/keys_order.h"
#include "cli/signer_arguments.h"
#include "codec/hex.h"
#include "eth/types.h"

#define ROUTE "/api/v1/chamber/keys"

enum {
    BODY_MAX = 1 << 20,  /* what the routes take */
    FILE_MAX = 16 << 20, /* of public keys */
    ITEMS_DEFAULT = 100  /* of chamber.keys.import.max_items_per_request */
};

struct wanted {
    const struct signer *signer;
    const char *keys; /* 0x…,0x… */
    const char *from; /* a file of them */
    const char *to;   /* delete: where the slashing protection goes */
    bool all;
    bool json;
    struct keys_import import;
    struct keys_generate generate;
    struct keys_deposit deposit;
};

/* --- which keys ----------------------------------------------------------------------------------------------------- */

static bool is_between(uint8_t c)
{
    return c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static cc_err put_key(struct buf *body, struct span text, size_t *count)
{
    struct eth_pubkey key;
    if (hex_decode(hex_digits(text), key.bytes, sizeof key.bytes).code)
        return CC_FAIL(IDENTIFIER, NULL);
    CC_TRY(buf_append_str(body, (*count)++ ? ",\"" : "\""));
    CC_TRY(hex_append(body, key.bytes, sizeof key.bytes));
    return buf_append_str(body, "\"");
}

static cc_err put_keys(struct buf *body, struct span text, size_t *count)
{
    size_t at = 0;
    while (at < text.len) {
        size_t from = at;
        while (at < text.len && !is_between(text.data[at]))
            at++;
        if (at > from)
            CC_TRY(put_key(body, span_of(text.data + from, at - from), count));
        at++;
    }
    return CC_OK;
}

/* {"pubkeys":[...], and what `more` adds; or {"all":true. */
static cc_err make_body(const struct wanted *w, const char *more, struct buf *body)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(FILE_MAX);
    size_t count = 0;
    if (w->all)
        return buf_append_str(body, "{\"all\":true}");
    CC_TRY(buf_append_str(body, "{\"pubkeys\":["));
    if (w->keys)
        CC_TRY(put_keys(body, span_str(w->keys), &count));
    if (w->from) {
        CC_TRY(strcmp(w->from, "-") == 0 ? fd_read_all(STDIN_FILENO, &text)
                                         : file_read(w->from, &text));
        CC_TRY(put_keys(body, buf_span(&text), &count));
    }
    CC_TRY(buf_append_str(body, "]"));
    CC_TRY(buf_append_str(body, more));
    return buf_append_str(body, "}");
}

/* --- answers in words ------------------------------------------------------------------------------------------------- */

static void print_span(struct span text, const char *after)
{
    (void)printf("%.*s%s", (int)text.len, (const char *)text.data, after);
}

static bool is_failure(struct span status)
{
    return span_is(status, "error") || span_is(status, "not_found");
}

static int outcome_code(const struct keys_reply *reply)
{
    struct jval_iter items = keys_data(reply);
    struct jval item;
    int code = EXIT_CODE_DONE;
    while (jval_next(&items, &item))
        if (is_failure(keys_text(item, "status")))
            code = EXIT_CODE_FAILED;
    return code;
}

static int print_outcomes(const struct keys_reply *reply)
{
    struct jval_iter items = keys_data(reply);
    struct jval item;
    while (jval_next(&items, &item)) {
        struct span status = keys_text(item, "status");
        struct span message = keys_text(item, "message");
        print_span(keys_text(item, "pubkey"), " ");
        print_span(status, message.len ? ": " : "\n");
        if (message.len)
            print_span(message, "\n");
    }
    return outcome_code(reply);
}

static int print_list(const struct keys_reply *reply)
{
    struct jval_iter items = keys_data(reply);
    struct jval item;
    while (jval_next(&items, &item)) {
        print_span(keys_text(item, "pubkey"), " ");
        print_span(keys_text(item, "status"), " ");
        print_span(keys_text(item, "source"), "");
        (void)printf("%s%s\n", keys_flag(item, "readonly") ? " readonly" : "",
                     keys_flag(item, "paused") ? " paused" : "");
    }
    if (keys_flag(jdoc_root(&reply->doc), "paused_all"))
        (void)printf("all keys are paused\n");
    return EXIT_CODE_DONE;
}

/* --- the actions ------------------------------------------------------------------------------------------------------ */

static int send(const struct wanted *w,
                const struct keys_request *request,
                int (*print)(const struct keys_reply *reply))
{
    struct keys_reply reply;
    int code = keys_ask(request, &reply);
    if (code == EXIT_CODE_DONE && !w->json)
        code = print(&reply);
    else if (code == EXIT_CODE_DONE)
        code = outcome_code(&reply);
    keys_reply_release(&reply);
    return code;
}

static int list(const struct wanted *w)
{
    const struct keys_request request = {
        .signer = w->signer, .method = "GET", .target = ROUTE, .print = w->json};
    return send(w, &request, print_list);
}

static int change(const struct wanted *w, const char *method, const char *target, const char *more)
{
    CC_CLEANUP(buf_release) struct buf body = buf_init(BODY_MAX);
    cc_err err = make_body(w, more, &body);
    if (err.code)
        return keys_say("the public keys", err);
    const struct keys_request request = {.signer = w->signer,
                                         .method = method,
                                         .target = target,
                                         .body = buf_span(&body),
                                         .print = w->json};
    return send(w, &request, print_outcomes);
}

static int activate(const struct wanted *w)
{
    return change(w, "PATCH", ROUTE, ",\"status\":\"active\"");
}

static int deactivate(const struct wanted *w)
{
    return change(w, "PATCH", ROUTE, ",\"status\":\"inactive\"");
}

static int pause_keys(const struct wanted *w)
{
    return change(w, "POST", ROUTE "/pause", "");
}

static int resume_keys(const struct wanted *w)
{
    return change(w, "POST", ROUTE "/resume", "");
}

static int import(const struct wanted *w)
{
    struct keys_import import = w->import;
    import.signer = w->signer;
    import.json = w->json;
    return keys_import(&import);
}

static int generate(const struct wanted *w)
{
    struct keys_generate generate = w->generate;
    generate.signer = w->signer;
    generate.json = w->json;
    return keys_generate(&generate);
}

static int deposit_data(const struct wanted *w)
{
    CC_CLEANUP(buf_release) struct buf body = buf_init(BODY_MAX);
    struct keys_deposit deposit = w->deposit;
    deposit.signer = w->signer;
    deposit.json = w->json;
    cc_err err = make_body(w, "", &body);
    return err.code ? keys_say("the public keys", err) : keys_deposit_data(&deposit, &body);
}

/* --- delete -------------------------------------------------------------------------------------------------------------- */

static int open_output(const struct wanted *w, int *ret_fd)
{
    *ret_fd = strcmp(w->to, "-") == 0 ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                                      : open(w->to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (*ret_fd >= 0)
        return EXIT_CODE_DONE;
    return keys_say(w->to, errno == EEXIST ? CC_FAIL(EXISTS, "name a new file: nothing is deleted")
                                           : CC_FAIL(IO, "it can't be made: nothing is deleted"));
}

static cc_err write_history(int fd, const struct keys_reply *reply)
{
    struct span text = keys_text(jdoc_root(&reply->doc), "slashing_protection");
    CC_TRY(fd_write_all(fd, text.data, text.len));
    return fsync(fd) == 0 || errno == EINVAL || errno == EROFS ? CC_OK : CC_FAIL(IO, "fsync");
}

/* The place of the slashing protection is opened before anything is deleted. */
static int delete_keys(const struct wanted *w)
{
    CC_CLEANUP(buf_release) struct buf body = buf_init(BODY_MAX);
    CC_CLEANUP(fd_closep) int fd = -1;
    struct keys_reply reply;
    cc_err err = make_body(w, "", &body);
    if (err.code)
        return keys_say("the public keys", err);
    int code = open_output(w, &fd);
    if (code != EXIT_CODE_DONE)
        return code;
    const struct keys_request request = {.signer = w->signer,
                                         .method = "DELETE",
                                         .target = ROUTE,
                                         .body = buf_span(&body),
                                         .print = w->json};
    code = keys_ask(&request, &reply);
    if (code == EXIT_CODE_DONE) {
        err = write_history(fd, &reply);
        code = w->json ? outcome_code(&reply) : print_outcomes(&reply);
        if (err.code)
            code = keys_say("the keys' slashing protection: delete them again for it", err);
    }
    keys_reply_release(&reply);
    return code;
}

/* --- the command ----------------------------------------------------------------------------------------------------------- */

static int read_nothing(struct arguments *arguments, struct wanted *w)
{
    (void)arguments;
    (void)w;
    return EXIT_CODE_DONE;
}

static int read_keys(struct arguments *arguments, struct wanted *w)
{
    int code = command_take_value(arguments, "--key", &w->keys);
    if (code == EXIT_CODE_DONE)
        code = command_take_value(arguments, "--from", &w->from);
    if (code == EXIT_CODE_DONE && !w->keys && !w->from && !w->all)
        code = command_usage(arguments, "which keys? --key KEY[,KEY...], or --from FILE|-", NULL);
    return code;
}

static int read_keys_or_all(struct arguments *arguments, struct wanted *w)
{
    w->all = command_take_switch(arguments, "--all");
    int code = read_keys(arguments, w);
    if (code == EXIT_CODE_DONE && w->all && (w->keys || w->from))
        code = command_usage(arguments, "--all, or keys, and not both", NULL);
    return code;
}

static int read_delete(struct arguments *arguments, struct wanted *w)
{
    int code = read_keys(arguments, w);
    if (code == EXIT_CODE_DONE)
        code = command_take_value(arguments, "--to", &w->to);
    if (code == EXIT_CODE_DONE && !w->to)
        code = command_usage(
            arguments, "delete needs --to FILE, where the keys' slashing protection is written",
            NULL);
    if (code == EXIT_CODE_DONE && w->json)
        code = command_refuse_mixed(arguments, "--to", w->to);
    return code;
}

static int read_items(struct arguments *arguments, uint64_t *ret_items)
{
    const char *text = NULL;
    int code = command_take_value(arguments, "--items", &text);
    *ret_items = ITEMS_DEFAULT;
    if (code != EXIT_CODE_DONE || !text)
        return code;
    if (!u64_parse(span_str(text), ret_items).code && *ret_items > 0)
        return EXIT_CODE_DONE;
    return command_usage(arguments, "not a number of keystores", "--items");
}

/* Keys that another service keeps. */
static int
choose_source(const struct arguments *arguments, const char *from, struct keys_import *import)
{
    struct key_source *source = &import->source;
    source->kind = key_source_find(from);
    source->descriptions = import->from_dir;
    source->environment = arguments->environment;
    if (!source->kind)
        return command_usage(arguments, "--from is", key_source_names());
    const char *fault = key_source_fault(source);
    if (fault)
        return command_usage(arguments, fault, from);
    const char *lack = source->kind->lacks(source);
    if (lack)
        return command_usage(arguments, "--from needs", lack);
    return EXIT_CODE_DONE;
}

static int read_import(struct arguments *arguments, struct wanted *w)
{
    struct keys_import *import = &w->import;
    const char *from = NULL;
    enum {
        OF_FILES = 5 /* the rest is about a service */
    };
    const struct {
        const char *option;
        const char **value;
    } options[] = {
        {"--from-dir", &import->from_dir},
        {"--passwords", &import->passwords},
        {"--password-file", &import->password_file},
        {"--slashing-protection", &import->history},
        {"--from", &from},
        {"--prefixes", &import->source.prefixes},
        {"--tags", &import->source.tags},
        {"--filter", &import->source.filter},
        {"--region", &import->source.region},
        {"--endpoint", &import->source.endpoint},
        {"--source-ca", &import->source.ca},
        {"--source-token", &import->source.token},
        {"--vault", &import->source.vault},
        {"--project", &import->source.project},
    };
    import->inactive = command_take_switch(arguments, "--inactive");
    int code = read_items(arguments, &import->items);
    for (size_t i = 0; i < ARRAY_LEN(options) && code == EXIT_CODE_DONE; i++)
        code = command_take_value(arguments, options[i].option, options[i].value);
    if (code == EXIT_CODE_DONE && from)
        return choose_source(arguments, from, import);
    for (size_t i = OF_FILES; i < ARRAY_LEN(options) && code == EXIT_CODE_DONE; i++)
        if (*options[i].value)
            code = command_usage(arguments, "needs --from", options[i].option);
    if (code == EXIT_CODE_DONE && !import->from_dir)
        code =
            command_usage(arguments, "import needs --from-dir DIR, or one keystore's file", NULL);
    return code;
}

static int read_generate(struct arguments *arguments, struct wanted *w)
{
    struct keys_generate *generate = &w->generate;
    const char *count = NULL;
    generate->inactive = command_take_switch(arguments, "--inactive");
    int code = command_take_value(arguments, "--count", &count);
    if (code == EXIT_CODE_DONE)
        code = command_take_value(arguments, "--out-dir", &generate->directory);
    if (code == EXIT_CODE_DONE)
        code = read_items(arguments, &generate->items);
    if (code == EXIT_CODE_DONE)
        code = deposit_terms_take(arguments, &generate->terms);
    if (code != EXIT_CODE_DONE)
        return code;
    if (!count || u64_parse(span_str(count), &generate->count).code || generate->count == 0)
        return command_usage(arguments, "how many keys? --count N", NULL);
    return EXIT_CODE_DONE;
}

static int read_deposit(struct arguments *arguments, struct wanted *w)
{
    struct keys_deposit *deposit = &w->deposit;
    int code = read_keys(arguments, w);
    if (code == EXIT_CODE_DONE)
        code = command_take_value(arguments, "--network", &deposit->network);
    if (code == EXIT_CODE_DONE)
        code = command_take_value(arguments, "--out-dir", &deposit->directory);
    if (code == EXIT_CODE_DONE)
        code = deposit_terms_take(arguments, &deposit->terms);
    if (code != EXIT_CODE_DONE)
        return code;
    if (!deposit->network)
        return command_usage(arguments, "of which network? --network NAME", NULL);
    if (!deposit->terms.is_set)
        return command_usage(arguments, "a deposit needs --withdrawal-address", NULL);
    return EXIT_CODE_DONE;
}

static const struct action {
    const char *name;
    int (*read)(struct arguments *arguments, struct wanted *w);
    int (*run)(const struct wanted *w);
} actions[] = {
    {"list", read_nothing, list},
    {"import", read_import, import},
    {"generate", read_generate, generate},
    {"deposit-data", read_deposit, deposit_data},
    {"activate", read_keys, activate},
    {"deactivate", read_keys, deactivate},
    {"delete", read_delete, delete_keys},
    {"pause", read_keys_or_all, pause_keys},
    {"resume", read_keys_or_all, resume_keys},
};

static const struct action *take_action(struct arguments *arguments)
{
    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        if (command_take_switch(arguments, actions[i].name))
            return &actions[i];
    return NULL;
}

static int take_signer(struct arguments *arguments, struct signer *ret_signer)
{
    int code = command_take_signer(arguments, ret_signer);
    if (code == EXIT_CODE_DONE && !ret_signer->url)
        code = command_usage(arguments, COMMAND_NEEDS_SIGNER, NULL);
    return code;
}

int command_keys(struct arguments *arguments)
{
    struct signer signer = {0};
    struct wanted w = {.signer = &signer};
    int code = EXIT_CODE_DONE;
    if (keys_order(arguments, &code))
        return code;
    const struct action *action = take_action(arguments);
    if (!action)
        return command_usage(arguments,
                             "list, generate, import, deposit-data, activate, deactivate, delete, "
                             "pause, resume, stores, forget-store or move?",
                             NULL);
    w.json = command_take_switch(arguments, "--json");
    code = action->read(arguments, &w);
    if (code == EXIT_CODE_DONE)
        code = take_signer(arguments, &signer);
    if (code == EXIT_CODE_DONE)
        code = command_refuse_rest(arguments);
    if (code == EXIT_CODE_DONE)
        code = action->run(&w);
    signer_release(&signer);
    return code;
}
