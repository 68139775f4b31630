#include "cli/migrate_try.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

#include "cli/foreign_text.h"
#include "cli/json_answer.h"
#include "cli/own_signer.h"
#include "cli/progress.h"
#include "codec/hex.h"
#include "crypto/bls.h"
#include "eth/request_json.h"
#include "eth/signing_root.h"

enum {
    ANSWER_MAX = 1 << 24,
    YAML_MAX = 1 << 18,
    BODY_MAX = 1024,
    NAME_SIZE = 98 /* a public key as 0x and hex */
};

/* One trial. */
struct trial {
    const struct migrate_try *wanted;
    struct migrate_tried *tried;
    struct own_signer own;
    char url[64];
    struct signer signer, reference;
    char body[BODY_MAX]; /* what each key is asked to sign */
    struct signing_root root;
    struct buf keys, theirs; /* names, one behind another */
};

/* --- the message --------------------------------------------------------------------------------------- */

static cc_err make_message(struct trial *t)
{
    static struct sign_request request;
    struct signing_parts parts;
    const struct eth_pubkey nobody = {0};
    char version[9] = {0}, root[65] = {0};
    uint8_t text[BODY_MAX];
    hex_encode(&t->wanted->network->forks[FORK_PHASE0].version, 4, version);
    hex_encode(t->wanted->genesis_validators_root, 32, root);
    int n = snprintf(
        t->body, sizeof t->body,
        "{\"type\":\"AGGREGATION_SLOT\",\"fork_info\":{\"fork\":{\"previous_version\":\"0x%s\","
        "\"current_version\":\"0x%s\",\"epoch\":\"0\"},\"genesis_validators_root\":\"0x%s\"},"
        "\"aggregation_slot\":{\"slot\":\"0\"}}",
        version, version, root);
    cc_assert(n > 0 && (size_t)n < sizeof t->body);
    memcpy(text, t->body, (size_t)n); /* the reader changes it */
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(64);
    CC_TRY(sign_request_parse(&doc, t->wanted->network, text, (size_t)n, &nobody, &request));
    return signing_root_compute(t->wanted->network, &request, &parts, &t->root);
}

/* --- the lists of keys ---------------------------------------------------------------------------------------- */

static int order(const void *a, const void *b)
{
    return strncmp(a, b, NAME_SIZE);
}

static cc_err read_keys(const struct signer *signer, struct buf *ret_names)
{
    CC_CLEANUP(json_answer_release) struct json_answer answer = {0};
    CC_TRY(json_ask(signer, "GET", "/api/v1/eth2/publicKeys", (struct span){0}, &answer));
    if (answer.status != 200)
        return CC_FAIL(PROTOCOL, "the list of public keys is not to be had");
    struct jval_iter iter = jval_iterate(jdoc_root(&answer.doc));
    struct jval value;
    while (jval_next(&iter, &value)) {
        struct span name;
        uint8_t bytes[48];
        CC_TRY(jval_text(value, &name));
        if (name.len != NAME_SIZE || hex_decode(name, bytes, sizeof bytes).code)
            return CC_FAIL(PROTOCOL, "the list of public keys");
        CC_TRY(buf_append(ret_names, name.data, name.len));
    }
    if (ret_names->len)
        qsort(ret_names->data, ret_names->len / NAME_SIZE, NAME_SIZE, order);
    return CC_OK;
}

static bool has(const struct buf *names, const uint8_t *name)
{
    return names->len && bsearch(name, names->data, names->len / NAME_SIZE, NAME_SIZE, order);
}

static void compare_lists(struct trial *t)
{
    for (size_t at = 0; at < t->theirs.len; at += NAME_SIZE) {
        if (has(&t->keys, t->theirs.data + at))
            continue;
        t->tried->missing++;
        (void)fprintf(stderr, "%.*s: the other signer has it, and the key files don't\n", NAME_SIZE,
                      (const char *)t->theirs.data + at);
    }
    for (size_t at = 0; at < t->keys.len; at += NAME_SIZE)
        t->tried->more += !has(&t->theirs, t->keys.data + at);
}

