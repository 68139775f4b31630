#include "cli/attest_verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"

#include "attest/binding.h"
#include "attest/root.h"
#include "attest/verify.h"
#include "codec/hex.h"

enum {
    FILE_MAX = 65536,
    BYTES_ARGUMENT_MAX = ATTEST_PUBLIC_KEY_MAX
};

/* What the arguments ask for; the policy points into it. */
struct wanted {
    const char *file;
    bool json;
    bool has_root;
    struct attest_pcrs pcrs;
    struct attest_policy policy;
    struct buf root;
    struct buf nonce;
    struct buf user_data;
    struct buf public_key;
};

struct verdict {
    cc_err err;
    struct attest_document document; /* unless the error is ATTEST_FORMAT */
    bool has_binding;
    struct attest_binding binding;
};

/* --- arguments ------------------------------------------------------------------------------------------------------- */

static int take_hex(struct arguments *arguments, const char *name, struct buf *ret_bytes)
{
    const char *text = NULL;
    uint8_t bytes[BYTES_ARGUMENT_MAX];
    size_t len = 0;
    int code = command_take_value(arguments, name, &text);
    if (code != EXIT_CODE_DONE || !text)
        return code;
    if (hex_decode_some(span_str(text), bytes, sizeof bytes, &len).code || len == 0)
        return command_usage(arguments, "takes bytes in hex", name);
    *ret_bytes = buf_init(sizeof bytes);
    return buf_append(ret_bytes, bytes, len).code ? EXIT_CODE_FAILED : EXIT_CODE_DONE;
}

static int take_pcrs(struct arguments *arguments, struct attest_pcrs *ret_pcrs)
{
    for (;;) {
        const char *text = NULL;
        int code = command_take_value(arguments, "--pcr", &text);
        if (code != EXIT_CODE_DONE || !text)
            return code;
        if (attest_pcrs_add(ret_pcrs, span_str(text)).code)
            return command_usage(arguments,
                                 "takes N=HEX, N from 0 to 31 and 96 digits, each N once", "--pcr");
    }
}

static int take_root(struct arguments *arguments, struct wanted *w)
{
    const char *path = NULL;
    int code = command_take_value(arguments, "--root", &path);
    if (code != EXIT_CODE_DONE || !path)
        return code;
    w->has_root = true;
    w->root = buf_init(ATTEST_ROOT_MAX);
    cc_err err = attest_root_read(path, &w->root);
    if (!err.code)
        return EXIT_CODE_DONE;
    (void)fprintf(stderr, "containment-chamber attest: --root %s: %s\n", path,
                  error_detail()[0] ? error_detail() : error_text(err));
    return EXIT_CODE_FAILED;
}

static int take_file(struct arguments *arguments, struct wanted *w)
{
    if (arguments->count == 0)
        return command_usage(arguments, "which document?", NULL);
    w->file = arguments->items[0];
    if (w->file[0] == '-' && w->file[1])
        return command_usage(arguments, "not understood", w->file);
    arguments->items++;
    arguments->count--;
    return command_refuse_rest(arguments);
}

static int take_wanted(struct arguments *arguments, struct wanted *w)
{
    w->json = command_take_switch(arguments, "--json");
    w->policy.allow_zero_pcrs = command_take_switch(arguments, "--allow-debug");
    w->policy.now_ms = command_take_switch(arguments, "--at-document-time") ? 0 : clock_wall_ms();
    w->policy.leeway_ms = ATTEST_LEEWAY_MS;
    int code = take_pcrs(arguments, &w->pcrs);
    if (code == EXIT_CODE_DONE)
        code = take_hex(arguments, "--nonce", &w->nonce);
    if (code == EXIT_CODE_DONE)
        code = take_hex(arguments, "--user-data", &w->user_data);
    if (code == EXIT_CODE_DONE)
        code = take_hex(arguments, "--public-key", &w->public_key);
    if (code == EXIT_CODE_DONE)
        code = take_root(arguments, w);
    if (code == EXIT_CODE_DONE)
        code = take_file(arguments, w);
    w->policy.root_der = buf_span(&w->root);
    w->policy.nonce = buf_span(&w->nonce);
    w->policy.user_data = buf_span(&w->user_data);
    w->policy.public_key = buf_span(&w->public_key);
    w->policy.sets = &w->pcrs;
    w->policy.set_count = w->pcrs.present ? 1 : 0;
    w->policy.any_pcrs = !w->pcrs.present;
    return code;
}

/* --- what it says ---------------------------------------------------------------------------------------------------- */

static void print_hex(struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        (void)printf("%02x", bytes.data[i]);
}

