/* `restore`: a chamber out of a backup, which signs nothing that may have been signed since the backup was made. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/num.h"

#include "app/datadir.h"
#include "app/privilege.h"
#include "cli/backup_file.h"
#include "cli/command.h"
#include "cli/json_object.h"
#include "cli/order_send.h"
#include "cli/progress.h"
#include "codec/hex.h"
#include "core/ceiling.h"
#include "core/order.h"
#include "core/quarantine.h"
#include "core/stores.h"
#include "slash/interchange.h"

enum {
    MARGIN_EPOCHS = 1 /* the lost machine's clock may have been ahead of this one's */
};

static const char no_digest[] = "none";

static struct command_config command;
static struct config config;
static struct stores stores; /* too large for the stack */

/* What the arguments say. */
struct wanted {
    const char *from, *chamber_key, *digest;
    bool has_epoch, json;
    uint64_t epoch;
};

static int say(const char *what, cc_err err)
{
    (void)fprintf(stderr, "containment-chamber restore: %s: %s%s%s\n", what, error_text(err),
                  error_detail()[0] ? ": " : "", error_detail());
    int code = supervisor_exit_code(err);
    return code == EXIT_CODE_FAILED && error_class(err) == CLASS_INPUT ? EXIT_CODE_REFUSED : code;
}

/* --- up to which epoch something may have been signed ------------------------------------------------------------------------ */

/* The newest epoch of anything that a signer whose clock agrees with this one signs by now; false: it isn't known. */
static bool signed_by_now(uint64_t *ret_epoch)
{
    uint64_t now;
    if (!quarantine_epoch(&stores.network, clock_wall_ms(), &now))
        return false;
    *ret_epoch = u64_add_sat(now, config.anti_slashing.max_future_epochs);
    return true;
}

/* N is only as good as the clock that it was told by, so both are shown. In a container, or without a time service that tells the
 * kernel, nobody knows whether it is right: then a person has to.
 */
static void say_clock(uint64_t newest)
{
    char text[32] = "";
    struct tm utc;
    struct timex kernel = {0};
    const time_t now = (time_t)(clock_wall_ms() / 1000);
    const bool keeps_time = adjtimex(&kernel) >= 0 && !(kernel.status & STA_UNSYNC);
    if (gmtime_r(&now, &utc))
        (void)strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &utc);
    (void)fprintf(
        stderr,
        "containment-chamber restore: by this machine's clock it is %s, and epoch %" PRIu64
        " may have been signed by now\n",
        text, newest);
    if (!keeps_time)
        (void)fprintf(
            stderr,
            "containment-chamber restore: nothing is known to set this clock. If it is slow, what was "
            "signed since can be signed again: look whether that is the time,\nor empty the data "
            "directory and give --epoch N, at or after every target that may have been signed\n");
}

static int choose_epoch(const struct wanted *w, const struct backup *b, uint64_t *ret_epoch)
{
    uint64_t newest = 0;
    const bool known = signed_by_now(&newest);
    if (clock_wall_ms() / 1000 < b->made) {
        (void)fprintf(stderr, "containment-chamber restore: the backup was made later than this "
                              "machine's clock says it is: set the clock\n");
        return EXIT_CODE_REFUSED;
    }
    if (!known && !w->has_epoch) {
        (void)fprintf(stderr,
                      "containment-chamber restore: the network's genesis time isn't known, and so "
                      "not what may have been signed since the backup:\n"
                      "--epoch N, at or after every target that may have been signed, or set "
                      "genesis_time to what the lost signer's network had, and nothing else\n");
        return EXIT_CODE_REFUSED;
    }
    if (known && w->has_epoch && w->epoch < newest) {
        (void)fprintf(stderr,
                      "containment-chamber restore: epoch %" PRIu64 " may have been signed by now: "
                      "--epoch can't be lower\n",
                      newest);
        return EXIT_CODE_REFUSED;
    }
    if (known && !w->has_epoch)
        say_clock(newest);
    *ret_epoch = w->has_epoch ? w->epoch : u64_add_sat(newest, MARGIN_EPOCHS);
    return EXIT_CODE_DONE;
}

