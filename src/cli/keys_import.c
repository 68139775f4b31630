#include "cli/keys_import.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"

#include "app/supervisor.h"
#include "cli/foreign_text.h"
#include "cli/json_text.h"
#include "cli/keys_client.h"
#include "cli/progress.h"
#include "keys/eip2335.h"
#include "keys/eip2335_make.h"
#include "keys/filesystem.h"
#include "secret/wipe.h"

enum {
    BODY_MAX = 64 << 20,        /* what a signer takes */
    KEYSTORES_BYTES = 16 << 20, /* a request is sent when it has so much of them */
    HISTORY_MAX = 20 << 20      /* it goes with each request, and grows by being text in JSON */
};

/* One run. */
struct run {
    const struct keys_import *import;
    struct key_files files;
    struct buf history;   /* as a JSON text, its quotation marks with it; empty: none */
    struct buf keystores; /* of the request that is being made: the elements of the two lists */
    struct buf passwords;
    char **sent; /* the names of what is in it */
    size_t sent_count;
    struct progress progress;
    uint64_t taken; /* from a service */
    int code;       /* of the last request */
    uint64_t imported, duplicate, failed;
    uint64_t listed; /* --json: items of the list so far */
};

/* --- what is said ------------------------------------------------------------------------------------------------------ */

static void print_member(const char *name, struct span text)
{
    CC_CLEANUP(buf_release) struct buf out = buf_init(1 << 20);
    if (json_put_text(&out, text).code)
        out.len = 0;
    (void)printf("\"%s\": %.*s", name, (int)out.len, out.len ? (const char *)out.data : "\"\"");
}

static void print_item(
    struct run *run, const char *path, struct span pubkey, struct span status, struct span message)
{
    (void)printf(run->listed++ ? ", {" : "{");
    print_member("file", span_str(path));
    (void)printf(", ");
    print_member("pubkey", pubkey);
    (void)printf(", ");
    print_member("status", status);
    (void)printf(", ");
    print_member("message", message);
    (void)printf("}");
}

static void print_begin(const struct run *run)
{
    if (run->import->json)
        (void)printf("{\"keys\": [");
}

static int print_end(const struct run *run, int code)
{
    const unsigned long long imported = run->imported, duplicate = run->duplicate,
                             failed = run->failed;
    if (run->import->json)
        (void)printf("], \"imported\": %llu, \"duplicate\": %llu, \"failed\": %llu, "
                     "\"complete\": %s}\n",
                     imported, duplicate, failed, code == EXIT_CODE_DONE ? "true" : "false");
    else
        (void)printf("%llu imported, %llu there already, %llu failed\n", imported, duplicate,
                     failed);
    if (fflush(stdout) != 0 || ferror(stdout))
        code = keys_say("what was done", CC_FAIL(IO, "standard output"));
    else if (code != EXIT_CODE_DONE)
        (void)fprintf(stderr, "The import is not complete. It can be repeated.\n");
    else if (run->failed)
        code = EXIT_CODE_FAILED;
    return code;
}

/* What is not sent. `why` "": the error says it. */
static void say_left_out(void *context, const char *name, cc_err err, const char *why)
{
    struct run *run = context;
    CC_CLEANUP(buf_release) struct buf text = buf_init(1 << 12);
    cc_err said = buf_printf(&text, "%s%s%s", error_text(err), why[0] ? ": " : "", why);
    run->failed++;
    progress_end(&run->progress);
    (void)fprintf(stderr, "%s: %.*s\n", name, (int)text.len, (const char *)text.data);
    if (!said.code && run->import->json)
        print_item(run, name, span_str(""), span_str("error"), buf_span(&text));
}

/* --- a keystore and its password -------------------------------------------------------------------------------------- */

static cc_err try_password(const char *path, struct password *ret_password, bool *ret_missing)
{
    struct key_file_facts facts = {0};
    cc_err err = key_password_read(path, false, ret_password, &facts);
    *ret_missing = facts.missing;
    if (!err.code && facts.open_to_others)
        (void)fprintf(stderr, "%s can be read or changed by others: chmod go= it\n", path);
    return err;
}

/* As the signer itself looks for them (keys/load.c). */
static cc_err
find_password(const struct keys_import *import, const char *keystore, struct password *ret_password)
{
    static const char *const suffixes[] = {".txt", ".password"};
    char path[KEY_PATH_MAX];
    bool missing = false;
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        CC_TRY(key_path_of_password(keystore, import->passwords, suffixes[i], path));
        cc_err err = try_password(path, ret_password, &missing);
        if (!missing)
            return err;
    }
    if (import->password_file)
        return try_password(import->password_file, ret_password, &missing);
    return CC_FAIL(PASSWORD_FILE, "there is none for it");
}