/* `indent` "": in one line. */
static void print_row(const char *name, bool has, struct span bytes)
{
    (void)printf("%-14s", name);
    if (has)
        print_hex(bytes);
    (void)printf("%s\n", has ? "" : "none");
}

static void time_text(uint64_t ms, char ret_text[static 40])
{
    struct tm tm = {0};
    const time_t seconds = (time_t)(ms / 1000);
    size_t n = 0;
    if (ms / 1000 < 253402300800 && gmtime_r(&seconds, &tm)) /* up to the year 9999 */
        n = strftime(ret_text, 30, "%Y-%m-%dT%H:%M:%S", &tm);
    if (n)
        (void)snprintf(ret_text + n, 40 - n, ".%03uZ", (unsigned)(ms % 1000));
    else
        (void)snprintf(ret_text, 40, "%" PRIu64 " ms", ms);
}

static const char *purpose_name(enum attest_purpose purpose)
{
    switch (purpose) {
    case ATTEST_FOR_TLS:
        return "tls";
    case ATTEST_FOR_KMS:
        return "kms";
    case ATTEST_FOR_CLOCK:
        return "clock";
    case ATTEST_FOR_ROOT:
        return "root";
    }
    return "";
}

/* Registers that hold zeros are named in one line. */
static void print_pcrs(const struct attest_pcrs *pcrs)
{
    char zeros[256] = "";
    size_t len = 0;
    for (uint32_t i = 0; i < ATTEST_PCR_COUNT; i++) {
        if (!(pcrs->present >> i & 1))
            continue;
        if (attest_pcr_set(pcrs, i)) {
            char name[16];
            (void)snprintf(name, sizeof name, "PCR%" PRIu32, i);
            print_row(name, true, span_of(pcrs->value[i], ATTEST_PCR_SIZE));
        } else {
            len += (size_t)snprintf(zeros + len, sizeof zeros - len, " PCR%" PRIu32, i);
        }
    }
    if (len)
        (void)printf("%-13s%s\n", "zeros", zeros);
}

static bool has_chamber(const struct attest_binding *b)
{
    return b->purpose == ATTEST_FOR_TLS || b->purpose == ATTEST_FOR_KMS;
}

static void print_binding(const struct attest_binding *b)
{
    (void)printf("%-14s%s\n", "purpose", purpose_name(b->purpose));
    if (b->purpose == ATTEST_FOR_TLS)
        print_row("tls key", true, span_of(b->spki_digest, sizeof b->spki_digest));
    if (b->purpose == ATTEST_FOR_ROOT)
        print_row("record", true, span_of(b->record_digest, sizeof b->record_digest));
    if (!has_chamber(b))
        return;
    print_row("chamber", true, span_of(b->chamber_id, sizeof b->chamber_id));
    print_row("configuration", true, span_of(b->config_digest, sizeof b->config_digest));
}

static void print_text(const struct wanted *w, const struct verdict *v)
{
    const struct attest_document *d = &v->document;
    char when[40];
    if (v->err.code)
        (void)fprintf(stderr, "refused (%s): %s%s%s\n", error_name(v->err), error_text(v->err),
                      error_detail()[0] ? ": " : "", error_detail());
    if (error_is(v->err, ERROR_ATTEST_FORMAT))
        return;
    time_text(d->timestamp_ms, when);
    if (v->err.code)
        (void)printf(attest_is_genuine(v->err) ? "what it says:\n" : "what it says, unproven:\n");
    (void)printf("%-14s%.*s\n%-14s%s\n", "module", (int)d->module_id.len,
                 (const char *)d->module_id.data, "made", when);
    print_pcrs(&d->pcrs);
    print_row("nonce", d->has_nonce, d->nonce);
    print_row("user data", d->has_user_data, d->user_data);
    print_row("public key", d->has_public_key, d->public_key);
    if (v->has_binding)
        print_binding(&v->binding);
    if (v->err.code)
        return;
    (void)printf("It was made in an enclave that %s vouches for%s.\n",
                 w->has_root ? "the given root" : "AWS",
                 w->pcrs.present ? ", of the image asked for" : "");
    if (!w->pcrs.present)
        (void)printf("No register was compared: name those of your image with --pcr.\n");
}

static void json_bytes(const char *name, bool has, struct span bytes)
{
    (void)printf(",\"%s\":%s", name, has ? "\"" : "null");
    if (has)
        print_hex(bytes);
    (void)printf("%s", has ? "\"" : "");
}

