#include "attest/nsm.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"

#include "attest/nsm_ioctl.h"
#include "attest/nsm_socket.h"
#include "codec/cbor.h"

enum {
    REQUEST_MAX = 0x1000,
    ANSWER_MAX =
        ATTEST_DOCUMENT_MAX /* the driver cuts off what does not fit, and does not say so */
};

struct nsm {
    int fd;
    bool is_socket;
    pthread_mutex_t lock; /* of all that follows */
    uint8_t request[REQUEST_MAX];
    uint8_t answer[ANSWER_MAX];
};

/* What the module calls its refusals. */
static const struct refusal {
    const char *name;
    const char *detail;
} refusals[] = {
    {"InvalidArgument", "InvalidArgument: a value is not what the request takes"},
    {"InvalidIndex", "InvalidIndex: there is no such register"},
    {"InvalidResponse", "InvalidResponse"},
    {"ReadOnlyIndex", "ReadOnlyIndex: the register is locked"},
    {"InvalidOperation", "InvalidOperation: the module doesn't know the request"},
    {"BufferTooSmall", "BufferTooSmall"},
    {"InputTooLarge", "InputTooLarge: a value is longer than the module takes"},
    {"InternalError", "InternalError"},
};

CC_ERR nsm_descriptor_open(const char *path, int *ret_fd)
{
    struct stat st;
    CC_CLEANUP(fd_closep) int fd = -1;
    if (stat(path, &st) != 0)
        return CC_FAIL(NSM, "there is no such device (tee.device)");
    fd = S_ISSOCK(st.st_mode) ? nsm_socket_open(path) : open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return CC_FAIL(NSM, "the device can't be opened (tee.device)");
    if (!nsm_socket_is(fd) && (fstat(fd, &st) != 0 || !S_ISCHR(st.st_mode)))
        return CC_FAIL(NSM, "tee.device is no character device");
    *ret_fd = fd;
    fd = -1;
    return CC_OK;
}

CC_ERR nsm_adopt(int fd, struct nsm **ret_nsm)
{
    struct nsm *nsm = cc_alloc(sizeof *nsm);
    if (!nsm)
        return CC_FAIL(NO_MEMORY, NULL);
    if (pthread_mutex_init(&nsm->lock, NULL) != 0) {
        cc_free(nsm);
        return CC_FAIL(NO_MEMORY, NULL);
    }
    nsm->fd = fd;
    nsm->is_socket = nsm_socket_is(fd);
    *ret_nsm = nsm;
    return CC_OK;
}

CC_ERR nsm_open(const char *path, struct nsm **ret_nsm)
{
    CC_CLEANUP(fd_closep) int fd = -1;
    CC_TRY(nsm_descriptor_open(path, &fd));
    CC_TRY(nsm_adopt(fd, ret_nsm));
    fd = -1;
    return CC_OK;
}

void nsm_close(struct nsm *nsm)
{
    if (!nsm)
        return;
    fd_closep(&nsm->fd);
    (void)pthread_mutex_destroy(&nsm->lock);
    explicit_bzero(nsm, sizeof *nsm); /* random bytes may lie in it */
    cc_free(nsm);
}

void nsm_closep(struct nsm **nsm)
{
    nsm_close(*nsm);
}

static cc_err ask_device(struct nsm *nsm, struct span request, size_t *ret_len)
{
    struct nsm_raw raw = {
        .request = {(uint64_t)(uintptr_t)request.data, request.len},
        .answer = {(uint64_t)(uintptr_t)nsm->answer, sizeof nsm->answer},
    };
    if (ioctl(nsm->fd, NSM_IOCTL_RAW, &raw) != 0)
        return errno == ETIMEDOUT ? CC_FAIL(NSM, "the module does not answer")
                                  : CC_FAIL(NSM, "the device refuses the call");
    if (raw.answer.len == 0 || raw.answer.len >= sizeof nsm->answer)
        return CC_FAIL(NSM, "the module's answer is empty or too long");
    *ret_len = (size_t)raw.answer.len;
    return CC_OK;
}

/* Sends what was written and opens the answer: a map of one entry, named as the request, or "Error". The reader stands
 * before the entry's value.
 */
