/* `backup`: a copy of a chamber whose stores are files, made while it signs or while it is stopped. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/num.h"

#include "app/listeners.h"
#include "cli/backup_file.h"
#include "cli/command.h"
#include "cli/json_answer.h"
#include "cli/json_object.h"
#include "cli/progress.h"
#include "cli/signer_arguments.h"
#include "cli/slashing_live.h"
#include "codec/hex.h"
#include "core/stores.h"
#include "slash/interchange.h"
#include "sql/sqlite_copy.h"

enum {
    STORE_MAX = 1 << 30,
    DISABLED_MAX = 1 << 27,
    SMALL_MAX = 1 << 16,
    TRIES = 10 /* until state store and key store stand still between two looks */
};

static struct command_config command;
static struct config config;
static struct stores stores; /* too large for the stack */

static int say(const char *what, cc_err err)
{
    (void)fprintf(stderr, "containment-chamber backup: %s: %s%s%s\n", what, error_text(err),
                  error_detail()[0] ? ": " : "", error_detail());
    return supervisor_exit_code(err);
}

static cc_err path_of(const char *name, char ret_path[static PATH_MAX])
{
    int n = snprintf(ret_path, PATH_MAX, "%s/%s", config.data_dir, name);
    return n < 0 || n >= PATH_MAX ? CC_FAIL(LIMIT, "path too long") : CC_OK;
}

static cc_err path_or(const char *configured, const char *name, char ret_path[static PATH_MAX])
{
    if (!configured[0])
        return path_of(name, ret_path);
    (void)snprintf(ret_path, PATH_MAX, "%s", configured);
    return CC_OK;
}

/* --- the parts ----------------------------------------------------------------------------------------------------------- */

struct gathered {
    struct backup backup;
    struct buf bytes[BACKUP_PARTS]; /* all but the history */
    int history;                    /* a file without a name */
    struct span map;                /* its content */
    uint64_t count;                 /* validators in it */
    enum progress_how how;
    struct progress progress;
};

static cc_err gather_file(struct gathered *g, enum backup_part part, const char *name, size_t max)
{
    char path[PATH_MAX];
    CC_TRY(path_of(name, path));
    g->backup.has[part] = access(path, F_OK) == 0;
    g->bytes[part] = buf_init(max);
    return g->backup.has[part] ? file_read(path, &g->bytes[part]) : CC_OK;
}

static cc_err gather_store(struct gathered *g, enum backup_part part, const char *path)
{
    buf_release(&g->bytes[part]);
    g->bytes[part] = buf_init(STORE_MAX);
    g->backup.has[part] = access(path, F_OK) == 0;
    return g->backup.has[part] ? sqlite_copy(path, &g->bytes[part]) : CC_OK;
}

/* The state store vouches for the key store's rows: both have to be of one moment. */
static cc_err gather_stores(struct gathered *g)
{
    char state[PATH_MAX], keys[PATH_MAX];
    CC_TRY(path_of("state.sqlite", state));
    CC_TRY(path_or(config.key_sources.sqlite.path, "keys.sqlite", keys));
    if (access(state, F_OK) != 0)
        return CC_FAIL(NOT_INITIALIZED, "there is no state.sqlite");
    for (int i = 0; i < TRIES; i++) {
        CC_CLEANUP(buf_release) struct buf before = buf_init(STORE_MAX);
        CC_TRY(sqlite_copy(state, &before));
        CC_TRY(gather_store(g, BACKUP_KEYS, keys));
        CC_TRY(gather_store(g, BACKUP_STATE, state));
        if (span_equal(buf_span(&before), buf_span(&g->bytes[BACKUP_STATE])))
            return CC_OK;
    }
    return CC_FAIL(BUSY, "the state store changes all the time: try again");
}

static cc_err write_history(void *context, const void *data, size_t len)
{
    struct gathered *g = context;
    progress_at(&g->progress, g->count);
    return fd_write_all(g->history, data, len);
}

static cc_err map_history(struct gathered *g)
{
    struct stat st;
    if (fstat(g->history, &st) != 0 || st.st_size <= 0)
        return CC_FAIL(IO, "the history's export");
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, g->history, 0);
    if (map == MAP_FAILED)
        return CC_FAIL(IO, "mmap");
    g->map = span_of(map, (size_t)st.st_size);
    g->backup.has[BACKUP_HISTORY] = true;
    return CC_OK;
}

/* --- the history ------------------------------------------------------------------------------------------------------------ */

static cc_err put_if_disabled(void *context, const struct slash_validator *validator)
{
    return validator->enabled ? CC_OK : backup_put_disabled(context, &validator->pubkey);
}

static struct buf *begin_disabled(struct gathered *g)
{
    g->bytes[BACKUP_DISABLED] = buf_init(DISABLED_MAX);
    g->backup.has[BACKUP_DISABLED] = true;
    return &g->bytes[BACKUP_DISABLED];
}