/* --- files --------------------------------------------------------------------------------------------------------------------- */

static cc_err path_or(const char *configured, const char *name, char ret_path[static PATH_MAX])
{
    int n = configured[0] ? snprintf(ret_path, PATH_MAX, "%s", configured)
                          : snprintf(ret_path, PATH_MAX, "%s/%s", config.data_dir, name);
    return n < 0 || n >= PATH_MAX ? CC_FAIL(LIMIT, "path too long") : CC_OK;
}

/* The core's, where rooms have users of their own. */
static cc_err
write_part(const struct backup *b, enum backup_part part, const char *configured, const char *name)
{
    char path[PATH_MAX];
    if (!b->has[part])
        return CC_OK;
    CC_TRY(path_or(configured, name, path));
    CC_TRY(file_write_durable(path, b->parts[part], true));
    const uid_t core = privilege_uid(ROOM_CORE);
    return privilege_separates() && lchown(path, core, core) != 0
               ? CC_FAIL(SYSTEM, "chown of a restored file")
               : CC_OK;
}

static cc_err write_parts(const struct backup *b)
{
    CC_TRY(write_part(b, BACKUP_IDENTITY, "", "identity.pub"));
    CC_TRY(write_part(b, BACKUP_STATE, "", "state.sqlite"));
    CC_TRY(write_part(b, BACKUP_KEYS, config.key_sources.sqlite.path, "keys.sqlite"));
    CC_TRY(write_part(b, BACKUP_ENFORCED, "", "auth.enforced"));
    CC_TRY(write_part(b, BACKUP_LATCH, "", "seal.latch"));
    return write_part(b, BACKUP_MIRROR, "", "history.mirror");
}

/* --- the state store, and whose history it is -------------------------------------------------------------------------------------- */

static cc_err identity_of_state(struct state_store *state,
                                const struct state_pin *pin,
                                struct slash_identity *ret_identity)
{
    const struct state_record *record = state_find(state, "history", "identity");
    struct history_record history;
    if (!record)
        return CC_FAIL(TAMPERED, "the state store names no history");
    CC_TRY(history_record_decode(span_of(record->bytes, record->len), &history));
    *ret_identity =
        (struct slash_identity){.genesis_validators_root = history.genesis_validators_root,
                                .has_genesis_validators_root = history.has_genesis_validators_root};
    memcpy(ret_identity->history_id, history.history_id, sizeof history.history_id);
    memcpy(ret_identity->proof, history.proof, sizeof history.proof);
    memcpy(ret_identity->chamber_id, pin->chamber_id, sizeof pin->chamber_id);
    return CC_OK;
}

/* It vouches for the history's records: a signer that has recorded any has made it before. */
static cc_err check_mirror(const struct state_store *state, const struct backup *b)
{
    struct ceiling ceiling;
    bool there = false;
    CC_TRY(ceiling_read(state, &there, &ceiling));
    return there && !b->has[BACKUP_MIRROR]
               ? CC_FAIL(TAMPERED, "the history's mirror was taken out of the backup")
               : CC_OK;
}

/* Verifies all of it by identity.pub, and makes state.seen. */
static cc_err look_at_state(const struct backup *b, struct slash_identity *ret_identity)
{
    char path[PATH_MAX], seen[PATH_MAX];
    struct state_pin pin;
    struct state_fault fault = {0};
    struct state_store *state = NULL;
    CC_TRY(path_or("", "state.sqlite", path));
    CC_TRY(path_or("", "state.seen", seen));
    CC_TRY(pin_parse(b->parts[BACKUP_IDENTITY], &pin));
    CC_TRY(state_sqlite_open(path, &state));
    cc_err err = state_open_joined(state, &pin, seen, &fault);
    if (!err.code)
        err = check_mirror(state, b);
    if (!err.code)
        err = identity_of_state(state, &pin, ret_identity);
    state_store_close(state);
    return err;
}

