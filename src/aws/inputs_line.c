#include "aws/inputs_line.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"

struct question {
    uint32_t number;
    uint32_t input;
};

/* Then come `len` bytes. */
struct answer {
    uint32_t number;
    uint32_t error; /* enum error_code; 0: none */
    uint32_t len;
};

static bool wait_for(int fd, uint64_t end_ms)
{
    for (;;) {
        uint64_t now = clock_mono_ms();
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (now >= end_ms)
            return false;
        int n = poll(&ready, 1, (int)(end_ms - now));
        if (n > 0)
            return true;
        if (n < 0 && errno != EINTR)
            return false;
    }
}

static bool read_exactly(int fd, void *to, size_t len, uint64_t end_ms)
{
    uint8_t *at = to;
    while (len) {
        if (!wait_for(fd, end_ms))
            return false;
        ssize_t n = read(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

/* --- the room's side ------------------------------------------------------------------------------------------------------- */

static cc_err read_answer(struct aws_inputs_line *line,
                          uint64_t end_ms,
                          struct answer *ret_head,
                          struct buf *text)
{
    uint8_t *at = NULL;
    if (!read_exactly(line->fd, ret_head, sizeof *ret_head, end_ms))
        return CC_FAIL(AWS_CREDENTIALS, "the reader of the credentials' files does not answer");
    if (ret_head->len > AWS_INPUT_MAX)
        return CC_FAIL(AWS_CREDENTIALS, "the reader of the credentials' files: a malformed answer");
    text->len = 0;
    if (ret_head->len)
        CC_TRY(buf_grow(text, ret_head->len, &at));
    if (ret_head->len && !read_exactly(line->fd, at, ret_head->len, end_ms))
        return CC_FAIL(AWS_CREDENTIALS,
                       "the reader of the credentials' files: an answer cut short");
    return CC_OK;
}

static cc_err read_by_line(void *context, enum aws_input input, struct buf *ret_text)
{
    struct aws_inputs_line *line = context;
    const struct question question = {++line->asked, (uint32_t)input};
    struct answer head;
    uint64_t end_ms = clock_mono_ms() + line->timeout_ms;
    if (fd_write_all(line->fd, &question, sizeof question).code)
        return CC_FAIL(AWS_CREDENTIALS, "the reader of the credentials' files has ended");
    do /* past the answers that earlier questions did not wait for */
        CC_TRY(read_answer(line, end_ms, &head, ret_text));
    while (head.number != question.number);
    return head.error ? error_from_number(head.error) : CC_OK;
}

struct aws_inputs aws_inputs_of_line(struct aws_inputs_line *line)
{
    return (struct aws_inputs){read_by_line, line};
}

/* --- the reader's side ------------------------------------------------------------------------------------------------------- */

bool aws_inputs_answer(int fd, const struct aws_inputs *inputs)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(AWS_INPUT_MAX);
    struct question question;
    if (!read_exactly(fd, &question, sizeof question, UINT64_MAX / 2))
        return false;
    cc_err err = question.input < AWS_INPUT_END
                     ? inputs->read(inputs->context, (enum aws_input)question.input, &text)
                     : CC_FAIL(PROTOCOL, "no such input");
    if (err.code) {
        log_warn("an input of the AWS credentials can't be read", KV_NUM("input", question.input),
                 KV_ERR(err));
        buf_release(&text);
    }
    const struct answer answer = {question.number, (uint32_t)err.code, (uint32_t)text.len};
    return !fd_write_all(fd, &answer, sizeof answer).code &&
           !fd_write_all(fd, text.data, text.len).code;
}
