#include "cli/bench_signer.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/num.h"

#include "cli/bench_load.h"
#include "codec/hex.h"
#include "codec/json.h"
#include "crypto/random.h"
#include "secret/wipe.h"

enum {
    SECRET_LEN = 32,
    ANSWER_MAX = 1 << 24,
    LOG_TAIL = 2000,
    START_SECONDS = 600,
    STOP_SECONDS = 60
};

static cc_err
path_in(const struct bench_signer *signer, const char *name, char out[static PATH_MAX])
{
    int n = snprintf(out, PATH_MAX, "%s/%s", signer->directory, name);
    return n > 0 && n < PATH_MAX ? CC_OK : CC_FAIL(LIMIT, "path too long");
}

static void pause_ms(long ms)
{
    const struct timespec pause = {.tv_nsec = ms * 1000000};
    (void)nanosleep(&pause, NULL);
}

/* --- directory and keys --------------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path);
}

static void remove_tree(const char *path)
{
    (void)nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static cc_err check_filesystem(const char *path)
{
    struct statfs fs;
    if (statfs(path, &fs) != 0)
        return CC_FAIL(IO, "the directory to work in");
    if (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC)
        return CC_FAIL(FILESYSTEM, "this one is in memory; name a directory on a disk with --dir");
    return CC_OK;
}

/* The first two bits are cleared: every such number but zero is a key. */
static cc_err write_key(const struct bench_signer *signer, size_t number)
{
    char path[PATH_MAX], name[32];
    uint8_t secret[SECRET_LEN];
    char text[128] = "type: file-raw\nkeyType: BLS\nprivateKey: \"0x";
    (void)snprintf(name, sizeof name, "keys/%06zu.yaml", number);
    CC_TRY(path_in(signer, name, path));
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
    CC_TRY(check_filesystem(below));
    int n = snprintf(path, sizeof path, "%s/containment-chamber-bench-XXXXXX", below);
    if (n < 0 || (size_t)n >= sizeof path || !mkdtemp(path))
        return CC_FAIL(IO, "no directory can be made");
    if (!realpath(path, ret_signer->directory))
        return CC_FAIL(IO, "realpath");
    /* Started as root, rooms have users of their own, who must pass. */
    if (chmod(ret_signer->directory, 0711) != 0)
        return CC_FAIL(IO, "chmod");
    CC_TRY(path_in(ret_signer, "keys", path));
    if (mkdir(path, 0700) != 0)
        return CC_FAIL(IO, "mkdir");
    for (size_t i = 0; i < keys; i++)
        CC_TRY(write_key(ret_signer, i));
    return CC_OK;
}

/* --- the server ------------------------------------------------------------------------------------------- */

static cc_err write_config(const struct bench_signer *signer, const char *engine)
{
    char path[PATH_MAX];
    CC_TRY(path_in(signer, "chamber", path));
    if (mkdir(path, 0711) != 0)
        return CC_FAIL(IO, "mkdir");
    CC_CLEANUP(buf_release) struct buf text = buf_init(1 << 16);
    CC_TRY(buf_printf(&text,
                      "data_dir: \"%s/chamber/data\"\n"
                      "server: {listen_port: 0, drain_seconds: 1}\n"
                      "metrics: {listen_port: 0}\n"
                      "network: minimal\n"
                      "genesis_validators_root: "
                      "\"0x04700007fabc8282644aed6d1c7c9e21d38a03a0c4ba193f3afe428824b3a673\"\n"
                      "key_sources: {expected_keys: %zu, filesystem: {paths: [\"%s/keys\"]}}\n"
                      "logging: {level: warn, format: text}\n",
                      signer->directory, signer->keys, signer->directory));
    if (engine)
        CC_TRY(buf_printf(&text, "signing: {engine: %s}\n", engine));
    CC_TRY(path_in(signer, "chamber/config.yaml", path));
    return file_write_durable(path, buf_span(&text), true);
}

static CC_NORETURN void become(char *const *argv, int out, int log)
{
    char *const environment[] = {NULL};
    int null = open("/dev/null", O_RDONLY);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)setsid(); /* a terminal's Ctrl-C is for `bench`, which stops its server */
    if (dup2(null, 0) == 0 && dup2(out, 1) == 1 && dup2(log, 2) == 2)
        (void)execve("/proc/self/exe", argv, environment);
    _exit(127);
}

/* Starts this binary; standard output to `out` (-1: to the log as well). */
static cc_err spawn(const struct bench_signer *signer, char *const *argv, int out, pid_t *ret_pid)
{
    char path[PATH_MAX];
    CC_TRY(path_in(signer, "chamber/log.txt", path));
    CC_CLEANUP(fd_closep)
    int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0)
        return CC_FAIL(IO, "the log");
    pid_t pid = fork();
    if (pid == 0)
        become(argv, out >= 0 ? out : log, log);
    if (pid < 0)
        return CC_FAIL(SYSTEM, "fork");
    *ret_pid = pid;
    return CC_OK;
}

/* True when `pid` has ended; it is reaped then. */
static bool has_ended(pid_t pid, int *ret_status)
{
    return waitpid(pid, ret_status, WNOHANG) == pid;
}