static cc_err
ask(struct nsm *nsm, const struct cbor_writer *w, const char *name, struct cbor_reader *ret_reader)
{
    struct span request;
    size_t len = 0;
    uint32_t count;
    uint32_t seen = 0;
    uint32_t which;
    CC_TRY(cbor_written(w, &request));
    if (nsm->is_socket)
        CC_TRY(nsm_socket_exchange(nsm->fd, request, nsm->answer, sizeof nsm->answer, &len));
    else
        CC_TRY(ask_device(nsm, request, &len));
    struct cbor_reader r = cbor_reader_init(span_of(nsm->answer, len));
    const char *const names[] = {name, "Error"};
    if (cbor_peek(&r) == CBOR_MAP)
        CC_TRY(cbor_read_map(&r, 1, &count));
    CC_TRY(cbor_read_name(&r, names, ARRAY_LEN(names), &seen, &which));
    *ret_reader = r;
    if (which == 0)
        return CC_OK;
    struct span refusal;
    CC_TRY(cbor_read_text(&r, &refusal));
    CC_TRY(cbor_read_end(&r));
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        if (span_is(refusal, refusals[i].name))
            return CC_FAIL(NSM_REFUSED, refusals[i].detail);
    }
    return CC_FAIL(NSM_REFUSED, "for a reason that is not known");
}

/* An answer that is no strict CBOR of the form that is wanted is no answer. */
static cc_err as_nsm(cc_err err)
{
    return error_is(err, ERROR_CBOR) ? CC_FAIL(NSM, error_detail()) : err;
}

static void nsm_unlockp(struct nsm **nsm)
{
    cc_assert(pthread_mutex_unlock(&(*nsm)->lock) == 0);
}

/* For the rest of the scope. */
#define NSM_LOCKED(nsm)                                                                            \
    CC_CLEANUP(nsm_unlockp) struct nsm *locked_ = (nsm);                                           \
    cc_assert(pthread_mutex_lock(&locked_->lock) == 0)

static struct cbor_writer request_begin(struct nsm *nsm)
{
    return cbor_writer_init(nsm->request, sizeof nsm->request);
}

static void put_optional(struct cbor_writer *w, const char *name, struct span bytes)
{
    cbor_put_text(w, name);
    if (bytes.data)
        cbor_put_bytes(w, bytes);
    else
        cbor_put_null(w);
}

/* The one field of an answer's map. */
static cc_err only_field(struct cbor_reader *r, const char *name)
{
    uint32_t count;
    uint32_t seen = 0;
    uint32_t which;
    CC_TRY(cbor_read_map(r, 1, &count));
    return cbor_read_name(r, &name, 1, &seen, &which);
}

static cc_err attest(struct nsm *nsm, const struct span in[3], struct span *ret_document)
{
    struct cbor_writer w = request_begin(nsm);
    struct cbor_reader r;
    cbor_put_map(&w, 1);
    cbor_put_text(&w, "Attestation");
    cbor_put_map(&w, 3);
    put_optional(&w, "user_data", in[0]);
    put_optional(&w, "nonce", in[1]);
    put_optional(&w, "public_key", in[2]);
    CC_TRY(ask(nsm, &w, "Attestation", &r));
    CC_TRY(only_field(&r, "document"));
    CC_TRY(cbor_read_bytes(&r, ret_document));
    return cbor_read_end(&r);
}

CC_ERR nsm_attest(struct nsm *nsm,
                  struct span user_data,
                  struct span nonce,
                  struct span public_key,
                  struct buf *ret_document)
{
    const struct span in[3] = {user_data, nonce, public_key};
    struct span document;
    if (user_data.len > ATTEST_USER_DATA_MAX || nonce.len > ATTEST_NONCE_MAX ||
        public_key.len > ATTEST_PUBLIC_KEY_MAX || (public_key.data && public_key.len == 0))
        return CC_FAIL(LIMIT, "longer than a document takes");
    NSM_LOCKED(nsm);
    CC_TRY(as_nsm(attest(nsm, in, &document)));
    if (document.len == 0)
        return CC_FAIL(NSM, "the module gives an empty document");
    return buf_append(ret_document, document.data, document.len);
}

enum described {
    DESCRIBED_MAJOR,
    DESCRIBED_MINOR,
    DESCRIBED_PATCH,
    DESCRIBED_MODULE_ID,
    DESCRIBED_MAX_PCRS,
    DESCRIBED_LOCKED,
    DESCRIBED_DIGEST,
    DESCRIBED_COUNT
};
static const char *const described_names[DESCRIBED_COUNT] = {
    "version_major", "version_minor", "version_patch", "module_id",
    "max_pcrs",      "locked_pcrs",   "digest",
};