/* --- the history ------------------------------------------------------------------------------------------------------------------------- */

/* It is read twice. */
struct reader {
    struct span bytes;
    size_t at;
    enum progress_how how;
    struct progress progress;
};

static cc_err read_some(void *context, void *into, size_t room, size_t *ret_len)
{
    struct reader *r = context;
    const size_t left = r->bytes.len - r->at;
    *ret_len = left < room ? left : room;
    memcpy(into, r->bytes.data + r->at, *ret_len);
    r->at += *ret_len;
    progress_at(&r->progress, r->at);
    return CC_OK;
}

static cc_err rewind_reader(void *context)
{
    struct reader *r = context;
    progress_end(&r->progress);
    progress_begin(&r->progress, "restoring", r->bytes.len, r->how);
    r->at = 0;
    return CC_OK;
}

static cc_err note_newest(void *context, const struct slash_validator *v)
{
    uint64_t *newest = context;
    const uint64_t slots = stores.network.preset.slots_per_epoch;
    if (v->low.has_slot)
        *newest = u64_max(*newest, v->low.slot / slots);
    if (v->low.has_epochs)
        *newest = u64_max(*newest, v->low.target);
    for (size_t i = 0; i < v->block_count; i++)
        *newest = u64_max(*newest, v->blocks[i].slot / slots);
    for (size_t i = 0; i < v->attestation_count; i++)
        *newest = u64_max(*newest, v->attestations[i].target);
    return CC_OK;
}

/* What the backup itself knows must lie below, or the number is a slip. */
static cc_err check_newest(struct slash_store *history, uint64_t epoch)
{
    uint64_t newest = 0;
    CC_TRY(slash_visit(history, NULL, note_newest, &newest));
    if (newest <= epoch)
        return CC_OK;
    (void)fprintf(stderr,
                  "containment-chamber restore: the backup itself has records of epoch %" PRIu64
                  ": --epoch has to lie at or after it\n",
                  newest);
    return CC_FAIL(CONFIG, "the epoch is lower than what the backup has");
}

/* An interchange does not say that a key was deleted. */
static cc_err bury_disabled(struct slash_store *history, struct span part)
{
    while (part.len) {
        struct eth_pubkey pubkey;
        CC_TRY(backup_take_disabled(&part, &pubkey));
        /* It may have been deleted, before it ever signed, after the list of all was made. */
        CC_TRY(slash_register_keys(history, &pubkey, 1, NULL));
        CC_TRY(slash_set_enabled(history, &pubkey, false));
    }
    return CC_OK;
}

static cc_err fill_history(struct slash_store *history,
                           const struct backup *b,
                           uint64_t epoch,
                           enum progress_how how)
{
    struct reader reader = {.bytes = b->parts[BACKUP_HISTORY], .how = how};
    const struct interchange_source source = {read_some, rewind_reader, &reader};
    struct interchange_result result = {.messages = buf_init(INTERCHANGE_MESSAGES_MAX)};
    progress_begin(&reader.progress, "checking", reader.bytes.len, how);
    cc_err err = interchange_import(history, &source, NULL, &result);
    progress_end(&reader.progress);
    buf_release(&result.messages);
    CC_TRY(err);
    CC_TRY(check_newest(history, epoch));
    CC_TRY(bury_disabled(history, b->parts[BACKUP_DISABLED]));
    return b->high.set ? slash_set_high(history, &b->high) : CC_OK;
}

static cc_err make_history(const struct backup *b, uint64_t epoch, enum progress_how how)
{
    char path[PATH_MAX];
    struct slash_identity identity;
    struct slash_store *history = NULL;
    int holder = 0;
    CC_TRY(look_at_state(b, &identity));
    CC_TRY(path_or(config.anti_slashing.path, "history.sqlite", path));
    CC_TRY(slash_sqlite_create(path, stores.network.production, &identity));
    CC_TRY(slash_sqlite_open(path, stores.network.production, &history, &holder));
    cc_err err = fill_history(history, b, epoch, how);
    slash_store_close(history);
    const uid_t core = privilege_uid(ROOM_CORE);
    if (!err.code && privilege_separates() && lchown(path, core, core) != 0)
        err = CC_FAIL(SYSTEM, "chown of the history");
    return err;
}

