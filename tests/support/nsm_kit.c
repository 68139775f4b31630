#include "support/nsm_kit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"

#include "codec/cbor.h"
#include "support/test.h"

static uint8_t bytes[65536];

/* X, "user_data" and so on: bytes or null. */
static struct span taken(struct cbor_reader *r)
{
    struct span value = {NULL, 0};
    if (!cbor_try_null(r))
        assert_int_equal(cbor_read_bytes(r, &value).code, 0);
    return value;
}

static void registers(const struct nsm_kit *kit, struct kit_claims *claims)
{
    if (kit->debug)
        memset(claims->pcrs.value, 0, sizeof claims->pcrs.value);
    memcpy(claims->pcrs.value[8], kit->pcr8, ATTEST_PCR_SIZE);
}

static void attest(struct nsm_kit *kit, struct cbor_reader *r, struct cbor_writer *w)
{
    static const char *const names[] = {"user_data", "nonce", "public_key"};
    struct buf document = {0};
    struct kit_claims claims = kit_claims(&kit->authority);
    uint32_t count;
    uint32_t seen = 0;
    (*kit->asked)++;
    assert_int_equal(cbor_read_map(r, 3, &count).code, 0);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t which;
        assert_int_equal(cbor_read_name(r, names, 3, &seen, &which).code, 0);
        struct span *const into[] = {&claims.user_data, &claims.nonce, &claims.public_key};
        *into[which] = taken(r);
    }
    claims.timestamp_ms = clock_wall_ms() + (uint64_t)(int64_t)*kit->shift_ms;
    registers(kit, &claims);
    kit_document(&kit->authority, &claims, &document);
    cbor_put_map(w, 1);
    cbor_put_text(w, "Attestation");
    cbor_put_map(w, 1);
    cbor_put_text(w, "document");
    cbor_put_bytes(w, buf_span(&document));
    buf_release(&document);
}

static void describe(struct cbor_writer *w)
{
    static const char *const numbers[] = {"version_major", "version_minor", "version_patch",
                                          "max_pcrs"};
    cbor_put_map(w, 1);
    cbor_put_text(w, "DescribeNSM");
    cbor_put_map(w, 7);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        cbor_put_text(w, numbers[i]);
        cbor_put_uint(w, i + 1);
    }
    cbor_put_text(w, "module_id");
    cbor_put_text(w, "i-0-enc0");
    cbor_put_text(w, "digest");
    cbor_put_text(w, "SHA384");
    cbor_put_text(w, "locked_pcrs");
    cbor_put_array(w, 0);
}

static void describe_pcr(const struct nsm_kit *kit, struct cbor_reader *r, struct cbor_writer *w)
{
    static const char *const names[] = {"index"};
    struct kit_claims claims = kit_claims(&kit->authority);
    uint64_t index;
    uint32_t count;
    uint32_t seen = 0;
    uint32_t which;
    assert_int_equal(cbor_read_map(r, 1, &count).code, 0);
    assert_int_equal(cbor_read_name(r, names, 1, &seen, &which).code, 0);
    assert_int_equal(cbor_read_uint(r, &index).code, 0);
    assert_true(index < ATTEST_PCR_COUNT);
    registers(kit, &claims);
    cbor_put_map(w, 1);
    cbor_put_text(w, "DescribePCR");
    cbor_put_map(w, 2);
    cbor_put_text(w, "data");
    cbor_put_bytes(w, span_of(claims.pcrs.value[index], ATTEST_PCR_SIZE));
    cbor_put_text(w, "lock");
    w->data[w->len++] = 0xf5;
}

static struct span answer_to(struct nsm_kit *kit, struct span request)
{
    static uint8_t space[65536];
    static const char *const names[] = {"DescribeNSM", "DescribePCR", "Attestation"};
    struct cbor_reader r = cbor_reader_init(request);
    struct cbor_writer w = cbor_writer_init(space, sizeof space);
    struct span answer;
    uint32_t count;
    uint32_t seen = 0;
    uint32_t which;
    if (cbor_peek(&r) == CBOR_MAP)
        assert_int_equal(cbor_read_map(&r, 1, &count).code, 0);
    assert_int_equal(cbor_read_name(&r, names, 3, &seen, &which).code, 0);
    if (*kit->mood == NSM_KIT_REFUSES) {
        cbor_put_map(&w, 1);
        cbor_put_text(&w, "Error");
        cbor_put_text(&w, "InternalError");
    } else if (which == 0) {
        describe(&w);
    } else if (which == 1) {
        describe_pcr(kit, &r, &w);
    } else {
        attest(kit, &r, &w);
    }
    assert_int_equal(cbor_written(&w, &answer).code, 0);
    return answer;
}

static void serve(struct nsm_kit *kit, int line)
{
    uint8_t head[4];
    const struct timespec moment = {.tv_nsec = 1000000};
    while (recv(line, head, sizeof head, MSG_WAITALL) == (ssize_t)sizeof head) {
        size_t len = (size_t)head[0] | (size_t)head[1] << 8;
        if (recv(line, bytes, len, MSG_WAITALL) != (ssize_t)len)
            return;
        struct span answer = answer_to(kit, span_of(bytes, len));
        while (*kit->mood == NSM_KIT_WAITS)
            (void)nanosleep(&moment, NULL);
        for (unsigned i = 0; i < 4; i++)
            head[i] = (uint8_t)(answer.len >> (8 * i));
        if (fd_write_all(line, head, sizeof head).code ||
            fd_write_all(line, answer.data, answer.len).code)
            return;
    }
}

static void run(struct nsm_kit *kit, int listener)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGPIPE, SIG_IGN);
    for (;;) {
        int line = accept(listener, NULL, NULL);
        if (line < 0)
            _exit(1);
        serve(kit, line);
        (void)close(line);
    }
}

void nsm_kit_start(struct nsm_kit *kit, bool debug)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    *kit = (struct nsm_kit){.directory = "/tmp/cc-test-nsm-XXXXXX", .debug = debug};
    kit_shape(&kit->authority);
    kit->authority.now_ms = clock_wall_ms() - 3600 * 1000;
    kit_make(&kit->authority);
    assert_non_null(mkdtemp(kit->directory));
    (void)snprintf(kit->path, sizeof kit->path, "%s/nsm", kit->directory);
    (void)snprintf(at.sun_path, sizeof at.sun_path, "%s", kit->path);
    kit->shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(kit->shared != MAP_FAILED);
    kit->mood = kit->shared;
    kit->asked = (_Atomic unsigned *)kit->shared + 1;
    kit->shift_ms = (_Atomic int *)kit->shared + 2;
    kit->pcr8 = (uint8_t *)kit->shared + 64;
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(listener, 8), 0);
    (void)fflush(NULL);
    kit->pid = fork();
    assert_true(kit->pid >= 0);
    if (kit->pid == 0)
        run(kit, listener);
    (void)close(listener);
}

void nsm_kit_stop(struct nsm_kit *kit)
{
    (void)kill(kit->pid, SIGKILL);
    (void)waitpid(kit->pid, NULL, 0);
    (void)munmap(kit->shared, 4096);
    (void)unlink(kit->path);
    (void)rmdir(kit->directory);
    kit_free(&kit->authority);
}