static void wipe_password(struct password *password)
{
    wipe(password, sizeof *password);
}

static cc_err put_entry(struct run *run, struct span keystore, struct span password)
{
    const char *comma = run->sent_count ? "," : "";
    CC_TRY(buf_append_str(&run->keystores, comma));
    CC_TRY(json_put_text(&run->keystores, keystore));
    CC_TRY(buf_append_str(&run->passwords, comma));
    return json_put_text(&run->passwords, password);
}

/* Adds it whole, or not at all. */
static cc_err
add_entry(struct run *run, const char *name, struct span keystore, struct span password)
{
    size_t keystores = run->keystores.len, passwords = run->passwords.len;
    char *kept = cc_strdup(name);
    cc_err err = kept ? put_entry(run, keystore, password) : CC_FAIL(NO_MEMORY, NULL);
    if (err.code) {
        run->keystores.len = keystores;
        run->passwords.len = passwords;
        cc_free(kept);
        return err;
    }
    run->sent[run->sent_count++] = kept;
    return CC_OK;
}

static cc_err add_keystore(struct run *run, const char *path)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(EIP2335_TEXT_MAX);
    CC_CLEANUP(wipe_password) struct password password = {0};
    struct key_file_facts facts;
    CC_TRY(key_file_read(path, false, &text, &facts));
    CC_TRY(find_password(run->import, path, &password));
    return add_entry(run, path, buf_span(&text), span_of(password.bytes, password.len));
}

/* --- a request --------------------------------------------------------------------------------------------------------- */

static cc_err make_body(struct run *run, struct buf *out)
{
    CC_TRY(buf_append_str(out, "{\"keystores\":["));
    CC_TRY(buf_append(out, run->keystores.data, run->keystores.len));
    CC_TRY(buf_append_str(out, "],\"passwords\":["));
    CC_TRY(buf_append(out, run->passwords.data, run->passwords.len));
    CC_TRY(buf_append_str(out, "]"));
    if (run->history.len) {
        CC_TRY(buf_append_str(out, ",\"slashing_protection\":"));
        CC_TRY(buf_append(out, run->history.data, run->history.len));
    }
    if (run->import->inactive)
        CC_TRY(buf_append_str(out, ",\"status\":\"inactive\""));
    return buf_append_str(out, "}");
}

static void count(struct run *run, const char *path, struct jval item)
{
    struct span status = keys_text(item, "status");
    struct span message = keys_text(item, "message");
    if (span_is(status, "imported"))
        run->imported++;
    else if (span_is(status, "duplicate"))
        run->duplicate++;
    else
        run->failed++;
    if (run->import->json) {
        print_item(run, path, keys_text(item, "pubkey"), status, message);
    } else if (!span_is(status, "imported") && !span_is(status, "duplicate")) {
        progress_end(&run->progress);
        (void)fprintf(stderr, "%s: ", path);
        foreign_text_print(stderr, message);
        (void)fputc('\n', stderr);
    }
}

static int take_reply(struct run *run, const struct keys_reply *reply)
{
    struct jval_iter items = keys_data(reply);
    struct jval item;
    size_t n = 0;
    while (n < run->sent_count && jval_next(&items, &item))
        count(run, run->sent[n++], item);
    (void)fflush(stdout);
    if (n == run->sent_count)
        return EXIT_CODE_DONE;
    return keys_say("the signer's answer", CC_FAIL(PROTOCOL, "not one item for each keystore"));
}

static void forget(struct run *run)
{
    run->keystores.len = 0;
    if (run->passwords.len)
        wipe(run->passwords.data, run->passwords.len);
    run->passwords.len = 0;
    while (run->sent_count)
        cc_free(run->sent[--run->sent_count]);
}

static int send_request(struct run *run)
{
    CC_CLEANUP(buf_release) struct buf body = buf_init(BODY_MAX);
    struct keys_reply reply;
    if (run->sent_count == 0)
        return EXIT_CODE_DONE;
    cc_err err = make_body(run, &body);
    if (err.code)
        return keys_say("request", err);
    const struct keys_request request = {.signer = run->import->signer,
                                         .method = "POST",
                                         .target = "/api/v1/chamber/keys",
                                         .body = buf_span(&body)};
    int code = keys_ask(&request, &reply);
    if (code == EXIT_CODE_DONE)
        code = take_reply(run, &reply);
    keys_reply_release(&reply);
    forget(run);
    return code;
}