static cc_err read_u16(struct cbor_reader *r, uint32_t *ret_value)
{
    uint64_t value;
    CC_TRY(cbor_read_uint(r, &value));
    if (value > UINT16_MAX)
        return CC_FAIL(NSM, "the module describes itself by a number that is out of range");
    *ret_value = (uint32_t)value;
    return CC_OK;
}

static cc_err read_locked(struct cbor_reader *r, uint32_t *ret_locked)
{
    uint32_t count;
    uint32_t locked = 0;
    CC_TRY(cbor_read_array(r, ATTEST_PCR_COUNT, &count));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index;
        CC_TRY(cbor_read_number(r, ATTEST_PCR_COUNT, &locked, &index));
    }
    *ret_locked = locked;
    return CC_OK;
}

static cc_err read_text(struct cbor_reader *r, char *ret_text, size_t size)
{
    struct span text;
    CC_TRY(cbor_read_text(r, &text));
    if (text.len >= size || memchr(text.data, 0, text.len))
        return CC_FAIL(NSM, "the module has a name that can't be");
    memcpy(ret_text, text.data, text.len);
    ret_text[text.len] = '\0';
    return CC_OK;
}

static cc_err read_described(struct cbor_reader *r, enum described field, struct nsm_description *d)
{
    char digest[sizeof "SHA384"];
    switch (field) {
    case DESCRIBED_MAJOR:
        return read_u16(r, &d->version_major);
    case DESCRIBED_MINOR:
        return read_u16(r, &d->version_minor);
    case DESCRIBED_PATCH:
        return read_u16(r, &d->version_patch);
    case DESCRIBED_MODULE_ID:
        return read_text(r, d->module_id, sizeof d->module_id);
    case DESCRIBED_MAX_PCRS:
        return read_u16(r, &d->max_pcrs);
    case DESCRIBED_LOCKED:
        return read_locked(r, &d->locked_pcrs);
    case DESCRIBED_DIGEST:
        CC_TRY(read_text(r, digest, sizeof digest));
        return span_is(span_str(digest), "SHA384") ? CC_OK
                                                   : CC_FAIL(NSM, "the registers are not SHA384's");
    case DESCRIBED_COUNT:
        break;
    }
    return cbor_skip(r); /* of a newer module */
}

/* DESCRIBED_COUNT: a name that we don't know. */
static cc_err describe_name(struct cbor_reader *r, uint32_t *seen, uint32_t *ret_field)
{
    struct cbor_reader at = *r;
    struct span name;
    CC_TRY(cbor_read_text(&at, &name));
    for (uint32_t i = 0; i < DESCRIBED_COUNT; i++) {
        if (span_is(name, described_names[i]))
            return cbor_read_name(r, described_names, DESCRIBED_COUNT, seen, ret_field);
    }
    *r = at;
    *ret_field = DESCRIBED_COUNT;
    return CC_OK;
}

static cc_err describe(struct nsm *nsm, struct nsm_description *d)
{
    enum {
        FIELDS_MAX = 64 /* a newer module may say more than we know */
    };
    struct cbor_writer w = request_begin(nsm);
    struct cbor_reader r;
    uint32_t count;
    uint32_t seen = 0;
    cbor_put_text(&w, "DescribeNSM");
    CC_TRY(ask(nsm, &w, "DescribeNSM", &r));
    CC_TRY(cbor_read_map(&r, FIELDS_MAX, &count));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t field;
        CC_TRY(describe_name(&r, &seen, &field));
        CC_TRY(read_described(&r, (enum described)field, d));
    }
    if (seen != ((uint32_t)1 << DESCRIBED_COUNT) - 1)
        return CC_FAIL(NSM, "the module doesn't describe itself in full");
    return cbor_read_end(&r);
}

CC_ERR nsm_describe(struct nsm *nsm, struct nsm_description *ret_description)
{
    struct nsm_description d = {.max_pcrs = 0};
    NSM_LOCKED(nsm);
    CC_TRY(as_nsm(describe(nsm, &d)));
    *ret_description = d;
    return CC_OK;
}

/* A request about one register, whose fields the caller goes on to write. */
static void put_register(struct cbor_writer *w, const char *name, uint32_t fields, uint32_t index)
{
    cbor_put_map(w, 1);
    cbor_put_text(w, name);
    cbor_put_map(w, fields);
    cbor_put_text(w, "index");
    cbor_put_uint(w, index);
}