/* --- a signature ------------------------------------------------------------------------------------------------ */

struct signature {
    uint8_t bytes[BLS_SIGNATURE_SIZE];
};

static cc_err
sign(struct trial *t, const struct signer *signer, const uint8_t *name, struct signature *ret)
{
    char target[32 + NAME_SIZE];
    CC_CLEANUP(json_answer_release) struct json_answer answer = {0};
    struct span digits;
    (void)snprintf(target, sizeof target, "/api/v1/eth2/sign/%.*s", NAME_SIZE, (const char *)name);
    CC_TRY(json_ask(signer, "POST", target, span_str(t->body), &answer));
    if (answer.status != 200) {
        (void)fprintf(stderr, "%.*s: %s answers %d: ", NAME_SIZE, (const char *)name, signer->url,
                      answer.status);
        foreign_text_print(stderr, buf_span(&answer.text));
        (void)fputc('\n', stderr);
        return CC_FAIL(PROTOCOL, "no signature");
    }
    if (!json_member_text(jdoc_root(&answer.doc), "signature", &digits))
        return CC_FAIL(PROTOCOL, "an answer without a signature");
    return hex_decode(digits, ret->bytes, sizeof ret->bytes);
}

static void try_key(struct trial *t, const uint8_t *name)
{
    struct signature ours, theirs;
    struct eth_pubkey key;
    cc_err err = hex_decode(span_of(name, NAME_SIZE), key.bytes, sizeof key.bytes);
    if (!err.code)
        err = sign(t, &t->signer, name, &ours);
    if (!err.code)
        err = bls_verify(key.bytes, t->root.bytes, ours.bytes);
    if (err.code) {
        (void)fprintf(stderr, "%.*s: does not sign: %s\n", NAME_SIZE, (const char *)name,
                      error_text(err));
        return;
    }
    t->tried->proven++;
    if (!t->wanted->reference || !has(&t->theirs, name) ||
        sign(t, &t->reference, name, &theirs).code)
        return;
    if (span_equal(span_of(&ours, sizeof ours), span_of(&theirs, sizeof theirs)))
        t->tried->compared++;
    else
        (void)fprintf(stderr,
                      "%.*s: the other signer signs it otherwise: is it on another network?\n",
                      NAME_SIZE, (const char *)name);
}

/* --- the signer of the trial --------------------------------------------------------------------------------------- */

/* Keys that are in use lie there, without their history and open to this machine: for nothing that could be slashed. */
static void allow_the_message_alone(struct config *config)
{
    struct config_text_list *list = &config->auth.open_operations;
    list->count = 1;
    (void)snprintf(list->items[0], sizeof list->items[0], "AGGREGATION_SLOT");
}

static cc_err write_config(const struct trial *t, bool with_keys)
{
    static struct config config;
    char path[PATH_MAX];
    const struct filesystem_config *keys = &t->wanted->config->key_sources.filesystem;
    config_defaults(&config);
    int n = snprintf(config.data_dir, sizeof config.data_dir, "%s/chamber/data", t->own.directory);
    if (n < 0 || (size_t)n >= sizeof config.data_dir)
        return CC_FAIL(LIMIT, "the directory's name is too long");
    config.server.listen_port = 0;
    config.server.drain_seconds = 1;
    (void)snprintf(config.server.admin_socket, sizeof config.server.admin_socket, "-");
    allow_the_message_alone(&config);
    config.metrics.listen_port = 0;
    config.network = t->wanted->config->network;
    config.logging.format = LOG_STYLE_TEXT;
    if (with_keys)
        config.key_sources.filesystem = *keys;
    CC_CLEANUP(buf_release) struct buf text = buf_init(YAML_MAX);
    CC_TRY(config_dump_changed(&config, "", "", &text));
    CC_TRY(own_signer_path(&t->own, "chamber/config.yaml", path));
    return file_write_durable(path, buf_span(&text), !with_keys);
}