/* --- together ------------------------------------------------------------------------------------------------------------------------------ */

/* Vault and core raise the watermarks, those of keys that come later too: the state store says so under the vault's signature. */
static int raise_watermarks(uint64_t epoch, struct buf *report)
{
    char order[64];
    int n = snprintf(order, sizeof order, "restore %" PRIu64, epoch);
    return order_send(&command.source, &config, span_of(order, (size_t)n), NULL, report);
}

static int
make_chamber(const struct backup *b, uint64_t epoch, enum progress_how how, struct buf *report)
{
    cc_err err = write_parts(b);
    if (!err.code)
        err = make_history(b, epoch, how);
    if (err.code)
        return say("nothing is restored", err);
    int code = raise_watermarks(epoch, report);
    if (code != EXIT_CODE_DONE)
        return code;
    err = datadir_end_restore(&config);
    return err.code ? say(config.data_dir, err) : EXIT_CODE_DONE;
}

static cc_err put_what_is_left(const struct backup *b, struct buf *report)
{
    if (b->high.set)
        CC_TRY(buf_printf(report, "duties were handed over at epoch %" PRIu64 ": that stands\n",
                          b->high.epoch));
    else
        CC_TRY(buf_append_str(
            report,
            "no duties were handed over when the backup was made: if they were since, say so again before the "
            "start: slashing hand-over\n"));
    return buf_append_str(
        report,
        "all keys are paused: policies, tokens, keys and pauses are those of the backup. Make sure that the machine it "
        "comes from can't come\nback, start the server, delete and revoke again what was deleted or revoked since, and "
        "then: keys resume --all\n");
}

static int print_restored(const struct wanted *w,
                          const struct backup *b,
                          uint64_t epoch,
                          const struct buf *report)
{
    if (!w->json)
        return order_print("restore", report, false);
    struct json_object object = json_object_begin();
    json_object_text(&object, "data_dir", config.data_dir);
    json_object_time(&object, "epoch", epoch);
    json_object_flag(&object, "handed_over", b->high.set);
    json_object_lines(&object, "report", buf_span(report));
    return json_object_print(&object, "restore", EXIT_CODE_DONE);
}

static int restore(const struct wanted *w, const struct backup *b)
{
    CC_CLEANUP(buf_release) struct buf report = buf_init(2 * ORDER_TEXT_MAX);
    uint64_t epoch = 0;
    int code = choose_epoch(w, b, &epoch);
    if (code != EXIT_CODE_DONE)
        return code;
    cc_err err = datadir_begin_restore(&config, w->chamber_key);
    if (err.code)
        return say(config.data_dir, err);
    code = make_chamber(b, epoch, w->json ? PROGRESS_NONE : PROGRESS_BAR, &report);
    if (code != EXIT_CODE_DONE) {
        datadir_undo_restore(&config);
        return code;
    }
    err = put_what_is_left(b, &report);
    return err.code ? say(config.data_dir, err) : print_restored(w, b, epoch, &report);
}

/* The stores' signatures and the mirror's MAC vouch for most of a backup, and for these not. */
static cc_err say_what_is_trusted(void)
{
    (void)fprintf(
        stderr,
        "containment-chamber restore: without its digest the file is trusted in this: which keys are "
        "deleted, whether duties were handed over,\nand that it is the newest backup. Whoever could "
        "write to it may have changed that.\n");
    return CC_OK;
}

static cc_err check_digest(const struct wanted *w, const struct backup *b)
{
    uint8_t digest[SHA256_SIZE];
    if (strcmp(w->digest, no_digest) == 0)
        return say_what_is_trusted();
    CC_TRY(hex_decode(hex_digits(span_str(w->digest)), digest, sizeof digest));
    return span_equal(span_of(digest, sizeof digest), span_of(b->digest, sizeof b->digest))
               ? CC_OK
               : CC_FAIL(TAMPERED, "another digest than the one given: another backup, or changed");
}

