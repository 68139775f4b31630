#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/num.h"

#include "cli/command.h"
#include "cli/json_text.h"
#include "cli/order_send.h"
#include "core/audit_answer.h"
#include "core/audit_file.h"
#include "core/audit_order.h"
#include "core/order.h"

static struct command_config command;
static struct config config;

struct wanted {
    const char *from; /* times as in the log, or beginnings of one; NULL: open */
    const char *to;
    const char *out; /* a file, "-": standard output */
    uint64_t first;
    bool json;
};

static int fail(const char *what, cc_err err)
{
    (void)fprintf(stderr, "containment-chamber audit: %s: %s%s%s\n", what, error_text(err),
                  error_detail()[0] ? ": " : "", error_detail());
    return supervisor_exit_code(err);
}

static cc_err put_report(struct buf *out, bool intact, struct span report)
{
    const char *before = "";
    CC_TRY(buf_printf(out, "{\"intact\": %s, \"report\": [", intact ? "true" : "false"));
    while (report.len) {
        const uint8_t *end = memchr(report.data, '\n', report.len);
        const size_t len = end ? (size_t)(end - report.data) : report.len;
        CC_TRY(buf_append_str(out, before));
        CC_TRY(json_put_text(out, span_of(report.data, len)));
        report = span_of(report.data + len + (end ? 1 : 0), report.len - len - (end ? 1 : 0));
        before = ", ";
    }
    return buf_append_str(out, "]}\n");
}

static int print_json(bool intact, struct span report)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(2 * ORDER_TEXT_MAX);
    cc_err err = put_report(&text, intact, report);
    if (err.code)
        return fail("report", err);
    (void)fwrite(text.data, 1, text.len, stdout);
    return intact ? EXIT_CODE_DONE : EXIT_CODE_REFUSED;
}

/* The report goes to `out`. EXIT_CODE_REFUSED: something was found. */
static int verify(const struct wanted *wanted, FILE *out)
{
    char order[64];
    CC_CLEANUP(buf_release) struct buf answer = buf_init(ORDER_TEXT_MAX);
    const int n = snprintf(order, sizeof order, "audit-verify %" PRIu64, wanted->first);
    int code = order_send(&command.source, &config, span_of(order, (size_t)n), &answer);
    if (code != EXIT_CODE_DONE)
        return code;
    const size_t len = strlen(AUDIT_INTACT);
    const bool intact = answer.len > len && span_is(span_of(answer.data, len), AUDIT_INTACT);
    if (wanted->json)
        return print_json(intact, buf_span(&answer));
    (void)fprintf(out, "%.*s", (int)answer.len, (const char *)answer.data);
    return intact ? EXIT_CODE_DONE : EXIT_CODE_REFUSED;
}

/* --- export --------------------------------------------------------------------------------------------------------- */

/* Without the Z, which also stands behind seconds. */
static size_t time_len(const char *time)
{
    return strcspn(time, "Z");
}

/* Times of one form are in the order of their texts: "2026-11-26" is before all of that day. */
static bool is_in_range(const struct wanted *wanted, struct span time)
{
    const char *text = (const char *)time.data;
    if (wanted->from && strncmp(text, wanted->from, time_len(wanted->from)) < 0)
        return false;
    return !wanted->to || strncmp(text, wanted->to, time_len(wanted->to)) < 0;
}

static cc_err copy_segment(const struct wanted *wanted, const char *path, FILE *out)
{
    char line[AUDIT_LINE_MAX + 1];
    FILE *in = fopen(path, "re");
    if (!in)
        return CC_FAIL(IO, "a segment can't be opened");
    /* What is longer comes in pieces, and none of them is a line. */
    while (fgets(line, sizeof line, in)) {
        struct audit_parts parts;
        const size_t len = strlen(line);
        if (line[len - 1] == '\n' && !audit_line_read(span_of(line, len - 1), &parts).code &&
            is_in_range(wanted, parts.time))
            (void)fwrite(line, 1, len, out);
    }
    const bool failed = ferror(in) || ferror(out);
    (void)fclose(in);
    return failed ? CC_FAIL(IO, "copying a segment") : CC_OK;
}