static cc_err read_value(struct cbor_reader *r, uint8_t *ret_value)
{
    struct span value;
    CC_TRY(cbor_read_bytes(r, &value));
    if (value.len != ATTEST_PCR_SIZE)
        return CC_FAIL(NSM, "a register is not 48 bytes long");
    memcpy(ret_value, value.data, value.len);
    return CC_OK;
}

static cc_err describe_pcr(struct nsm *nsm, uint32_t index, bool *ret_locked, uint8_t ret_value[])
{
    static const char *const names[] = {"lock", "data"};
    struct cbor_writer w = request_begin(nsm);
    struct cbor_reader r;
    uint32_t count;
    uint32_t seen = 0;
    put_register(&w, "DescribePCR", 1, index);
    CC_TRY(ask(nsm, &w, "DescribePCR", &r));
    CC_TRY(cbor_read_map(&r, ARRAY_LEN(names), &count));
    if (count != ARRAY_LEN(names))
        return CC_FAIL(NSM, "the module leaves a field out");
    for (uint32_t i = 0; i < ARRAY_LEN(names); i++) {
        uint32_t field;
        CC_TRY(cbor_read_name(&r, names, ARRAY_LEN(names), &seen, &field));
        if (field == 0)
            CC_TRY(cbor_read_bool(&r, ret_locked));
        else
            CC_TRY(read_value(&r, ret_value));
    }
    return cbor_read_end(&r);
}

CC_ERR nsm_pcr(struct nsm *nsm,
               uint32_t index,
               bool *ret_locked,
               uint8_t ret_value[static ATTEST_PCR_SIZE])
{
    bool locked = false;
    uint8_t value[ATTEST_PCR_SIZE] = {0};
    NSM_LOCKED(nsm);
    CC_TRY(as_nsm(describe_pcr(nsm, index, &locked, value)));
    *ret_locked = locked;
    memcpy(ret_value, value, sizeof value);
    return CC_OK;
}

static cc_err extend(struct nsm *nsm, uint32_t index, struct span data, uint8_t *ret_value)
{
    struct cbor_writer w = request_begin(nsm);
    struct cbor_reader r;
    put_register(&w, "ExtendPCR", 2, index);
    cbor_put_text(&w, "data");
    cbor_put_bytes(&w, data);
    CC_TRY(ask(nsm, &w, "ExtendPCR", &r));
    CC_TRY(only_field(&r, "data"));
    CC_TRY(read_value(&r, ret_value));
    return cbor_read_end(&r);
}

CC_ERR nsm_extend(struct nsm *nsm,
                  uint32_t index,
                  struct span data,
                  uint8_t ret_value[static ATTEST_PCR_SIZE])
{
    uint8_t value[ATTEST_PCR_SIZE] = {0};
    NSM_LOCKED(nsm);
    CC_TRY(as_nsm(extend(nsm, index, data, value)));
    memcpy(ret_value, value, sizeof value);
    return CC_OK;
}

static cc_err lock(struct nsm *nsm, uint32_t index)
{
    struct cbor_writer w = request_begin(nsm);
    struct cbor_reader r;
    put_register(&w, "LockPCR", 1, index);
    CC_TRY(ask(nsm, &w, "LockPCR", &r));
    return cbor_read_end(&r);
}

CC_ERR nsm_lock(struct nsm *nsm, uint32_t index)
{
    NSM_LOCKED(nsm);
    return as_nsm(lock(nsm, index));
}

static cc_err take_random(struct nsm *nsm, uint8_t *ret_bytes)
{
    struct cbor_writer w = request_begin(nsm);
    struct cbor_reader r;
    struct span bytes;
    cbor_put_text(&w, "GetRandom");
    CC_TRY(ask(nsm, &w, "GetRandom", &r));
    CC_TRY(only_field(&r, "random"));
    CC_TRY(cbor_read_bytes(&r, &bytes));
    CC_TRY(cbor_read_end(&r));
    if (bytes.len != NSM_RANDOM_SIZE)
        return CC_FAIL(NSM, "the module gives another number of random bytes");
    memcpy(ret_bytes, bytes.data, bytes.len);
    return CC_OK;
}

CC_ERR nsm_random(struct nsm *nsm, uint8_t ret_bytes[static NSM_RANDOM_SIZE])
{
    NSM_LOCKED(nsm);
    cc_err err = as_nsm(take_random(nsm, ret_bytes));
    explicit_bzero(nsm->answer, sizeof nsm->answer);
    return err;
}
