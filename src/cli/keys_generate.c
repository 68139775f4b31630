#include "cli/keys_generate.h"

#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/num.h"

#include "app/supervisor.h"
#include "cli/progress.h"
#include "codec/hex.h"
#include "crypto/bls.h"

enum {
    BODY_MAX = 4096,
    BACKUP_MAX = 1 << 16,
    PATH_BYTES_MAX = 4096,
    ENTRY_MAX = 4096,
    NETWORK_NAME_MAX = 64
};

/* One run. */
struct run {
    const struct keys_generate *generate;
    struct deposit_file file;
    struct progress progress;
    uint64_t made, failed;
    size_t requests;
};

static cc_err put_body(const struct keys_generate *g, uint64_t count, struct buf *out)
{
    CC_TRY(buf_printf(out, "{\"count\":%llu,\"status\":\"%s\"", (unsigned long long)count,
                      g->inactive ? "inactive" : "active"));
    if (g->terms.is_set) {
        CC_TRY(buf_append_str(out, ",\"withdrawal_address\":\""));
        CC_TRY(hex_append(out, &g->terms.address, sizeof g->terms.address));
        CC_TRY(buf_printf(out, "\",\"compounding\":%s,\"amount_gwei\":\"%llu\"",
                          g->terms.compounding ? "true" : "false",
                          (unsigned long long)g->terms.amount));
    }
    return buf_append_str(out, "}");
}

/* --- what comes back ---------------------------------------------------------------------------------------------- */

static int keep_backup(struct run *run, const struct keys_reply *reply)
{
    CC_CLEANUP(buf_release) struct buf path = buf_init(PATH_BYTES_MAX);
    struct span backup = keys_text(jdoc_root(&reply->doc), "backup");
    bool several = run->generate->count > run->generate->items;
    if (!backup.len)
        return keys_say("the backup", CC_FAIL(PROTOCOL, "there is none: delete these keys"));
    cc_err err =
        deposit_file_path(&run->file, "mnemonic", several ? run->requests : 0, ".age", &path);
    if (!err.code)
        err = file_write_durable((const char *)path.data, backup, true);
    progress_end(&run->progress);
    if (err.code) {
        if (!run->generate->json) /* else it is in the answer */
            (void)printf("%.*s", (int)backup.len, (const char *)backup.data);
        return keys_say("the backup, which is printed instead", err);
    }
    if (!run->generate->json)
        (void)printf("backup: %s\n", (const char *)path.data);
    return EXIT_CODE_DONE;
}

/* Names need no escaping here, or are none. */
static cc_err read_name(struct jval object, const char *name, char *ret_text, size_t room)
{
    struct span text = keys_text(object, name);
    if (!text.len || text.len >= room)
        return CC_FAIL(PROTOCOL, "the name of the network");
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~' || text.data[i] == '"' ||
            text.data[i] == '\\')
            return CC_FAIL(PROTOCOL, "the name of the network");
    memcpy(ret_text, text.data, text.len);
    ret_text[text.len] = 0;
    return CC_OK;
}

static cc_err read_bytes(struct jval object, const char *name, void *ret, size_t len)
{
    if (hex_decode(hex_digits(keys_text(object, name)), ret, len).code)
        return CC_FAIL(PROTOCOL, "hex of a deposit");
    return CC_OK;
}

/* Of the answer only what is signed is believed, under the terms that were asked for: a signer that has another address in its deposits
 * gets none of them into the file.
 */
static cc_err keep_deposit(struct run *run, struct jval item, struct jval data)
{
    CC_CLEANUP(buf_release) struct buf entry = buf_init(ENTRY_MAX);
    struct deposit deposit = {.withdrawal_credentials = run->generate->terms.credentials,
                              .amount = run->generate->terms.amount};
    struct eth_signature signature;
    struct eth_version version;
    char network[NETWORK_NAME_MAX];
    CC_TRY(read_bytes(item, "pubkey", &deposit.pubkey, sizeof deposit.pubkey));
    CC_TRY(read_bytes(data, "signature", &signature, sizeof signature));
    CC_TRY(read_bytes(data, "fork_version", &version, sizeof version));
    CC_TRY(read_name(data, "network_name", network, sizeof network));
    const struct signing_root root = deposit_signing_root(&deposit, &version);
    CC_TRY(bls_verify(deposit.pubkey.bytes, root.bytes, signature.bytes));
    CC_TRY(deposit_append_json(&deposit, &signature, &version, network, &entry));
    return deposit_file_add(&run->file, buf_span(&entry));
}

