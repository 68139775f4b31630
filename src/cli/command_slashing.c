#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/num.h"

#include "cli/command.h"
#include "codec/hex.h"
#include "core/stores.h"
#include "slash/backend.h"
#include "slash/interchange.h"
#include "slash/postgres.h"
#include "slash/repair.h"

static struct command_config command;
static struct config config;
static struct stores stores;

/* What the arguments say. */
struct wanted {
    const char *from, *to, *grant_to, *key;
    uint64_t epoch, keep_epochs;
    bool json, cancel;
};

/* For people: of a database, no password. */
static const char *history_path(void)
{
    static char path[PATH_MAX];
    if (config.anti_slashing.backend == HISTORY_POSTGRES) {
        CC_CLEANUP(buf_release) struct buf text = buf_init(sizeof path - 1);
        if (!slash_postgres_url_describe(config.anti_slashing.url, &text).code)
            (void)snprintf(path, sizeof path, "%.*s", (int)text.len, (const char *)text.data);
        return path;
    }
    const char *given = config.anti_slashing.path;
    (void)snprintf(path, sizeof path, "%s%s", given[0] ? given : config.data_dir,
                   given[0] ? "" : "/history.sqlite");
    return path;
}

static int exit_code_of(cc_err err)
{
    if (err.code == 0)
        return EXIT_CODE_DONE;
    if (error_is(err, ERROR_LOCKED))
        return EXIT_CODE_LOCKED;
    return error_class(err) == CLASS_INPUT || error_is(err, ERROR_WRONG_NETWORK) ? EXIT_CODE_REFUSED
                                                                                 : EXIT_CODE_FAILED;
}

static int say_error(const char *what, cc_err err)
{
    (void)fprintf(stderr, "containment-chamber slashing: %s: %s%s%s\n", what, error_text(err),
                  error_detail()[0] ? ": " : "", error_detail());
    return exit_code_of(err);
}

/* --- the store ----------------------------------------------------------------------------------- */

static int say_locked(int holder)
{
    (void)fprintf(stderr, "containment-chamber slashing: %s is in use by process %d",
                  history_path(), holder);
    (void)fprintf(stderr, ".\nStop the signer first. Working on a running signer, with "
                          "--signer-url, arrives with access control.\n");
    return EXIT_CODE_LOCKED;
}

static cc_err open_backend(bool for_repair, struct slash_store **ret_store, int *ret_holder)
{
    if (config.anti_slashing.backend == HISTORY_SQLITE)
        return slash_sqlite_open(history_path(), stores.network.production, ret_store, ret_holder);
    return for_repair ? slash_postgres_open_for_repair(config.anti_slashing.url, ret_store)
                      : slash_postgres_open(config.anti_slashing.url, ret_store);
}

static int open_history(bool for_repair, struct slash_store **ret_store)
{
    if (config.anti_slashing.backend == HISTORY_NOOP) {
        (void)fprintf(stderr, "containment-chamber slashing: anti_slashing.backend is noop: there "
                              "is no history\n");
        return EXIT_CODE_REFUSED;
    }
    cc_err err = stores_load_config(&config, &stores);
    if (err.code)
        return say_error("configuration", err);
    int holder = 0;
    err = open_backend(for_repair, ret_store, &holder);
    if (error_is(err, ERROR_LOCKED))
        return say_locked(holder);
    if (err.code)
        return say_error(history_path(), err);
    /* A file of another network must not fix the root of a history that has none yet. */
    if (stores.has_genesis_validators_root)
        err = slash_fix_genesis(*ret_store, &stores.genesis_validators_root);
    if (!err.code)
        return EXIT_CODE_DONE;
    slash_store_close(*ret_store);
    return say_error(history_path(), err);
}

/* --- import ------------------------------------------------------------------------------------------ */

static cc_err read_file(void *context, void *into, size_t room, size_t *ret_len)
{
    ssize_t n;
    do
        n = read(*(const int *)context, into, room);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return CC_FAIL(IO, "read");
    *ret_len = (size_t)n;
    return CC_OK;
}

static cc_err rewind_file(void *context)
{
    return lseek(*(const int *)context, 0, SEEK_SET) == 0 ? CC_OK : CC_FAIL(IO, "seek");
}

