#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/num.h"

#include "app/listeners.h"
#include "cli/command.h"
#include "cli/json_object.h"
#include "cli/progress.h"
#include "cli/signer_arguments.h"
#include "cli/slashing_live.h"
#include "cli/slashing_migrate.h"
#include "cli/slashing_offline.h"
#include "cli/slashing_order.h"
#include "cli/slashing_report.h"
#include "codec/hex.h"
#include "core/state_floor.h"
#include "core/stores.h"
#include "slash/backend.h"
#include "slash/dynamodb.h"
#include "slash/guard.h"
#include "slash/interchange.h"
#include "slash/postgres.h"
#include "sql/postgres_url.h"

static struct command_config command;
static struct config config;
static struct stores stores;

/* What the arguments say. */
struct wanted {
    const char *from, *to, *grant_to, *key, *token, *identity;
    uint64_t epoch, keep_epochs;
    bool json, cancel, force;
    const struct signer *signer; /* a running one; NULL: the store itself */
};

/* For people: of a database, no password. */
static const char *history_path(void)
{
    static char path[PATH_MAX];
    if (config.anti_slashing.backend == HISTORY_POSTGRES) {
        CC_CLEANUP(buf_release) struct buf text = buf_init(sizeof path - 1);
        if (!postgres_url_describe(config.anti_slashing.url, &text).code)
            (void)snprintf(path, sizeof path, "%.*s", (int)text.len, (const char *)text.data);
        return path;
    }
    if (config.anti_slashing.backend == HISTORY_DYNAMODB) {
        (void)snprintf(path, sizeof path, "DynamoDB table %s", config.anti_slashing.table);
        return path;
    }
    const char *given = config.anti_slashing.path;
    (void)snprintf(path, sizeof path, "%s%s", given[0] ? given : config.data_dir,
                   given[0] ? "" : "/history.sqlite");
    return path;
}

/* --- the store ----------------------------------------------------------------------------------- */

/* `holder` 0: of the data directory, whoever it is. */
static int say_locked(int holder)
{
    char admin[LISTENERS_PATH_SIZE] = "";
    const char *socket = config.server.unix_socket;
    if (!socket[0] && !listeners_admin_path(&config, admin).code)
        socket = admin;
    if (holder)
        (void)fprintf(stderr, "containment-chamber slashing: %s is in use by process %d.\n",
                      history_path(), holder);
    else
        (void)fprintf(stderr, "containment-chamber slashing: a signer uses %s.\n", config.data_dir);
    (void)fprintf(
        stderr, "Stop that signer first, or work on it while it runs: --signer-url unix:%s%s\n",
        socket[0] ? socket : "PATH", socket[0] ? "" : ", where PATH is its server.unix_socket");
    return EXIT_CODE_LOCKED;
}

/* Once: history and state store use the same. */
static cc_err open_session(void)
{
    static struct aws_inputs inputs;
    if (stores.aws)
        return CC_OK;
    inputs = aws_inputs_own(&config.aws);
    CC_TRY(aws_session_open(&config.aws, &inputs, &stores.aws));
    aws_session_pin(stores.aws, config.tee.aws_account);
    return CC_OK;
}

static cc_err open_table(bool for_repair, struct slash_store **ret_store)
{
    const char *table = config.anti_slashing.table;
    CC_TRY(open_session());
    return for_repair ? slash_dynamodb_open_for_repair(stores.aws, table, ret_store)
                      : slash_dynamodb_open(stores.aws, table, ret_store);
}

static cc_err open_backend(bool for_repair, struct slash_store **ret_store, int *ret_holder)
{
    if (config.anti_slashing.backend == HISTORY_DYNAMODB)
        return open_table(for_repair, ret_store);
    if (config.anti_slashing.backend == HISTORY_SQLITE)
        return slash_sqlite_open(history_path(), stores.network.production, ret_store, ret_holder);
    return for_repair ? slash_postgres_open_for_repair(config.anti_slashing.url, ret_store)
                      : slash_postgres_open(config.anti_slashing.url, NULL, ret_store);
}