/* A segment that is missing was said to be by the verification. */
static cc_err copy_all(const struct wanted *wanted, FILE *out)
{
    char directory[AUDIT_DIRECTORY_MAX];
    uint64_t end = 0;
    const struct audit_settings settings = {
        .sink = AUDIT_FILE, .directory = directory, .anchor = {.segment = wanted->first - 1}};
    audit_directory(&config, directory);
    CC_TRY(audit_next_segment(&settings, &end));
    for (uint64_t segment = wanted->first; segment < end; segment++) {
        CC_CLEANUP(buf_release) struct buf path = buf_init(AUDIT_DIRECTORY_MAX + 64);
        CC_TRY(audit_file_path(directory, segment, &path));
        if (audit_file_exists(directory, segment))
            CC_TRY(copy_segment(wanted, (const char *)path.data, out));
    }
    return CC_OK;
}

static FILE *open_new(const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (fd >= 0 && !file)
        (void)close(fd);
    return file;
}

/* The report goes to standard error, so that what is exported can be piped on. */
static int export_lines(const struct wanted *wanted)
{
    const bool to_stdout = strcmp(wanted->out, "-") == 0;
    const int verdict = verify(wanted, stderr);
    if (verdict != EXIT_CODE_DONE && verdict != EXIT_CODE_REFUSED)
        return verdict;
    FILE *out = to_stdout ? stdout : open_new(wanted->out);
    if (!out)
        return fail(wanted->out, CC_FAIL(IO, "can't be made, or is there already"));
    cc_err err = copy_all(wanted, out);
    if (fflush(out) != 0 && !err.code)
        err = CC_FAIL(IO, "writing");
    if (!to_stdout)
        (void)fclose(out);
    return err.code ? fail("export", err) : verdict;
}

/* --- arguments ------------------------------------------------------------------------------------------------------ */

/* YYYY-MM-DD, or a longer beginning of a time of the log. */
static bool is_time(const char *text)
{
    static const char form[] = "0000-00-00T00:00:00.000Z";
    const size_t len = time_len(text);
    if (len < 10 || len >= sizeof form || (text[len] && text[len + 1]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (form[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
            return false;
    return true;
}

static int take_time(struct arguments *arguments, const char *name, const char **ret_time)
{
    int code = command_take_value(arguments, name, ret_time);
    if (code == EXIT_CODE_DONE && *ret_time && !is_time(*ret_time))
        return command_usage(arguments, "not a time such as 2026-11-26 or 2026-11-26T15:00:00Z",
                             name);
    return code;
}

static int take_wanted(struct arguments *arguments, bool exports, struct wanted *ret_wanted)
{
    const char *first = NULL;
    int code = command_take_value(arguments, "--first", &first);
    ret_wanted->first = 1;
    if (code == EXIT_CODE_DONE && first &&
        (u64_parse(span_str(first), &ret_wanted->first).code || !ret_wanted->first))
        code = command_usage(arguments, "not the number of a segment", "--first");
    if (code == EXIT_CODE_DONE && exports)
        code = take_time(arguments, "--from", &ret_wanted->from);
    if (code == EXIT_CODE_DONE && exports)
        code = take_time(arguments, "--to", &ret_wanted->to);
    if (code == EXIT_CODE_DONE && exports)
        code = command_take_value(arguments, "--out", &ret_wanted->out);
    if (code == EXIT_CODE_DONE && exports && !ret_wanted->out)
        ret_wanted->out = "-";
    return code;
}

int command_audit(struct arguments *arguments)
{
    struct wanted wanted = {0};
    const bool verifies = arguments->count && strcmp(arguments->items[0], "verify") == 0;
    const bool exports = arguments->count && strcmp(arguments->items[0], "export") == 0;
    if (!verifies && !exports)
        return command_usage(arguments, "verify or export?", NULL);
    (void)command_take_switch(arguments, arguments->items[0]);
    wanted.json = verifies && command_take_switch(arguments, "--json");
    int code = take_wanted(arguments, exports, &wanted);
    if (code == EXIT_CODE_DONE)
        code = command_take_config(arguments, &command);
    if (code == EXIT_CODE_DONE)
        code = command_refuse_rest(arguments);
    if (code == EXIT_CODE_DONE)
        code = command_load_config(&command, &config);
    if (code != EXIT_CODE_DONE)
        return code;
    return verifies ? verify(&wanted, stdout) : export_lines(&wanted);
}
