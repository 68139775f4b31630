#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/num.h"

#include "cli/command.h"
#include "cli/json_object.h"
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

/* Asks for the report. EXIT_CODE_REFUSED: something was found. */
static int look(const struct wanted *wanted, struct buf *ret_report)
{
    char order[64];
    const int n = snprintf(order, sizeof order, "audit-verify %" PRIu64, wanted->first);
    const struct order_watch watch = {"verifying", wanted->json ? PROGRESS_NONE : PROGRESS_BAR};
    int code = order_send(&command.source, &config, span_of(order, (size_t)n), &watch, ret_report);
    if (code != EXIT_CODE_DONE)
        return code;
    const size_t len = strlen(AUDIT_INTACT);
    const bool intact =
        ret_report->len > len && span_is(span_of(ret_report->data, len), AUDIT_INTACT);
    return intact ? EXIT_CODE_DONE : EXIT_CODE_REFUSED;
}

static bool is_report(int code)
{
    return code == EXIT_CODE_DONE || code == EXIT_CODE_REFUSED;
}

static void put_report(struct json_object *object, const struct buf *report, int code)
{
    json_object_flag(object, "intact", code == EXIT_CODE_DONE);
    json_object_lines(object, "report", buf_span(report));
}

static void print_report(FILE *out, const struct buf *report)
{
    (void)fprintf(out, "%.*s", (int)report->len, (const char *)report->data);
}

static int verify(const struct wanted *wanted)
{
    CC_CLEANUP(buf_release) struct buf report = buf_init(ORDER_TEXT_MAX);
    int code = look(wanted, &report);
    if (!is_report(code) || !report.len)
        return code;
    if (!wanted->json) {
        print_report(stdout, &report);
        return code;
    }
    struct json_object object = json_object_begin();
    put_report(&object, &report, code);
    return json_object_print(&object, "audit", code);
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

/* Where an export goes, and how much of it did. */
struct output {
    FILE *file;
    uint64_t lines;
    struct progress progress;
};

/* A bar would go between lines that the same terminal shows. */
static enum progress_how how_far(const struct wanted *wanted)
{
    const bool is_shown = strcmp(wanted->out, "-") == 0 && isatty(STDOUT_FILENO) == 1;
    return wanted->json || is_shown ? PROGRESS_NONE : PROGRESS_BAR;
}

static cc_err copy_segment(const struct wanted *wanted, const char *path, struct output *out)
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
            out->lines += fwrite(line, len, 1, out->file);
        progress_at(&out->progress, out->lines);
    }
    const bool failed = ferror(in) || ferror(out->file);
    (void)fclose(in);
    return failed ? CC_FAIL(IO, "copying a segment") : CC_OK;
}

/* A segment that is missing was said to be by the verification. */
static cc_err copy_all(const struct wanted *wanted, struct output *out)
{
    char directory[AUDIT_DIRECTORY_MAX];
    uint64_t end = 0;
    const struct audit_settings settings = {
        .sink = AUDIT_FILE, .directory = directory, .anchor = {.segment = wanted->first - 1}};
    audit_directory(&config, directory);
    CC_TRY(audit_next_segment(&settings, &end));
    progress_begin(&out->progress, "exporting", 0, how_far(wanted));
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
    CC_CLEANUP(buf_release) struct buf report = buf_init(ORDER_TEXT_MAX);
    const bool to_stdout = strcmp(wanted->out, "-") == 0;
    const int verdict = look(wanted, &report);
    if (!is_report(verdict) || !report.len)
        return verdict;
    print_report(stderr, &report);
    struct output out = {.file = to_stdout ? stdout : open_new(wanted->out)};
    if (!out.file)
        return fail(wanted->out,
                    CC_FAIL(IO, "can't be made, or is there already: --out with a new name"));
    cc_err err = copy_all(wanted, &out);
    progress_end(&out.progress);
    if (fflush(out.file) != 0 && !err.code)
        err = CC_FAIL(IO, "writing");
    if (!to_stdout)
        (void)fclose(out.file);
    if (err.code)
        return fail("export", err);
    if (!wanted->json)
        return verdict;
    struct json_object object = json_object_begin();
    json_object_text(&object, "out", wanted->out);
    json_object_count(&object, "lines", out.lines);
    put_report(&object, &report, verdict);
    return json_object_print(&object, "audit", verdict);
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
    wanted.json = command_take_switch(arguments, "--json");
    int code = take_wanted(arguments, exports, &wanted);
    if (code == EXIT_CODE_DONE && exports && wanted.json)
        code = command_refuse_mixed(arguments, "--out", wanted.out);
    if (code == EXIT_CODE_DONE)
        code = command_take_config(arguments, &command);
    if (code == EXIT_CODE_DONE)
        code = command_refuse_rest(arguments);
    if (code == EXIT_CODE_DONE)
        code = command_load_config(&command, &config);
    if (code != EXIT_CODE_DONE)
        return code;
    return verifies ? verify(&wanted) : export_lines(&wanted);
}