static int open_history(bool for_repair, struct slash_store **ret_store)
{
    if (config.anti_slashing.backend == HISTORY_NOOP) {
        (void)fprintf(stderr,
                      "containment-chamber slashing: anti_slashing.backend is noop: there is no "
                      "history; name another, then `containment-chamber init -c FILE`\n");
        return EXIT_CODE_REFUSED;
    }
    cc_err err = stores_load_config(&config, &stores);
    if (err.code)
        return slashing_say_error("configuration", err);
    int holder = 0;
    err = open_backend(for_repair, ret_store, &holder);
    if (error_is(err, ERROR_LOCKED))
        return say_locked(holder);
    if (err.code)
        return slashing_say_error(history_path(), err);
    /* A file of another network must not fix the root of a history that has none yet. */
    if (stores.has_genesis_validators_root)
        err = slash_fix_genesis(*ret_store, &stores.genesis_validators_root);
    if (!err.code)
        return EXIT_CODE_DONE;
    slash_store_close(*ret_store);
    return slashing_say_error(history_path(), err);
}

/* The rooms are started only on a history that can be had: who holds it is said better here. */
static int check_history(void)
{
    struct slash_store *store;
    int code = open_history(false, &store);
    if (code == EXIT_CODE_DONE)
        slash_store_close(store);
    return code;
}

/* --- import ------------------------------------------------------------------------------------------ */

/* A file that is read twice, with how far that is. */
struct input {
    int fd;
    uint64_t at, size;
    enum progress_how how;
    struct progress progress;
};

static cc_err read_fd(int fd, void *into, size_t room, size_t *ret_len)
{
    ssize_t n;
    do
        n = read(fd, into, room);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return CC_FAIL(IO, "read");
    *ret_len = (size_t)n;
    return CC_OK;
}

static cc_err read_input(void *context, void *into, size_t room, size_t *ret_len)
{
    struct input *input = context;
    CC_TRY(read_fd(input->fd, into, room, ret_len));
    input->at += *ret_len;
    progress_at(&input->progress, input->at);
    return CC_OK;
}

static cc_err rewind_input(void *context)
{
    struct input *input = context;
    progress_end(&input->progress);
    progress_begin(&input->progress, "importing", input->size, input->how);
    input->at = 0;
    return lseek(input->fd, 0, SEEK_SET) == 0 ? CC_OK : CC_FAIL(IO, "seek");
}

