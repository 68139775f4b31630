#include "cli/bench_signer.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/num.h"

#include "cli/bench_load.h"
#include "codec/hex.h"
#include "codec/json.h"
#include "crypto/random.h"
#include "secret/wipe.h"

enum {
    SECRET_LEN = 32,
    ANSWER_MAX = 1 << 24
};

/* --- directory and keys --------------------------------------------------------------------------------- */

/* The first two bits are cleared: every such number but zero is a key. */
static cc_err write_key(const struct bench_signer *signer, size_t number)
{
    char path[PATH_MAX], name[32];
    uint8_t secret[SECRET_LEN];
    char text[128] = "type: file-raw\nkeyType: BLS\nprivateKey: \"0x";
    (void)snprintf(name, sizeof name, "keys/%06zu.yaml", number);
    CC_TRY(own_signer_path(&signer->own, name, path));
    CC_CLEANUP(fd_closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return CC_FAIL(IO, "a key file");
    CC_TRY(random_bytes(secret, sizeof secret));
    secret[0] &= 0x3f;
    size_t len = strlen(text);
    hex_encode(secret, sizeof secret, text + len);
    len += 2 * sizeof secret;
    memcpy(text + len, "\"\n", 2);
    cc_err err = fd_write_all(fd, text, len + 2);
    wipe(secret, sizeof secret);
    wipe(text, sizeof text);
    return err;
}

CC_ERR bench_signer_make(const char *below, size_t keys, struct bench_signer *ret_signer)
{
    char path[PATH_MAX];
    *ret_signer = (struct bench_signer){.keys = keys};
    CC_TRY(own_signer_make(below, "bench", &ret_signer->own));
    CC_TRY(own_signer_path(&ret_signer->own, "keys", path));
    if (mkdir(path, 0700) != 0)
        return CC_FAIL(IO, "mkdir");
    for (size_t i = 0; i < keys; i++)
        CC_TRY(write_key(ret_signer, i));
    return CC_OK;
}

CC_ERR bench_signer_make_token(struct bench_signer *signer)
{
    static const char scheme[] = "Authorization: Bearer ";
    const size_t scheme_len = sizeof scheme - 1, digits = 2 * BENCH_TOKEN_BYTES;
    char path[PATH_MAX];
    uint8_t token[BENCH_TOKEN_BYTES];
    CC_TRY(own_signer_path(&signer->own, "token", path));
    CC_CLEANUP(fd_closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return CC_FAIL(IO, "the token's file");
    CC_TRY(random_bytes(token, sizeof token));
    memcpy(signer->token_line, scheme, scheme_len);
    hex_encode(token, sizeof token, signer->token_line + scheme_len);
    wipe(token, sizeof token);
    CC_TRY(fd_write_all(fd, signer->token_line + scheme_len, digits));
    memcpy(signer->token_line + scheme_len + digits, "\r\n", sizeof "\r\n");
    return CC_OK;
}

/* --- the server ------------------------------------------------------------------------------------------- */

static cc_err write_config(const struct bench_signer *signer, const char *engine)
{
    char path[PATH_MAX];
    CC_TRY(own_signer_path(&signer->own, "chamber", path));
    if (mkdir(path, 0711) != 0)
        return CC_FAIL(IO, "mkdir");
    CC_CLEANUP(buf_release) struct buf text = buf_init(1 << 16);
    CC_TRY(buf_printf(&text,
                      "data_dir: \"%s/chamber/data\"\n"
                      "server: {listen_port: 0, admin_socket: \"-\", drain_seconds: 1}\n"
                      "metrics: {listen_port: 0}\n"
                      "network: minimal\n"
                      "genesis_validators_root: "
                      "\"0x04700007fabc8282644aed6d1c7c9e21d38a03a0c4ba193f3afe428824b3a673\"\n"
                      "key_sources: {expected_keys: %zu, filesystem: {paths: [\"%s/keys\"]}}\n"
                      "logging: {level: warn, format: text}\n",
                      signer->own.directory, signer->keys, signer->own.directory));
    if (engine)
        CC_TRY(buf_printf(&text, "signing: {engine: %s}\n", engine));
    if (signer->database && strpbrk(signer->database, "\"\\\n"))
        return CC_FAIL(CONFIG, "quotes in the database's URL");
    if (signer->database)
        CC_TRY(buf_printf(&text, "anti_slashing: {backend: postgres, url: \"%s\"}\n",
                          signer->database));
    if (signer->token_line[0])
        CC_TRY(
            buf_printf(&text,
                       "auth: {mode: enforce}\n"
                       "auth_policies: {bench: {token: \"file:%s/token\", allowed_scopes: [sign, "
                       "public_keys]}}\n",
                       signer->own.directory));
    CC_TRY(own_signer_path(&signer->own, "chamber/config.yaml", path));
    return file_write_durable(path, buf_span(&text), true);
}

/* The order of the answer is the order in which keys are used. */
static cc_err read_names(struct bench_signer *signer)
{
    CC_CLEANUP(buf_release) struct buf answer = buf_init(ANSWER_MAX);
    char request[256];
    (void)snprintf(request, sizeof request,
                   "GET /api/v1/eth2/publicKeys HTTP/1.1\r\nHost: localhost\r\n"
                   "%sConnection: close\r\n\r\n",
                   signer->token_line);
    cc_err err = bench_ask(signer->own.port, request, &answer);
    wipe(request, sizeof request);
    CC_TRY(err);
    struct span body = bench_answer_body(buf_span(&answer));
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init((uint32_t)signer->keys + 16);
    CC_TRY(jdoc_parse(&doc, answer.data + (answer.len - body.len), body.len));
    struct jval_iter iter = jval_iterate(jdoc_root(&doc));
    struct jval value;
    if (jval_count(jdoc_root(&doc)) != signer->keys)
        return CC_FAIL(PROTOCOL, "publicKeys: another number of keys");
    cc_free(signer->names);
    signer->names = cc_alloc_array(signer->keys, sizeof *signer->names);
    if (!signer->names)
        return CC_FAIL(NO_MEMORY, "public keys");
    for (size_t i = 0; jval_next(&iter, &value); i++) {
        struct span name;
        CC_TRY(jval_text(value, &name));
        if (name.len != BENCH_NAME_SIZE)
            return CC_FAIL(PROTOCOL, "publicKeys");
        memcpy(signer->names[i], name.data, name.len);
    }
    return CC_OK;
}

CC_ERR bench_signer_start(struct bench_signer *signer, const char *engine)
{
    char config[PATH_MAX], program[] = "containment-chamber", init[] = "init", server[] = "server",
                           option[] = "-c";
    CC_TRY(write_config(signer, engine));
    CC_TRY(own_signer_path(&signer->own, "chamber/config.yaml", config));
    CC_TRY(own_signer_run(&signer->own, (char *[]){program, init, option, config, NULL}, -1));
    CC_TRY(own_signer_spawn(&signer->own, (char *[]){program, server, option, config, NULL}));
    CC_TRY(own_signer_wait(&signer->own));
    return read_names(signer);
}

/* --- the end ------------------------------------------------------------------------------------------------ */

static cc_err read_records(const struct bench_signer *signer, uint64_t *ret_records)
{
    char config[PATH_MAX], program[] = "containment-chamber", slashing[] = "slashing",
                           status[] = "status", json[] = "--json", option[] = "-c";
    int pair[2];
    CC_TRY(own_signer_path(&signer->own, "chamber/config.yaml", config));
    if (pipe2(pair, O_CLOEXEC) != 0)
        return CC_FAIL(SYSTEM, "pipe");
    CC_CLEANUP(fd_closep) int ours = pair[0];
    CC_CLEANUP(fd_closep) int theirs = pair[1];
    /* One line: it fits the pipe while nobody reads. */
    CC_TRY(own_signer_run(
        &signer->own, (char *[]){program, slashing, status, json, option, config, NULL}, theirs));
    fd_closep(&theirs);
    CC_CLEANUP(buf_release) struct buf text = buf_init(4096);
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(64);
    struct jval attestations;
    CC_TRY(fd_read_all(ours, &text));
    CC_TRY(jdoc_parse(&doc, text.data, text.len));
    if (!jval_member(jdoc_root(&doc), "attestations", &attestations))
        return CC_FAIL(PROTOCOL, "slashing status");
    return jval_u64(attestations, ret_records);
}

CC_ERR bench_signer_stop(struct bench_signer *signer, uint64_t *ret_records)
{
    char path[PATH_MAX];
    CC_TRY(own_signer_end(&signer->own));
    CC_TRY(read_records(signer, ret_records));
    CC_TRY(own_signer_path(&signer->own, "chamber", path));
    own_signer_remove(path);
    return CC_OK;
}

void bench_signer_close(struct bench_signer *signer)
{
    cc_err ignored = own_signer_end(&signer->own); /* the caller reports what went wrong before */
    (void)ignored;
    if (signer->own.directory[0])
        own_signer_remove(signer->own.directory);
    signer->own.directory[0] = 0;
    wipe(signer->token_line, sizeof signer->token_line);
    cc_free(signer->names);
    signer->names = NULL;
}
