#include "cli/operator_body.h"

#include <inttypes.h>

#include "base/io.h"
#include "base/num.h"

#include "cli/operator_send.h"
#include "config/kms_arn.h"
#include "crypto/age.h"
#include "seal/record.h"

enum {
    THRESHOLD_MAX = 16
};

static int failed(cc_err err)
{
    return err.code ? operator_say("the request", err) : EXIT_CODE_DONE;
}

/* ,"NAME":N */
static int put_threshold(const struct operator_wanted *w,
                         const char *option,
                         const char *text,
                         const char *name,
                         struct buf *body)
{
    uint64_t n = 0;
    if (!text)
        return operator_refuse(w, "is needed, too", option);
    if (u64_parse(span_str(text), &n).code || n == 0 || n > THRESHOLD_MAX)
        return operator_refuse(w, "is a number from 1 to 16", option);
    return failed(buf_printf(body, "\"%s\":%" PRIu64, name, n));
}

/* "KEY": age1..., ssh-ed25519 ..., or file:PATH of one line. */
static int put_recipient(const struct operator_wanted *w,
                         const char *option,
                         const char *text,
                         struct buf *body)
{
    CC_CLEANUP(buf_release) struct buf content = buf_init(AGE_RECIPIENT_TEXT_MAX + 2);
    struct age_recipient recipient;
    struct span key = span_str(text);
    if (strncmp(text, "file:", 5) == 0) {
        if (file_read(text + 5, &content).code)
            return operator_refuse(w, "can't be read, or is no public key", text);
        key = buf_span(&content);
        while (key.len && (key.data[key.len - 1] == '\n' || key.data[key.len - 1] == '\r'))
            key.len--;
    }
    if (age_recipient_parse(key, &recipient).code)
        return operator_refuse(w, "wants age1..., ssh-ed25519 AAAA..., or file:PATH of one",
                               option);
    cc_err err = buf_append_str(body, "\"");
    if (!err.code)
        err = age_recipient_write(&recipient, body);
    if (!err.code)
        err = buf_append_str(body, "\"");
    return failed(err);
}

static int put_break_glass(const struct operator_wanted *w, struct buf *body)
{
    if (w->recipients.count == 0)
        return w->break_glass_threshold
                   ? operator_refuse(w, "needs --break-glass RECIPIENT", "--break-glass-threshold")
                   : EXIT_CODE_DONE;
    int code = failed(buf_append_str(body, ",\"break_glass\":{"));
    if (code == EXIT_CODE_DONE)
        code = put_threshold(w, "--break-glass-threshold", w->break_glass_threshold, "threshold",
                             body);
    if (code == EXIT_CODE_DONE)
        code = failed(buf_append_str(body, ",\"recipients\":["));
    for (size_t i = 0; i < w->recipients.count && code == EXIT_CODE_DONE; i++) {
        if (i)
            code = failed(buf_append_str(body, ","));
        if (code == EXIT_CODE_DONE)
            code = put_recipient(w, "--break-glass", w->recipients.each[i], body);
    }
    return code == EXIT_CODE_DONE ? failed(buf_append_str(body, "]}")) : code;
}

static int put_arns(const struct operator_wanted *w, struct buf *body)
{
    const char *text = w->kms_keys;
    int code = failed(buf_append_str(body, ",\"kms_key_arns\":["));
    for (size_t i = 0; text && code == EXIT_CODE_DONE; i++) {
        const size_t len = strcspn(text, ",");
        if (!kms_arn_check(span_of(text, len)))
            return operator_refuse(w, "wants ARNs of KMS keys with commas between them",
                                   "--kms-key-arns");
        code = failed(buf_printf(body, "%s\"%.*s\"", i ? "," : "", (int)len, text));
        text = text[len] ? text + len + 1 : NULL;
    }
    return code == EXIT_CODE_DONE ? failed(buf_append_str(body, "],")) : code;
}

int operator_put_kms(const struct operator_wanted *w, struct buf *body)
{
    if (!w->kms_keys)
        return w->kms_threshold || w->recipients.count || w->break_glass_threshold
                   ? operator_refuse(w, "is needed, too", "--kms-key-arns")
                   : EXIT_CODE_DONE;
    int code = put_arns(w, body);
    if (code == EXIT_CODE_DONE)
        code = put_threshold(w, "--kms-threshold", w->kms_threshold, "kms_threshold", body);
    return code == EXIT_CODE_DONE ? put_break_glass(w, body) : code;
}

/* NAME=KEY */
static int put_operator(const struct operator_wanted *w, const char *text, struct buf *body)
{
    const size_t len = strcspn(text, "=");
    if (!text[len] || !seal_is_operator_name(span_of(text, len)))
        return operator_refuse(
            w, "wants NAME=PUBLIC_KEY, of a name [a-z0-9][a-z0-9._-]* shorter than 40",
            "--operator");
    int code = failed(buf_printf(body, "{\"name\":\"%.*s\",\"public_key\":", (int)len, text));
    if (code == EXIT_CODE_DONE)
        code = put_recipient(w, "--operator", text + len + 1, body);
    return code == EXIT_CODE_DONE ? failed(buf_append_str(body, "}")) : code;
}

int operator_put_quorum(const struct operator_wanted *w, struct buf *body)
{
    if (w->operators.count == 0)
        return w->operator_threshold
                   ? operator_refuse(w, "needs --operator NAME=PUBLIC_KEY", "--operator-threshold")
                   : EXIT_CODE_DONE;
    int code = failed(buf_append_str(body, ",\"operators\":["));
    for (size_t i = 0; i < w->operators.count && code == EXIT_CODE_DONE; i++) {
        if (i)
            code = failed(buf_append_str(body, ","));
        if (code == EXIT_CODE_DONE)
            code = put_operator(w, w->operators.each[i], body);
    }
    if (code == EXIT_CODE_DONE)
        code = failed(buf_append_str(body, "],"));
    return code == EXIT_CODE_DONE ? put_threshold(w, "--operator-threshold", w->operator_threshold,
                                                  "operator_threshold", body)
                                  : code;
}