static void say_failed(struct run *run, struct jval item)
{
    struct span path = keys_text(item, "path");
    struct span message = keys_text(item, "message");
    run->failed++;
    progress_end(&run->progress);
    (void)fprintf(stderr, "%.*s: %.*s\n", (int)path.len, (const char *)path.data, (int)message.len,
                  (const char *)message.data);
}

static int take_item(struct run *run, struct jval item)
{
    struct span key = keys_text(item, "pubkey");
    struct span path = keys_text(item, "path");
    struct jval deposit;
    if (!span_is(keys_text(item, "status"), "generated")) {
        say_failed(run, item);
        return EXIT_CODE_DONE;
    }
    run->made++;
    if (!run->generate->json)
        (void)printf("%.*s %.*s\n", (int)key.len, (const char *)key.data, (int)path.len,
                     (const char *)path.data);
    if (!run->generate->terms.is_set)
        return EXIT_CODE_DONE;
    cc_err err = jval_member(item, "deposit_data", &deposit)
                     ? keep_deposit(run, item, deposit)
                     : CC_FAIL(PROTOCOL, "a key without its deposit");
    return err.code ? keys_say("the deposit data", err) : EXIT_CODE_DONE;
}

static int take_reply(struct run *run, const struct keys_reply *reply)
{
    struct jval_iter items = keys_data(reply);
    struct jval item;
    int code = keep_backup(run, reply);
    while (jval_next(&items, &item)) {
        int one = take_item(run, item);
        code = code == EXIT_CODE_DONE ? one : code;
    }
    return code;
}

/* --- all of them ---------------------------------------------------------------------------------------------------- */

static int ask_for(struct run *run, uint64_t count)
{
    CC_CLEANUP(buf_release) struct buf body = buf_init(BODY_MAX);
    struct keys_reply reply;
    cc_err err = put_body(run->generate, count, &body);
    if (err.code)
        return keys_say("request", err);
    const struct keys_request request = {.signer = run->generate->signer,
                                         .method = "POST",
                                         .target = "/api/v1/chamber/keys/generate",
                                         .body = buf_span(&body),
                                         .print = run->generate->json,
                                         .lead = run->requests ? ", " : NULL};
    run->requests++;
    int code = keys_ask(&request, &reply);
    if (code == EXIT_CODE_DONE)
        code = take_reply(run, &reply);
    keys_reply_release(&reply);
    return code;
}

static int generate_all(struct run *run)
{
    const struct keys_generate *g = run->generate;
    int code = EXIT_CODE_DONE;
    progress_begin(&run->progress, "generating", g->count,
                   g->json ? PROGRESS_NONE : PROGRESS_LINES);
    for (uint64_t done = 0; done < g->count && code == EXIT_CODE_DONE;) {
        const uint64_t n = u64_min(g->items, g->count - done);
        code = ask_for(run, n);
        done += n;
        progress_at(&run->progress, done);
    }
    progress_end(&run->progress);
    return code;
}

int keys_generate(const struct keys_generate *generate)
{
    struct run run = {.generate = generate};
    int code = deposit_file_begin(&run.file, generate->directory);
    if (code == EXIT_CODE_DONE) {
        (void)printf("%s", generate->json ? "{\"answers\": [" : "");
        code = generate_all(&run);
        (void)printf("%s", generate->json ? "]}\n" : "");
        int written = deposit_file_write(&run.file, generate->json);
        code = code == EXIT_CODE_DONE ? written : code;
        if (!generate->json)
            (void)printf("%llu generated, %llu failed\n", (unsigned long long)run.made,
                         (unsigned long long)run.failed);
    }
    deposit_file_release(&run.file);
    return code == EXIT_CODE_DONE && run.failed ? EXIT_CODE_FAILED : code;
}