/* What comes through a pipe is kept, since it is read twice. */
static cc_err spool(int *fd)
{
    const char *directory = config.data_dir;
    CC_CLEANUP(fd_closep) int kept = open(directory, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (kept < 0)
        return CC_FAIL(IO, "no temporary file in data_dir");
    static uint8_t chunk[1 << 16];
    for (;;) {
        size_t n;
        CC_TRY(read_file(fd, chunk, sizeof chunk, &n));
        if (n == 0)
            break;
        CC_TRY(fd_write_all(kept, chunk, n));
    }
    CC_TRY(rewind_file(&kept));
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
    return err.code ? say_error(from, err) : EXIT_CODE_DONE;
}

static int report_import(const char *from, const struct interchange_result *result, cc_err err)
{
    const struct slash_import_report *r = &result->report;
    (void)fprintf(stderr, "%.*s", (int)result->messages.len,
                  result->messages.len ? (const char *)result->messages.data : "");
    if (err.code)
        (void)say_error(from, err);
    if (result->faults)
        (void)fprintf(stderr, "Nothing was imported: %u fault(s) in the file.\n", result->faults);
    else
        (void)printf("%llu validators: %llu blocks and %llu attestations added, %llu known before; "
                     "%llu validators contradict themselves and were reduced to watermarks\n",
                     (unsigned long long)r->validators, (unsigned long long)r->blocks,
                     (unsigned long long)r->attestations, (unsigned long long)r->known,
                     (unsigned long long)r->contradictory);
    if (err.code && !result->faults)
        (void)fprintf(stderr, "The import is not complete. It can be repeated.\n");
    return exit_code_of(err);
}

static int import_history(const struct wanted *w)
{
    const char *from = w->from;
    CC_CLEANUP(fd_closep) int fd = -1;
    struct slash_store *store;
    int code = open_input(from, &fd);
    if (code == EXIT_CODE_DONE)
        code = open_history(false, &store);
    if (code != EXIT_CODE_DONE)
        return code;
    struct interchange_result result = {.messages = buf_init(INTERCHANGE_MESSAGES_MAX)};
    const struct interchange_source source = {read_file, rewind_file, &fd};
    cc_err err = interchange_import(store, &source, NULL, 0, &result);
    code = report_import(from, &result, err);
    buf_release(&result.messages);
    slash_store_close(store);
    return code;
}

/* --- export ---------------------------------------------------------------------------------------------- */

static cc_err write_file(void *context, const void *data, size_t len)
{
    return fd_write_all(*(const int *)context, data, len);
}

/* A file appears under its name only when it is complete. */
static cc_err export_to_file(struct slash_store *store, const char *to, uint64_t *ret_count)
{
    char partial[PATH_MAX];
    int n = snprintf(partial, sizeof partial, "%s.%d.partial", to, (int)getpid());
    if (n < 0 || (size_t)n >= sizeof partial)
        return CC_FAIL(LIMIT, "path too long");
    CC_CLEANUP(fd_closep) int fd = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return CC_FAIL(IO, "the file can't be made");
    cc_err err = interchange_export(store, write_file, &fd, NULL, 0, ret_count);
    if (!err.code && fsync(fd) != 0)
        err = CC_FAIL(IO, "fsync");
    if (!err.code && rename(partial, to) != 0)
        err = CC_FAIL(IO, "rename");
    if (err.code)
        (void)unlink(partial);
    return err;
}

static int export_history(const struct wanted *w)
{
    const char *to = w->to;
    struct slash_store *store;
    int code = open_history(false, &store);
    if (code != EXIT_CODE_DONE)
        return code;
    uint64_t count = 0;
    int out = STDOUT_FILENO;
    cc_err err = strcmp(to, "-") == 0 ? interchange_export(store, write_file, &out, NULL, 0, &count)
                                      : export_to_file(store, to, &count);
    slash_store_close(store);
    if (err.code)
        return say_error(to, err);
    (void)fprintf(stderr, "%llu validators exported\n", (unsigned long long)count);
    return EXIT_CODE_DONE;
}

/* --- status ---------------------------------------------------------------------------------------------- */

static void print_hex(const char *label, bool known, const uint8_t *bytes)
{
    char digits[65] = {0};
    hex_encode(bytes, 32, digits);
    (void)printf("%s%s%s\n", label, known ? "0x" : "not fixed yet", known ? digits : "");
}

static void print_json(const struct slash_identity *id, const struct slash_status *s)
{
    char digits[65] = {0};
    hex_encode(id->history_id, 32, digits);
    (void)printf("{\"history_id\":\"0x%s\",", digits);
    hex_encode(id->genesis_validators_root.bytes, 32, digits);
    if (id->has_genesis_validators_root)
        (void)printf("\"genesis_validators_root\":\"0x%s\",", digits);
    if (s->high.set)
        (void)printf("\"high_watermark\":{\"slot\":\"%llu\",\"epoch\":\"%llu\"},",
                     (unsigned long long)s->high.slot, (unsigned long long)s->high.epoch);
    (void)printf("\"validators\":%llu,\"blocks\":%llu,\"attestations\":%llu}\n",
                 (unsigned long long)s->validators, (unsigned long long)s->blocks,
                 (unsigned long long)s->attestations);
}

static void print_text(const struct slash_identity *id, const struct slash_status *s)
{
    (void)printf("path                    %s\n", history_path());
    print_hex("history id              ", true, id->history_id);
    print_hex("genesis validators root ", id->has_genesis_validators_root,
              id->genesis_validators_root.bytes);
    (void)printf("validators              %llu\nblocks                  %llu\n"
                 "attestations            %llu\n",
                 (unsigned long long)s->validators, (unsigned long long)s->blocks,
                 (unsigned long long)s->attestations);
    if (s->high.set)
        (void)printf("high watermark          slot %llu, epoch %llu\n",
                     (unsigned long long)s->high.slot, (unsigned long long)s->high.epoch);
}

static int print_status(const struct wanted *w)
{
    struct slash_store *store;
    struct slash_status status;
    int code = open_history(false, &store);
    if (code != EXIT_CODE_DONE)
        return code;
    cc_err err = slash_status(store, &status);
    if (!err.code)
        (w->json ? print_json : print_text)(&store->identity, &status);
    slash_store_close(store);
    return err.code ? say_error("status", err) : EXIT_CODE_DONE;
}

/* --- repair-watermark ------------------------------------------------------------------------------------ */

/* For a database this is also the word that its timeline is the right one: in that order. */
static int repair(const struct wanted *w)
{
    const uint64_t epoch = w->epoch;
    struct slash_store *store;
    uint64_t count = 0;
    int code = open_history(true, &store);
    if (code != EXIT_CODE_DONE)
        return code;
    const struct slash_watermark low = {
        .has_slot = true,
        .has_epochs = true,
        .slot = u64_add_sat(slash_keep_slots(epoch, stores.network.preset.slots_per_epoch),
                            stores.network.preset.slots_per_epoch - 1),
        .source = epoch,
        .target = epoch,
    };
    cc_err err = slash_raise_all(store, &low, &count);
    if (!err.code && config.anti_slashing.backend == HISTORY_POSTGRES)
        err = slash_postgres_confirm_timeline(store);
    slash_store_close(store);
    if (err.code)
        return say_error("repair-watermark is not complete, and can be repeated", err);
    (void)printf("%llu validators sign nothing up to epoch %llu, slot %llu\n",
                 (unsigned long long)count, (unsigned long long)epoch,
                 (unsigned long long)low.slot);
    return EXIT_CODE_DONE;
}

/* --- migrate ----------------------------------------------------------------------------------------------- */

static int migrate(const struct wanted *w)
{
    const char *grant_to = w->grant_to;
    if (config.anti_slashing.backend != HISTORY_POSTGRES) {
        (void)fprintf(stderr, "containment-chamber slashing: only a database is migrated\n");
        return EXIT_CODE_REFUSED;
    }
    cc_err err = slash_postgres_url_check(config.anti_slashing.url);
    if (!err.code)
        err = slash_postgres_migrate(config.anti_slashing.url, grant_to);
    if (err.code)
        return say_error(history_path(), err);
    (void)printf("the tables are there%s%s\n", grant_to ? ", for the role " : "",
                 grant_to ? grant_to : "");
    return EXIT_CODE_DONE;
}

/* --- hand-over, prune, enable -------------------------------------------------------------------------------- */

/* From the epoch on, this history signs nothing: another cluster does (P7). */
static int hand_over(const struct wanted *w)
{
    struct slash_store *store;
    int code = open_history(false, &store);
    if (code != EXIT_CODE_DONE)
        return code;
    const struct slash_high high = {
        .set = !w->cancel,
        .slot = slash_keep_slots(w->epoch, stores.network.preset.slots_per_epoch),
        .epoch = w->epoch,
    };
    cc_err err = slash_set_high(store, &high);
    slash_store_close(store);
    if (err.code)
        return say_error("hand-over", err);
    if (w->cancel)
        (void)printf("no high watermark: this history signs on\n");
    else
        (void)printf(
            "this history signs nothing from epoch %llu, slot %llu on;\nthe other begins with: "
            "containment-chamber slashing repair-watermark --epoch %llu\n",
            (unsigned long long)w->epoch, (unsigned long long)high.slot,
            (unsigned long long)w->epoch - 1);
    return EXIT_CODE_DONE;
}

static int prune(const struct wanted *w)
{
    struct slash_store *store;
    struct slash_prune_step step = {.more = true};
    uint64_t removed = 0;
    cc_err err = CC_OK;
    int code = open_history(false, &store);
    if (code != EXIT_CODE_DONE)
        return code;
    uint64_t keep = w->keep_epochs ? w->keep_epochs : config.anti_slashing.pruning_keep_epochs;
    while (step.more && !err.code) {
        err = slash_prune(store, keep, stores.network.preset.slots_per_epoch, &step);
        removed += err.code ? 0 : step.removed;
    }
    slash_store_close(store);
    if (err.code)
        return say_error("prune", err);
    (void)printf("%llu records removed, all but the newest %llu epochs of each key\n",
                 (unsigned long long)removed, (unsigned long long)keep);
    return EXIT_CODE_DONE;
}

static int enable(const struct wanted *w)
{
    struct slash_store *store;
    struct eth_pubkey key;
    cc_err err = hex_decode(hex_digits(span_str(w->key)), key.bytes, sizeof key.bytes);
    if (err.code)
        return say_error("--key", err);
    int code = open_history(false, &store);
    if (code != EXIT_CODE_DONE)
        return code;
    err = slash_set_enabled(store, &key, true);
    slash_store_close(store);
    if (err.code)
        return say_error("enable", err);
    (void)printf("enabled; its records and watermarks are what they were\n");
    return EXIT_CODE_DONE;
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
    return read_option(arguments, "--to", "export needs --to FILE, or --to - for standard output",
                       &w->to);
}

static int read_status(struct arguments *arguments, struct wanted *w)
{
    w->json = command_take_switch(arguments, "--json");
    return EXIT_CODE_DONE;
}

static int read_repair(struct arguments *arguments, struct wanted *w)
{
    return read_number(arguments, "--epoch",
                       "repair-watermark needs --epoch N: nothing up to N is signed any more",
                       &w->epoch);
}

static int read_hand_over(struct arguments *arguments, struct wanted *w)
{
    w->cancel = command_take_switch(arguments, "--cancel");
    return w->cancel
               ? EXIT_CODE_DONE
               : read_number(
                     arguments, "--epoch",
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
    {"status", read_status, print_status},    {"repair-watermark", read_repair, repair},
    {"hand-over", read_hand_over, hand_over}, {"prune", read_prune, prune},
    {"enable", read_enable, enable},          {"migrate", read_migrate, migrate},
};

static const struct action *take_action(struct arguments *arguments)
{
    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        if (command_take_switch(arguments, actions[i].name))
            return &actions[i];
    return NULL;
}

int command_slashing(struct arguments *arguments)
{
    struct wanted w = {0};
    const struct action *action = take_action(arguments);
    if (!action)
        return command_usage(
            arguments,
            "import, export, status, repair-watermark, hand-over, prune, enable or migrate?", NULL);
    int code = action->read(arguments, &w);
    if (code == EXIT_CODE_DONE)
        code = command_take_config(arguments, &command);
    if (code == EXIT_CODE_DONE)
        code = command_refuse_rest(arguments);
    if (code == EXIT_CODE_DONE)
        code = command_load_config(&command, &config);
    return code == EXIT_CODE_DONE ? action->run(&w) : code;
}