/* What comes through a pipe is kept, since it is read twice. */
static cc_err spool(int *fd)
{
    const char *kept_in = config.data_dir[0] ? config.data_dir : ".";
    CC_CLEANUP(fd_closep) int kept = open(kept_in, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (kept < 0)
        return CC_FAIL(IO, "no temporary file in data_dir");
    static uint8_t chunk[1 << 16];
    for (;;) {
        size_t n;
        CC_TRY(read_fd(*fd, chunk, sizeof chunk, &n));
        if (n == 0)
            break;
        CC_TRY(fd_write_all(kept, chunk, n));
    }
    if (lseek(kept, 0, SEEK_SET) != 0)
        return CC_FAIL(IO, "seek");
    int pipe_end = *fd;
    *fd = kept;
    kept = pipe_end;
    return CC_OK;
}

static int open_input(const char *from, int *ret_fd)
{
    *ret_fd = strcmp(from, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                                     : open(from, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (*ret_fd < 0) {
        (void)fprintf(stderr, "containment-chamber slashing: %s: %s\n", from, strerror(errno));
        return EXIT_CODE_FAILED;
    }
    if (lseek(*ret_fd, 0, SEEK_CUR) >= 0)
        return EXIT_CODE_DONE;
    cc_err err = spool(ret_fd);
    return err.code ? slashing_say_error(from, err) : EXIT_CODE_DONE;
}

static int
report_import(const struct wanted *w, const struct interchange_result *result, cc_err err)
{
    (void)fprintf(stderr, "%.*s", (int)result->messages.len,
                  result->messages.len ? (const char *)result->messages.data : "");
    if (err.code)
        (void)slashing_say_error(w->from, err);
    if (result->faults)
        (void)fprintf(stderr, "Nothing was imported: %u fault(s) in the file.\n", result->faults);
    else
        slashing_print_import(&result->report, w->json);
    if (err.code && !result->faults)
        (void)fprintf(stderr, "The import is not complete. It can be repeated.\n");
    return slashing_exit_code(err);
}

/* What a restore or a hand-over has set over the keys that come later. */
static int read_floor(struct slash_watermark *ret_floor)
{
    cc_err err = config.signer_state.backend == STATE_DYNAMODB ? open_session() : CC_OK;
    if (!err.code)
        err = state_floor_read(&config, stores.aws, ret_floor);
    if (!err.code)
        return EXIT_CODE_DONE;
    (void)fprintf(
        stderr,
        "containment-chamber slashing: the state store says below which watermarks nothing is "
        "imported, so it is read first.\n");
    if (error_is(err, ERROR_LOCKED))
        return say_locked(0);
    return slashing_say_error("the state store", err);
}

static int import_above(const struct wanted *w,
                        struct slash_store *store,
                        const struct interchange_rules *rules,
                        struct input *input)
{
    const struct interchange_source source = {read_input, rewind_input, input};
    struct interchange_result result = {.messages = buf_init(INTERCHANGE_MESSAGES_MAX)};
    cc_err err = interchange_import(store, &source, rules, &result);
    progress_end(&input->progress);
    int code = report_import(w, &result, err);
    buf_release(&result.messages);
    return code;
}

static int import_offline(const struct wanted *w, struct input *input)
{
    struct interchange_rules rules = {0};
    struct slash_store *store;
    int code = open_history(false, &store);
    if (code != EXIT_CODE_DONE)
        return code;
    code = read_floor(&rules.floor);
    if (code == EXIT_CODE_DONE)
        code = import_above(w, store, &rules, input);
    slash_store_close(store);
    return code;
}

static int import_live(const struct wanted *w, struct input *input)
{
    const struct interchange_source source = {read_input, rewind_input, input};
    int code = slashing_live_import(w->signer, w->from, w->json, &source);
    progress_end(&input->progress);
    return code;
}

static int import_history(const struct wanted *w)
{
    CC_CLEANUP(fd_closep) int fd = -1;
    struct stat st;
    int code = open_input(w->from, &fd);
    if (code != EXIT_CODE_DONE)
        return code;
    struct input input = {.fd = fd,
                          .size = fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0,
                          .how = w->json ? PROGRESS_NONE : PROGRESS_LINES};
    progress_begin(&input.progress, "checking", input.size, input.how);
    return w->signer ? import_live(w, &input) : import_offline(w, &input);
}

/* --- export ---------------------------------------------------------------------------------------------- */

/* Where an export goes, and how far it is. */
struct output {
    int fd;
    uint64_t count; /* validators written */
    struct progress progress;
};

static cc_err write_output(void *context, const void *data, size_t len)
{
    struct output *output = context;
    progress_at(&output->progress, output->count);
    return fd_write_all(output->fd, data, len);
}

/* A bar would go between the lines of an export that the same terminal shows. */
static enum progress_how how_far(const struct wanted *w)
{
    const bool is_shown = strcmp(w->to, "-") == 0 && isatty(STDOUT_FILENO) == 1;
    return w->json || is_shown ? PROGRESS_NONE : PROGRESS_LINES;
}

/* Fills it; an exit code. */
static int export_into(const struct wanted *w, struct output *output)
{
    struct slash_store *store;
    struct slash_status status = {0};
    progress_begin(&output->progress, "exporting", 0, how_far(w));
    if (w->signer)
        return slashing_live_export(w->signer, write_output, output, &output->count);
    int code = open_history(false, &store);
    if (code != EXIT_CODE_DONE)
        return code;
    cc_err err = slash_status(store, &status);
    progress_begin(&output->progress, "exporting", status.validators, how_far(w));
    if (!err.code)
        err = interchange_export(store, write_output, output, NULL, 0, &output->count);
    slash_store_close(store);
    progress_end(&output->progress);
    return err.code ? slashing_say_error(w->to, err) : EXIT_CODE_DONE;
}

static int say_failed(const char *path)
{
    (void)fprintf(stderr, "containment-chamber slashing: %s: %s\n", path, strerror(errno));
    return EXIT_CODE_FAILED;
}

/* A file appears under its name only when it is complete. */
static int export_to_file(const struct wanted *w, struct output *output)
{
    char partial[PATH_MAX];
    int n = snprintf(partial, sizeof partial, "%s.%d.partial", w->to, (int)getpid());
    if (n < 0 || (size_t)n >= sizeof partial)
        return slashing_say_error(w->to, CC_FAIL(LIMIT, "path too long"));
    CC_CLEANUP(fd_closep) int fd = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return say_failed(partial);
    output->fd = fd;
    int code = export_into(w, output);
    if (code == EXIT_CODE_DONE && (fsync(fd) != 0 || rename(partial, w->to) != 0))
        code = say_failed(w->to);
    if (code != EXIT_CODE_DONE)
        (void)unlink(partial);
    return code;
}

static int export_history(const struct wanted *w)
{
    struct output output = {.fd = STDOUT_FILENO};
    int code = strcmp(w->to, "-") == 0 ? export_into(w, &output) : export_to_file(w, &output);
    progress_end(&output.progress);
    if (code == EXIT_CODE_DONE && w->json) {
        struct json_object object = json_object_begin();
        json_object_text(&object, "to", w->to);
        json_object_count(&object, "validators", output.count);
        return json_object_print(&object, "slashing", code);
    }
    if (code == EXIT_CODE_DONE)
        (void)fprintf(stderr, "%llu validators exported\n", (unsigned long long)output.count);
    return code;
}

/* --- status, verify, prune: the same steps, and the same answer, as a running signer's --------------------------------- */

enum {
    ARGUMENTS_MAX = 128,
    ANSWER_MAX = 4 << 20
};

static int ask_for(const struct wanted *w, enum a_slashing_verb verb, char *arguments)
{
    struct slash_store *store;
    CC_CLEANUP(buf_release) struct buf answer = buf_init(ANSWER_MAX);
    if (w->signer)
        return slashing_live_ask(w->signer, verb, arguments, w->json);
    int code = open_history(false, &store);
    if (code != EXIT_CODE_DONE)
        return code;
    const struct slashing_offline offline = {
        .store = store,
        .slots_per_epoch = stores.network.preset.slots_per_epoch,
        .keep_epochs = config.anti_slashing.pruning_keep_epochs,
        .progress = w->json ? PROGRESS_NONE : PROGRESS_BAR,
    };
    cc_err err = slashing_offline(&offline, verb, arguments, &answer);
    slash_store_close(store);
    if (err.code)
        return slashing_say_error(history_path(), err);
    if (verb == SLASHING_STATUS && !w->json)
        (void)printf("path                    %s\n", history_path());
    return slashing_print(verb, &answer, w->json);
}

static int print_status(const struct wanted *w)
{
    char none[] = "";
    return ask_for(w, SLASHING_STATUS, none);
}

static int verify(const struct wanted *w)
{
    char none[] = "";
    return ask_for(w, SLASHING_VERIFY, none);
}

static int prune(const struct wanted *w)
{
    char arguments[ARGUMENTS_MAX] = "";
    if (w->keep_epochs)
        (void)snprintf(arguments, sizeof arguments, "{\"keep_epochs\":\"%llu\"}",
                       (unsigned long long)w->keep_epochs);
    return ask_for(w, SLASHING_PRUNE, arguments);
}

/* As a signer that runs would have answered, and in the same words. */
static int
print_answer(const struct wanted *w, enum a_slashing_verb verb, struct json_object *answer)
{
    cc_err err = json_object_end(answer);
    int code = err.code ? slashing_say_error("the answer", err)
                        : slashing_print(verb, &answer->text, w->json);
    json_object_release(answer);
    return code;
}

/* What an epoch or a key is said of. */
static int ask_live(const struct wanted *w, enum a_slashing_verb verb)
{
    char arguments[ARGUMENTS_MAX];
    const char *force = w->force ? ",\"force\":true" : "";
    if (verb == SLASHING_ENABLE)
        (void)snprintf(arguments, sizeof arguments, "{\"key\":\"%.100s\"}", w->key);
    else if (w->cancel)
        (void)snprintf(arguments, sizeof arguments, "{\"cancel\":true%s}", force);
    else
        (void)snprintf(arguments, sizeof arguments, "{\"epoch\":\"%llu\"%s}",
                       (unsigned long long)w->epoch, force);
    return slashing_live_ask(w->signer, verb, arguments, w->json);
}

/* --- repair-watermark ------------------------------------------------------------------------------------ */

/* Keys whose rows were lost are in this data directory's mirror. */
static cc_err restore_rows(struct slash_store *store, const struct slash_watermark *low)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/history.mirror", config.data_dir);
    if (n < 0 || n >= PATH_MAX)
        return CC_FAIL(LIMIT, "path too long");
    return slash_guard_restore_rows(store, path, low);
}

/* For a database this is also the word that its timeline is the right one: in that order. */
static int repair(const struct wanted *w)
{
    if (w->signer)
        return ask_live(w, SLASHING_REPAIR);
    const uint64_t epoch = w->epoch;
    struct slash_store *store;
    uint64_t count = 0;
    int code = w->token ? check_history() : open_history(true, &store);
    if (code != EXIT_CODE_DONE)
        return code;
    if (w->token)
        return slashing_order_take_over(&command.source, &config, w->token, w->identity, w->json);
    const struct slash_watermark low =
        slash_repair_watermark(epoch, stores.network.preset.slots_per_epoch);
    cc_err err = slash_raise_all(store, &low, &count);
    if (!err.code && config.anti_slashing.backend == HISTORY_POSTGRES)
        err = slash_postgres_confirm_timeline(store);
    if (!err.code && config.anti_slashing.backend == HISTORY_DYNAMODB)
        err = slash_dynamodb_confirm_table(store);
    if (!err.code)
        err = restore_rows(store, &low);
    slash_store_close(store);
    if (err.code)
        return slashing_say_error("repair-watermark is not complete, and can be repeated", err);
    struct json_object answer = json_object_begin();
    json_object_count(&answer, "validators", count);
    json_object_time(&answer, "epoch", epoch);
    json_object_time(&answer, "slot", low.slot);
    return print_answer(w, SLASHING_REPAIR, &answer);
}

static int migrate(const struct wanted *w)
{
    return slashing_migrate(&config, history_path(), w->grant_to, w->json);
}

/* --- hand-over, prune, enable -------------------------------------------------------------------------------- */

static int print_hand_over(const struct wanted *w, const struct slash_high *high)
{
    struct json_object answer = json_object_begin();
    if (high->set) {
        json_object_open(&answer, "high_watermark", '{');
        json_object_time(&answer, "slot", high->slot);
        json_object_time(&answer, "epoch", high->epoch);
        json_object_close(&answer, '}');
    } else {
        json_object_text(&answer, "high_watermark", NULL);
    }
    if (w->to)
        json_object_text(&answer, "to", w->to);
    return print_answer(w, SLASHING_HAND_OVER, &answer);
}

static int say_hand_over(const struct wanted *w,
                         const struct slash_high *high,
                         const struct slash_high *stands,
                         cc_err err)
{
    if (error_is(err, ERROR_HANDED_OVER)) {
        (void)fprintf(stderr, "containment-chamber slashing: hand-over: ");
        slashing_print_begun(stands->epoch);
        return EXIT_CODE_FAILED;
    }
    return err.code ? slashing_say_error("hand-over", err) : print_hand_over(w, high);
}

/* From the epoch on, this history signs nothing: another cluster does (P7). With a token the core sets it. */
static int hand_over(const struct wanted *w)
{
    if (w->signer)
        return ask_live(w, SLASHING_HAND_OVER);
    struct slash_store *store;
    struct slash_high stands;
    int code = w->to ? check_history() : open_history(false, &store);
    if (code != EXIT_CODE_DONE)
        return code;
    const struct slash_high high = {
        .set = !w->cancel,
        .slot = slash_keep_slots(w->epoch, stores.network.preset.slots_per_epoch),
        .epoch = w->epoch,
    };
    if (w->to) {
        code = slashing_order_hand_over(&command.source, &config, w->epoch, w->force, w->to);
        return code == EXIT_CODE_DONE && w->json ? print_hand_over(w, &high) : code;
    }
    cc_err err = slash_hand_over(store, &high, w->force, &stands);
    slash_store_close(store);
    return say_hand_over(w, &high, &stands, err);
}

static int enable(const struct wanted *w)
{
    struct slash_store *store;
    struct eth_pubkey key;
    cc_err err = hex_decode(hex_digits(span_str(w->key)), key.bytes, sizeof key.bytes);
    if (err.code)
        return slashing_say_error("--key", err);
    if (w->signer)
        return ask_live(w, SLASHING_ENABLE);
    int code = open_history(false, &store);
    if (code != EXIT_CODE_DONE)
        return code;
    err = slash_set_enabled(store, &key, true);
    slash_store_close(store);
    if (err.code)
        return slashing_say_error("enable", err);
    struct json_object answer = json_object_begin();
    json_object_flag(&answer, "enabled", true);
    return print_answer(w, SLASHING_ENABLE, &answer);
}

/* --- the command -------------------------------------------------------------------------------------------- */

static int read_option(struct arguments *arguments,
                       const char *option,
                       const char *complaint,
                       const char **ret_value)
{
    int code = command_take_value(arguments, option, ret_value);
    if (code == EXIT_CODE_DONE && !*ret_value && complaint)
        code = command_usage(arguments, complaint, NULL);
    return code;
}

/* 1 at least; without a complaint it may be left out, which is 0. */
static int read_number(struct arguments *arguments,
                       const char *option,
                       const char *complaint,
                       uint64_t *ret_number)
{
    const char *text = NULL;
    int code = read_option(arguments, option, complaint, &text);
    if (code != EXIT_CODE_DONE || !text)
        return code;
    if (!u64_parse(span_str(text), ret_number).code && *ret_number > 0)
        return EXIT_CODE_DONE;
    return command_usage(arguments, "not a number of epochs", option);
}

static int read_import(struct arguments *arguments, struct wanted *w)
{
    return read_option(arguments, "--from",
                       "import needs --from FILE, or --from - for standard input", &w->from);
}

static int read_export(struct arguments *arguments, struct wanted *w)
{
    int code = read_option(arguments, "--to",
                           "export needs --to FILE, or --to - for standard output", &w->to);
    return code == EXIT_CODE_DONE && w->json ? command_refuse_mixed(arguments, "--to", w->to)
                                             : code;
}

static int read_nothing(struct arguments *arguments, struct wanted *w)
{
    (void)arguments;
    (void)w;
    return EXIT_CODE_DONE;
}

static int read_repair(struct arguments *arguments, struct wanted *w)
{
    int code = read_option(arguments, "--token", NULL, &w->token);
    if (code != EXIT_CODE_DONE)
        return code;
    if (w->token)
        return read_option(arguments, "--identity",
                           "--token needs --identity, identity.pub of the chamber that made it or "
                           "0x and its public identity",
                           &w->identity);
    return read_number(arguments, "--epoch",
                       "repair-watermark needs --epoch N: nothing up to N is signed any more; or "
                       "--token FILE of a hand-over",
                       &w->epoch);
}

static int read_hand_over(struct arguments *arguments, struct wanted *w)
{
    w->cancel = command_take_switch(arguments, "--cancel");
    w->force = command_take_switch(arguments, "--force");
    if (w->cancel)
        return EXIT_CODE_DONE;
    int code = read_option(arguments, "--to", NULL, &w->to);
    if (code == EXIT_CODE_DONE && w->to && w->json)
        code = command_refuse_mixed(arguments, "--to", w->to);
    if (code != EXIT_CODE_DONE)
        return code;
    return read_number(arguments, "--epoch",
                       "hand-over needs --epoch N, from which on nothing is signed, or --cancel",
                       &w->epoch);
}

static int read_prune(struct arguments *arguments, struct wanted *w)
{
    return read_number(arguments, "--keep-epochs", NULL, &w->keep_epochs);
}

static int read_enable(struct arguments *arguments, struct wanted *w)
{
    return read_option(arguments, "--key", "enable needs --key PUBLIC_KEY", &w->key);
}

static int read_migrate(struct arguments *arguments, struct wanted *w)
{
    return command_take_value(arguments, "--grant-to", &w->grant_to);
}

static const struct action {
    const char *name;
    int (*read)(struct arguments *arguments, struct wanted *w);
    int (*run)(const struct wanted *w);
} actions[] = {
    {"import", read_import, import_history},  {"export", read_export, export_history},
    {"status", read_nothing, print_status},   {"repair-watermark", read_repair, repair},
    {"hand-over", read_hand_over, hand_over}, {"prune", read_prune, prune},
    {"enable", read_enable, enable},          {"migrate", read_migrate, migrate},
    {"verify", read_nothing, verify},
};

static const struct action *take_action(struct arguments *arguments)
{
    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        if (command_take_switch(arguments, actions[i].name))
            return &actions[i];
    return NULL;
}

/* --json, which all of them take, and what is the action's own. */
static int read_all(const struct action *action, struct arguments *arguments, struct wanted *w)
{
    w->json = command_take_switch(arguments, "--json");
    return action->read(arguments, w);
}

static int run_action(const struct action *action, const struct wanted *w)
{
    int code = w->signer ? EXIT_CODE_DONE : command_load_config(&command, &config);
    if (code == EXIT_CODE_DONE)
        code = action->run(w);
    aws_session_close(stores.aws);
    return code;
}

int command_slashing(struct arguments *arguments)
{
    struct wanted w = {0};
    const struct action *action = take_action(arguments);
    if (!action)
        return command_usage(
            arguments,
            "import, export, status, verify, repair-watermark, hand-over, prune, enable or migrate?",
            NULL);
    struct signer signer = {0};
    int code = read_all(action, arguments, &w);
    if (code == EXIT_CODE_DONE && action->run != migrate)
        code = command_take_signer(arguments, &signer);
    if (code == EXIT_CODE_DONE)
        code = command_take_config(arguments, &command);
    if (code == EXIT_CODE_DONE)
        code = command_refuse_rest(arguments);
    /* A running signer has its own. */
    w.signer = signer.url ? &signer : NULL;
    if (code == EXIT_CODE_DONE && w.signer && (w.token || (w.to && action->run == hand_over)))
        code = command_usage(
            arguments, "a hand-over's token is made and taken with -c, while no signer runs", NULL);
    if (code == EXIT_CODE_DONE)
        code = run_action(action, &w);
    signer_release(&signer);
    return code;
}

int command_slashing_on(struct arguments *arguments,
                        const char *action,
                        const struct supervisor_source *source)
{
    struct wanted w = {0};
    const struct action *found = NULL;
    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        if (strcmp(actions[i].name, action) == 0)
            found = &actions[i];
    cc_assert(found);
    command.source = *source;
    int code = read_all(found, arguments, &w);
    if (code == EXIT_CODE_DONE)
        code = command_refuse_rest(arguments);
    return code == EXIT_CODE_DONE ? run_action(found, &w) : code;
}