static void show_log(const struct bench_signer *signer)
{
    char path[PATH_MAX];
    CC_CLEANUP(buf_release) struct buf log = buf_init(ANSWER_MAX);
    if (path_in(signer, "chamber/log.txt", path).code || file_read(path, &log).code || !log.len)
        return;
    size_t from = log.len > LOG_TAIL ? log.len - LOG_TAIL : 0;
    (void)fwrite(log.data + from, 1, log.len - from, stderr);
}

/* Runs a subcommand on the chamber to its end. */
static cc_err run_command(const struct bench_signer *signer, char *const *argv, int out)
{
    pid_t pid;
    int status = 0;
    CC_TRY(spawn(signer, argv, out, &pid));
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return CC_FAIL(SYSTEM, "waitpid");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return CC_OK;
    show_log(signer);
    return CC_FAIL(SYSTEM, "a command on the chamber failed");
}

static bool read_port(struct bench_signer *signer)
{
    static const char mark[] = "http-port=";
    char path[PATH_MAX];
    uint64_t port = 0;
    CC_CLEANUP(buf_release) struct buf text = buf_init(4096);
    if (path_in(signer, "chamber/data/ports", path).code || file_read(path, &text).code)
        return false;
    const uint8_t *at = memmem(text.data, text.len, mark, sizeof mark - 1);
    if (!at)
        return false;
    at += sizeof mark - 1;
    const uint8_t *end = memchr(at, '\n', text.len - (size_t)(at - text.data));
    if (!end || u64_parse(span_of(at, (size_t)(end - at)), &port).code || port > UINT16_MAX)
        return false;
    signer->port = (uint16_t)port;
    return true;
}

static bool is_ready(const struct bench_signer *signer)
{
    CC_CLEANUP(buf_release) struct buf answer = buf_init(ANSWER_MAX);
    cc_err err =
        bench_ask(signer->port,
                  "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", &answer);
    return !err.code && bench_answer_status(buf_span(&answer)) == 200;
}

static cc_err wait_ready(struct bench_signer *signer)
{
    uint64_t begun = clock_mono_ns();
    int status;
    while (!(read_port(signer) && is_ready(signer))) {
        if (has_ended(signer->pid, &status)) {
            signer->pid = 0;
            show_log(signer);
            return CC_FAIL(SYSTEM, "the signer ended while it started");
        }
        if (clock_mono_ns() - begun > (uint64_t)START_SECONDS * 1000000000) {
            show_log(signer);
            return CC_FAIL(BUSY, "the signer does not become ready");
        }
        pause_ms(2);
    }
    signer->ready_ns = clock_mono_ns() - begun;
    return CC_OK;
}

/* The order of the answer is the order in which keys are used. */
static cc_err read_names(struct bench_signer *signer)
{
    CC_CLEANUP(buf_release) struct buf answer = buf_init(ANSWER_MAX);
    CC_TRY(bench_ask(
        signer->port,
        "GET /api/v1/eth2/publicKeys HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        &answer));
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
    CC_TRY(path_in(signer, "chamber/config.yaml", config));
    CC_TRY(run_command(signer, (char *[]){program, init, option, config, NULL}, -1));
    CC_TRY(spawn(signer, (char *[]){program, server, option, config, NULL}, -1, &signer->pid));
    CC_TRY(wait_ready(signer));
    return read_names(signer);
}

/* --- the end ------------------------------------------------------------------------------------------------ */

static cc_err end_server(struct bench_signer *signer)
{
    int status = 0;
    uint64_t begun = clock_mono_ns();
    if (signer->pid <= 0)
        return CC_OK;
    (void)kill(signer->pid, SIGTERM);
    while (!has_ended(signer->pid, &status)) {
        if (clock_mono_ns() - begun > (uint64_t)STOP_SECONDS * 1000000000)
            (void)kill(signer->pid, SIGKILL); /* its rooms die with it */
        pause_ms(2);
    }
    signer->pid = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return CC_OK;
    show_log(signer);
    return CC_FAIL(SYSTEM, "the signer did not end well");
}

static cc_err read_records(const struct bench_signer *signer, uint64_t *ret_records)
{
    char config[PATH_MAX], program[] = "containment-chamber", slashing[] = "slashing",
                           status[] = "status", json[] = "--json", option[] = "-c";
    int pair[2];
    CC_TRY(path_in(signer, "chamber/config.yaml", config));
    if (pipe2(pair, O_CLOEXEC) != 0)
        return CC_FAIL(SYSTEM, "pipe");
    CC_CLEANUP(fd_closep) int ours = pair[0];
    CC_CLEANUP(fd_closep) int theirs = pair[1];
    /* One line: it fits the pipe while nobody reads. */
    CC_TRY(run_command(signer, (char *[]){program, slashing, status, json, option, config, NULL},
                       theirs));
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
    CC_TRY(end_server(signer));
    CC_TRY(read_records(signer, ret_records));
    CC_TRY(path_in(signer, "chamber", path));
    remove_tree(path);
    return CC_OK;
}

void bench_signer_close(struct bench_signer *signer)
{
    cc_err ignored = end_server(signer); /* the caller reports what went wrong before */
    (void)ignored;
    if (signer->directory[0])
        remove_tree(signer->directory);
    signer->directory[0] = 0;
    cc_free(signer->names);
    signer->names = NULL;
}