static int read_and_restore(const struct wanted *w, struct span bytes)
{
    struct backup backup;
    cc_err err = backup_read(bytes, &backup);
    if (!err.code)
        err = check_digest(w, &backup);
    if (!err.code)
        err = stores_load_config(&config, &stores);
    return err.code ? say(w->from, err) : restore(w, &backup);
}

/* A copy: what is checked is what is used, whoever writes to the file or cuts it meanwhile. */
static cc_err read_whole(int fd, uint8_t *into, size_t size)
{
    size_t at = 0;
    while (at < size) {
        ssize_t n = read(fd, into + at, size - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return CC_FAIL(IO, "it can't be read");
        if (n == 0)
            return CC_FAIL(TAMPERED, "it was cut while it was read");
        at += (size_t)n;
    }
    return CC_OK;
}

static int run(const struct wanted *w)
{
    struct stat st;
    if (config.anti_slashing.backend != HISTORY_SQLITE ||
        config.signer_state.backend != STATE_SQLITE) {
        (void)fprintf(
            stderr, "containment-chamber restore: only a chamber whose history and state "
                    "store are files is restored from a file; behind a database's own "
                    "restore: `containment-chamber slashing repair-watermark --epoch N -c FILE`\n");
        return EXIT_CODE_REFUSED;
    }
    CC_CLEANUP(fd_closep) int fd = open(w->from, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) != 0)
        return say(w->from, CC_FAIL(IO, "it can't be read"));
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        return say(w->from, CC_FAIL(TAMPERED, "no file, or an empty one"));
    const size_t size = (size_t)st.st_size;
    void *copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (copy == MAP_FAILED)
        return say(w->from, CC_FAIL(NO_MEMORY, "a copy of the file"));
    cc_err err = read_whole(fd, copy, size);
    int code = err.code ? say(w->from, err) : read_and_restore(w, span_of(copy, size));
    (void)munmap(copy, size);
    return code;
}

static int take_wanted(struct arguments *arguments, struct wanted *w)
{
    const char *epoch = NULL;
    w->json = command_take_switch(arguments, "--json");
    int code = command_take_value(arguments, "--from", &w->from);
    if (code == EXIT_CODE_DONE && !w->from)
        code = command_usage(arguments, "needs --from FILE, a backup", NULL);
    if (code == EXIT_CODE_DONE)
        code = command_take_value(arguments, "--chamber-key", &w->chamber_key);
    if (code == EXIT_CODE_DONE && !w->chamber_key)
        code = command_usage(arguments, "needs --chamber-key FILE, which no backup holds", NULL);
    if (code == EXIT_CODE_DONE)
        code = command_take_value(arguments, "--digest", &w->digest);
    if (code == EXIT_CODE_DONE && !w->digest)
        code = command_usage(arguments,
                             "needs --digest 0xHEX, which backup printed, or --digest none", NULL);
    if (code == EXIT_CODE_DONE)
        code = command_take_value(arguments, "--epoch", &epoch);
    w->has_epoch = epoch != NULL;
    if (code == EXIT_CODE_DONE && epoch &&
        (u64_parse(span_str(epoch), &w->epoch).code || w->epoch == 0))
        code = command_usage(arguments, "not an epoch", "--epoch");
    return code;
}

int command_restore(struct arguments *arguments)
{
    struct wanted w = {0};
    int code = take_wanted(arguments, &w);
    if (code == EXIT_CODE_DONE)
        code = command_take_config(arguments, &command);
    if (code == EXIT_CODE_DONE)
        code = command_refuse_rest(arguments);
    if (code == EXIT_CODE_DONE)
        code = command_load_config(&command, &config);
    return code == EXIT_CODE_DONE ? run(&w) : code;
}