static int history_of_store(struct slash_store *store, struct gathered *g)
{
    struct slash_status status = {0};
    cc_err err = slash_status(store, &status);
    progress_begin(&g->progress, "exporting", status.validators, g->how);
    if (!err.code && status.has_ceiling && !g->backup.has[BACKUP_MIRROR])
        err = CC_FAIL(
            HISTORY_MISSING,
            "history.mirror is missing, which a restore needs: start the signer once, which makes it anew");
    if (!err.code)
        err = interchange_export(store, write_history, g, NULL, 0, &g->count);
    if (!err.code)
        err = slash_visit(store, NULL, put_if_disabled, begin_disabled(g));
    progress_end(&g->progress);
    g->backup.high = status.high;
    return err.code ? say("the history", err) : EXIT_CODE_DONE;
}

static cc_err read_high(const struct json_answer *answer, struct slash_high *ret_high)
{
    struct span epoch, slot;
    const struct jval root = jdoc_root(&answer->doc);
    if (answer->status != 200)
        return CC_FAIL(PROTOCOL, "the signer does not tell its high watermark");
    ret_high->set = json_member_text(root, "epoch", &epoch);
    if (!ret_high->set)
        return CC_OK;
    if (!json_member_text(root, "slot", &slot))
        return CC_FAIL(PROTOCOL, "the signer's high watermark");
    CC_TRY(u64_parse(epoch, &ret_high->epoch));
    return u64_parse(slot, &ret_high->slot);
}

/* Disabled keys and the high watermark last: what is deleted, or handed over, meanwhile is in it. */
static int history_of_signer(const struct signer *signer, struct gathered *g)
{
    struct json_answer answer = {0};
    progress_begin(&g->progress, "exporting", 0, g->how);
    int code = slashing_live_export(signer, write_history, g, &g->count);
    progress_end(&g->progress);
    if (code != EXIT_CODE_DONE)
        return code;
    cc_err err = slashing_live_disabled(signer, backup_put_disabled, begin_disabled(g));
    if (!err.code)
        err = json_ask(signer, "GET", "/api/v1/eth2/highWatermark", span_of("", 0), &answer);
    if (!err.code)
        err = read_high(&answer, &g->backup.high);
    json_answer_release(&answer);
    return err.code ? say(signer->url, err) : EXIT_CODE_DONE;
}

/* By its admin socket, as its owner, unless another way was given. */
static int ask_signer(const struct signer *given, struct gathered *g)
{
    char path[LISTENERS_PATH_SIZE], url[LISTENERS_PATH_SIZE + 8];
    struct signer own = {0};
    if (given->url)
        return history_of_signer(given, g);
    cc_err err = listeners_admin_path(&config, path);
    if (!err.code && !path[0])
        err = CC_FAIL(CONFIG, "a signer runs, and has no admin socket: --signer-url URL");
    (void)snprintf(url, sizeof url, "unix:%s", path);
    if (!err.code)
        err = signer_of_url(url, &own);
    if (err.code)
        return say("the signer", err);
    int code = history_of_signer(&own, g);
    signer_release(&own);
    return code;
}

/* --- together --------------------------------------------------------------------------------------------------------------- */