/* The chamber is made while it has no key directories, so that it leaves no fence there. */
static cc_err start(struct trial *t)
{
    char config[PATH_MAX], program[] = "containment-chamber", init[] = "init", server[] = "server",
                           option[] = "-c";
    CC_TRY(own_signer_path(&t->own, "chamber", config));
    if (mkdir(config, 0711) != 0)
        return CC_FAIL(IO, "mkdir");
    CC_TRY(own_signer_path(&t->own, "chamber/config.yaml", config));
    CC_TRY(write_config(t, false));
    CC_TRY(own_signer_run(&t->own, (char *[]){program, init, option, config, NULL}, -1));
    CC_TRY(write_config(t, true));
    CC_TRY(own_signer_spawn(&t->own, (char *[]){program, server, option, config, NULL}));
    CC_TRY(own_signer_wait(&t->own));
    (void)snprintf(t->url, sizeof t->url, "http://127.0.0.1:%u", t->own.port);
    return signer_of_url(t->url, &t->signer);
}

/* The loader names each file that it refuses. */
static cc_err show_refused_files(struct trial *t)
{
    static const char mark[] = "key file refused";
    char path[PATH_MAX];
    CC_CLEANUP(buf_release) struct buf log = buf_init(ANSWER_MAX);
    CC_TRY(own_signer_path(&t->own, "chamber/log.txt", path));
    CC_TRY(file_read(path, &log));
    for (size_t at = 0; at < log.len;) {
        const uint8_t *end = memchr(log.data + at, '\n', log.len - at);
        size_t len = end ? (size_t)(end - log.data) - at : log.len - at;
        const uint8_t *found = memmem(log.data + at, len, mark, sizeof mark - 1);
        if (found) {
            t->tried->refused++;
            (void)fprintf(stderr, "%.*s\n", (int)(log.data + at + len - found),
                          (const char *)found);
        }
        at += len + 1;
    }
    return CC_OK;
}

static cc_err run(struct trial *t)
{
    struct progress progress;
    CC_TRY(make_message(t));
    CC_TRY(own_signer_make(t->wanted->directory, "trial", &t->own));
    CC_TRY(start(t));
    CC_TRY(show_refused_files(t));
    CC_TRY(read_keys(&t->signer, &t->keys));
    t->tried->keys = t->keys.len / NAME_SIZE;
    if (t->wanted->reference) {
        CC_TRY(signer_of_url(t->wanted->reference, &t->reference));
        t->reference.allow_plaintext = true; /* what is sent is no secret */
        CC_TRY(read_keys(&t->reference, &t->theirs));
        compare_lists(t);
    }
    progress_begin(&progress, "signing with each key", t->tried->keys, t->wanted->progress);
    for (size_t i = 0; i < t->tried->keys; i++) {
        try_key(t, t->keys.data + i * NAME_SIZE);
        progress_at(&progress, i + 1);
    }
    progress_end(&progress);
    return own_signer_end(&t->own);
}

CC_ERR migrate_try(const struct migrate_try *wanted, struct migrate_tried *ret_tried)
{
    static struct trial trial;
    *ret_tried = (struct migrate_tried){0};
    trial = (struct trial){.wanted = wanted,
                           .tried = ret_tried,
                           .keys = buf_init(ANSWER_MAX),
                           .theirs = buf_init(ANSWER_MAX)};
    cc_err err = run(&trial);
    cc_err ignored = own_signer_end(&trial.own); /* after an error it may run still */
    (void)ignored;
    if (trial.own.directory[0])
        own_signer_remove(trial.own.directory);
    signer_release(&trial.signer);
    signer_release(&trial.reference);
    buf_release(&trial.keys);
    buf_release(&trial.theirs);
    return err;
}