static void json_binding(const struct verdict *v)
{
    const struct attest_binding *b = &v->binding;
    (void)printf(",\"purpose\":%s%s%s", v->has_binding ? "\"" : "",
                 v->has_binding ? purpose_name(b->purpose) : "null", v->has_binding ? "\"" : "");
    const bool chamber = v->has_binding && has_chamber(b);
    const bool tls = v->has_binding && b->purpose == ATTEST_FOR_TLS;
    json_bytes("spki_sha384", tls, span_of(b->spki_digest, sizeof b->spki_digest));
    json_bytes("chamber_id", chamber, span_of(b->chamber_id, sizeof b->chamber_id));
    json_bytes("config_sha256", chamber, span_of(b->config_digest, sizeof b->config_digest));
    json_bytes("record_sha384", v->has_binding && b->purpose == ATTEST_FOR_ROOT,
               span_of(b->record_digest, sizeof b->record_digest));
}

static void print_json(const struct wanted *w, const struct verdict *v)
{
    const struct attest_document *d = &v->document;
    (void)printf("{\"valid\":%s,\"pcrs_compared\":%s", v->err.code ? "false" : "true",
                 w->pcrs.present && !v->err.code ? "true" : "false");
    if (v->err.code) /* texts of ours, without quotes */
        (void)printf(",\"error\":\"%s\",\"reason\":\"%s\",\"detail\":\"%s\"", error_name(v->err),
                     error_text(v->err), error_detail());
    if (!error_is(v->err, ERROR_ATTEST_FORMAT)) {
        (void)printf(",\"module_id\":\"");
        for (size_t i = 0; i < d->module_id.len; i++)
            (void)printf(d->module_id.data[i] == '"' || d->module_id.data[i] == '\\' ? "\\%c"
                                                                                     : "%c",
                         d->module_id.data[i]);
        (void)printf("\",\"timestamp_ms\":%" PRIu64 ",\"pcrs\":{", d->timestamp_ms);
        const char *comma = "";
        for (uint32_t i = 0; i < ATTEST_PCR_COUNT; i++) {
            if (!(d->pcrs.present >> i & 1))
                continue;
            (void)printf("%s\"%" PRIu32 "\":\"", comma, i);
            print_hex(span_of(d->pcrs.value[i], ATTEST_PCR_SIZE));
            (void)printf("\"");
            comma = ",";
        }
        (void)printf("}");
        json_bytes("nonce", d->has_nonce, d->nonce);
        json_bytes("user_data", d->has_user_data, d->user_data);
        json_bytes("public_key", d->has_public_key, d->public_key);
        json_binding(v);
    }
    (void)printf("}\n");
}

/* --- the command ----------------------------------------------------------------------------------------------------- */

static cc_err read_document(const char *file, struct buf *ret_bytes)
{
    CC_CLEANUP(buf_release) struct buf content = buf_init(FILE_MAX);
    if (strcmp(file, "-") == 0)
        CC_TRY(fd_read_all(STDIN_FILENO, &content));
    else
        CC_TRY(file_read(file, &content));
    return attest_bytes_decode(buf_span(&content), ret_bytes);
}

static void wanted_release(struct wanted *w)
{
    buf_release(&w->root);
    buf_release(&w->nonce);
    buf_release(&w->user_data);
    buf_release(&w->public_key);
}

static int verify(const struct wanted *w)
{
    CC_CLEANUP(buf_release) struct buf bytes = buf_init(FILE_MAX);
    struct verdict v = {.err = read_document(w->file, &bytes)};
    if (v.err.code && !error_is(v.err, ERROR_ATTEST_FORMAT)) {
        (void)fprintf(stderr, "containment-chamber attest: %s: %s%s%s\n", w->file,
                      error_text(v.err), error_detail()[0] ? ": " : "", error_detail());
        return EXIT_CODE_FAILED;
    }
    if (!v.err.code)
        v.err = attest_verify(buf_span(&bytes), &w->policy, &v.document);
    if (!error_is(v.err, ERROR_ATTEST_FORMAT) && v.document.has_user_data && !v.err.code)
        v.has_binding = !attest_binding_decode(v.document.user_data, &v.binding).code;
    (w->json ? print_json : print_text)(w, &v);
    if (fflush(stdout) != 0)
        return EXIT_CODE_FAILED;
    return v.err.code ? EXIT_CODE_REFUSED : EXIT_CODE_DONE;
}

int command_attest_verify(struct arguments *arguments)
{
    CC_CLEANUP(wanted_release) struct wanted w = {.json = false};
    int code = take_wanted(arguments, &w);
    return code == EXIT_CODE_DONE ? verify(&w) : code;
}