static int gather(const struct signer *signer, const char *directory, struct gathered *g)
{
    char path[PATH_MAX];
    struct slash_store *store = NULL;
    int holder = 0;
    g->history = open(directory, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (g->history < 0)
        return say(directory, CC_FAIL(IO, "no temporary file there"));
    cc_err err = path_or(config.anti_slashing.path, "history.sqlite", path);
    if (!err.code)
        err = slash_sqlite_open(path, stores.network.production, &store, &holder);
    const bool runs = error_is(err, ERROR_LOCKED);
    if (err.code && !runs)
        return say(path, err);
    /* The history last: what it knows more than state store and mirror does no harm (core/ceiling.h, slash/guard.h). The mirror only
     * grows, so a copy of it is a beginning of it.
     */
    err = gather_file(g, BACKUP_IDENTITY, "identity.pub", SMALL_MAX);
    if (!err.code)
        err = gather_file(g, BACKUP_ENFORCED, "auth.enforced", SMALL_MAX);
    if (!err.code)
        err = gather_file(g, BACKUP_LATCH, "seal.latch", SMALL_MAX);
    if (!err.code)
        err = gather_stores(g);
    if (!err.code)
        err = gather_file(g, BACKUP_MIRROR, "history.mirror", STORE_MAX);
    int code = err.code ? say(config.data_dir, err)
               : runs   ? ask_signer(signer, g)
                        : history_of_store(store, g);
    slash_store_close(store);
    err = code == EXIT_CODE_DONE ? map_history(g) : CC_OK;
    if (err.code)
        return say("the history", err);
    if (code == EXIT_CODE_DONE)
        (void)fprintf(stderr, "%s: %llu validators\n",
                      runs ? "of a running signer" : "of stopped stores",
                      (unsigned long long)g->count);
    return code;
}

static void release(struct gathered *g)
{
    for (size_t i = 0; i < BACKUP_PARTS; i++)
        buf_release(&g->bytes[i]);
    if (g->map.len)
        (void)munmap((void *)(uintptr_t)g->map.data, g->map.len);
    fd_closep(&g->history);
}

/* A file appears under its name only when it is complete. */
static cc_err write_file(struct gathered *g, const char *to)
{
    char partial[PATH_MAX];
    int n = snprintf(partial, sizeof partial, "%s.%d.partial", to, (int)getpid());
    if (n < 0 || (size_t)n >= sizeof partial)
        return CC_FAIL(LIMIT, "path too long");
    for (size_t i = 0; i < BACKUP_PARTS; i++)
        g->backup.parts[i] = i == BACKUP_HISTORY ? g->map : buf_span(&g->bytes[i]);
    g->backup.made = clock_wall_ms() / 1000;
    CC_CLEANUP(fd_closep) int fd = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return CC_FAIL(IO, "the file can't be made");
    cc_err err = backup_write(fd, &g->backup);
    if (!err.code && (fsync(fd) != 0 || link(partial, to) != 0))
        err = errno == EEXIST ? CC_FAIL(EXISTS, "there is a file already")
                              : CC_FAIL(IO, "the file can't be written");
    (void)unlink(partial);
    return err;
}

static int report(const struct backup *b, const char *to, bool json)
{
    char hex[2 * SHA256_SIZE + 1] = "";
    if (json) {
        struct json_object object = json_object_begin();
        json_object_text(&object, "to", to);
        json_object_hex(&object, "digest", span_of(b->digest, sizeof b->digest));
        return json_object_print(&object, "backup", EXIT_CODE_DONE);
    }
    hex_encode(b->digest, sizeof b->digest, hex);
    (void)printf("%s\ndigest 0x%s\n", to, hex);
    (void)fprintf(
        stderr,
        "Keep the digest apart from the file: restore asks for it. chamber.key is not in it: keep a "
        "copy of that elsewhere.\n"
        "Only `restore` makes a chamber of it, and that signs nothing which may have been signed "
        "since.\n");
    return EXIT_CODE_DONE;
}

static void directory_of(const char *path, char ret_directory[static PATH_MAX])
{
    (void)snprintf(ret_directory, PATH_MAX, "%s", path);
    char *slash = strrchr(ret_directory, '/');
    if (!slash)
        (void)snprintf(ret_directory, PATH_MAX, ".");
    else
        slash[slash == ret_directory] = 0;
}

static int run(const struct signer *signer, const char *to, bool json)
{
    char directory[PATH_MAX];
    struct gathered g = {.history = -1, .how = json ? PROGRESS_NONE : PROGRESS_BAR};
    if (config.anti_slashing.backend != HISTORY_SQLITE ||
        config.signer_state.backend != STATE_SQLITE) {
        (void)fprintf(
            stderr, "containment-chamber backup: only a chamber whose history and state "
                    "store are files is copied: a database has its own backups; "
                    "`containment-chamber slashing export -c FILE --to FILE` writes its history\n");
        return EXIT_CODE_REFUSED;
    }
    if (access(to, F_OK) == 0) {
        (void)fprintf(
            stderr, "containment-chamber backup: %s is there already: --to with a new name\n", to);
        return EXIT_CODE_REFUSED;
    }
    cc_err err = stores_load_config(&config, &stores);
    if (err.code)
        return say("configuration", err);
    directory_of(to, directory);
    int code = gather(signer, directory, &g);
    if (code == EXIT_CODE_DONE) {
        err = write_file(&g, to);
        code = err.code ? say(to, err) : report(&g.backup, to, json);
    }
    release(&g);
    return code;
}

int command_backup(struct arguments *arguments)
{
    const char *to = NULL;
    struct signer signer = {0};
    const bool json = command_take_switch(arguments, "--json");
    int code = command_take_value(arguments, "--to", &to);
    if (code == EXIT_CODE_DONE && !to)
        code = command_usage(arguments, "needs --to FILE", NULL);
    if (code == EXIT_CODE_DONE)
        code = command_take_signer(arguments, &signer);
    if (code == EXIT_CODE_DONE)
        code = command_take_config(arguments, &command);
    if (code == EXIT_CODE_DONE)
        code = command_refuse_rest(arguments);
    if (code == EXIT_CODE_DONE)
        code = command_load_config(&command, &config);
    if (code == EXIT_CODE_DONE)
        code = run(&signer, to, json);
    signer_release(&signer);
    return code;
}