/* --- all of them -------------------------------------------------------------------------------------------------------- */

static int send_when_full(struct run *run)
{
    if (run->sent_count < run->import->items && run->keystores.len < KEYSTORES_BYTES)
        return EXIT_CODE_DONE;
    return send_request(run);
}

static int add_file(struct run *run, size_t index)
{
    const char *path = run->files.items[index].path;
    if (run->files.items[index].kind != KEY_FILE_JSON)
        return EXIT_CODE_DONE;
    cc_err err = add_keystore(run, path);
    if (err.code) {
        say_left_out(run, path, err, error_detail());
        return EXIT_CODE_DONE;
    }
    return send_when_full(run);
}

/* --- keys that another service keeps --------------------------------------------------------------------------------------- */

struct made_password {
    uint8_t text[EIP2335_MADE_PASSWORD];
};

static void made_password_wipep(struct made_password *password)
{
    wipe(password, sizeof *password);
}

static cc_err take_key(void *context, const char *name, const uint8_t secret[static 32])
{
    struct run *run = context;
    CC_CLEANUP(buf_release) struct buf text = buf_init(EIP2335_TEXT_MAX);
    CC_CLEANUP(made_password_wipep) struct made_password password;
    struct eth_pubkey pubkey;
    cc_err err = eip2335_make(secret, password.text, &pubkey, &text);
    if (error_is(err, ERROR_KEY_INVALID)) {
        say_left_out(run, name, err, "");
        return CC_OK;
    }
    CC_TRY(err);
    CC_TRY(add_entry(run, name, buf_span(&text), span_of(password.text, sizeof password.text)));
    progress_at(&run->progress, ++run->taken);
    run->code = send_when_full(run);
    return run->code == EXIT_CODE_DONE ? CC_OK : CC_FAIL(IO, "the signer did not take them");
}

static int add_source(struct run *run)
{
    const struct key_source_sink sink = {take_key, say_left_out, run};
    cc_err err = key_source_read(&run->import->source, &sink);
    progress_end(&run->progress);
    if (run->code != EXIT_CODE_DONE)
        return run->code; /* said already */
    return err.code ? keys_say(run->import->source.kind->name, err) : EXIT_CODE_DONE;
}

static int add_files(struct run *run)
{
    int code = EXIT_CODE_DONE;
    for (size_t i = 0; i < run->files.count && code == EXIT_CODE_DONE; i++) {
        code = add_file(run, i);
        progress_at(&run->progress, i + 1);
    }
    return code;
}

static int read_history(struct run *run)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(HISTORY_MAX);
    if (!run->import->history)
        return EXIT_CODE_DONE;
    cc_err err = file_read(run->import->history, &text);
    if (error_is(err, ERROR_LIMIT))
        err = CC_FAIL(LIMIT, "it is too large to go with each request: `slashing import` it first");
    if (!err.code)
        err = json_put_text(&run->history, buf_span(&text));
    return err.code ? keys_say(run->import->history, err) : EXIT_CODE_DONE;
}

static int import_all(struct run *run)
{
    bool from_source = run->import->source.kind != NULL;
    cc_err err = from_source ? CC_OK : key_files_scan(&run->files, run->import->from_dir);
    if (err.code)
        return keys_say(run->import->from_dir, err);
    run->sent = cc_alloc_array(run->import->items, sizeof *run->sent);
    if (!run->sent)
        return keys_say("import", CC_FAIL(NO_MEMORY, NULL));
    int code = read_history(run);
    progress_begin(&run->progress, "importing", run->files.count,
                   run->import->json ? PROGRESS_NONE : PROGRESS_LINES);
    if (code == EXIT_CODE_DONE)
        code = from_source ? add_source(run) : add_files(run);
    /* What a service gave before it failed is sent all the same. */
    const bool goes_on = from_source ? run->code == EXIT_CODE_DONE : code == EXIT_CODE_DONE;
    const int sent = goes_on ? send_request(run) : EXIT_CODE_DONE;
    progress_end(&run->progress);
    return code == EXIT_CODE_DONE ? sent : code;
}

int keys_import(const struct keys_import *import)
{
    struct run run = {
        .import = import,
        .history = buf_init(BODY_MAX),
        .keystores = buf_init(BODY_MAX),
        .passwords = buf_init(BODY_MAX),
    };
    print_begin(&run);
    const int code = print_end(&run, import_all(&run));
    forget(&run);
    cc_free(run.sent);
    buf_release(&run.history);
    buf_release(&run.keystores);
    buf_release(&run.passwords);
    key_files_release(&run.files);
    return code;
}
