#include <stdio.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/doctor.h"
#include "cli/json_text.h"
#include "cli/test_switch.h"

static struct command_config command;
static struct config config;

enum {
    OUTPUT_MAX = 1 << 16
};

struct counts {
    unsigned of[DOCTOR_STATUS_END];
};

/* --- for people -------------------------------------------------------------------------------------------------------- */

static const char *color_of(enum doctor_status status)
{
    static const char *const colors[DOCTOR_STATUS_END] = {"32", "2", "33", "31"};
    return colors[status];
}

static cc_err put_line(struct buf *out,
                       const struct doctor_row *row,
                       const struct doctor_finding *finding,
                       bool colored)
{
    const char *name = doctor_status_name(finding->status);
    if (colored)
        CC_TRY(buf_printf(out, "\033[%sm%-5s\033[0m", color_of(finding->status), name));
    else
        CC_TRY(buf_printf(out, "%-5s", name));
    CC_TRY(buf_printf(out, "%-19s %s\n", row->name, finding->text));
    return finding->status < DOCTOR_WARN
               ? CC_OK
               : buf_printf(out, "%25s%s\n%25sfix: %s\n", "", row->why, "", row->fix);
}

static cc_err put_end(struct buf *out, const struct counts *counts)
{
    return buf_printf(
        out,
        "\n%u ok, %u to think of, %u to mend, %u not looked at; docs/doctor.md says more of each\n",
        counts->of[DOCTOR_OK], counts->of[DOCTOR_WARN], counts->of[DOCTOR_FAIL],
        counts->of[DOCTOR_SKIP]);
}

/* --- for programs ------------------------------------------------------------------------------------------------------ */

static cc_err put_member(struct buf *out, const char *name, const char *text, const char *end)
{
    CC_TRY(buf_printf(out, "\"%s\": ", name));
    CC_TRY(json_put_text(out, span_str(text)));
    return buf_append_str(out, end);
}

static cc_err put_object(struct buf *out,
                         const struct doctor_row *row,
                         const struct doctor_finding *finding,
                         bool is_first)
{
    CC_TRY(buf_append_str(out, is_first ? "\n  {" : ",\n  {"));
    CC_TRY(put_member(out, "name", row->name, ", "));
    CC_TRY(put_member(out, "status", doctor_status_name(finding->status), ", "));
    CC_TRY(put_member(out, "found", finding->text, ", "));
    CC_TRY(put_member(out, "why", row->why, ", "));
    return put_member(out, "fix", row->fix, "}");
}

static cc_err put_counts(struct buf *out, const struct counts *counts)
{
    CC_TRY(buf_append_str(out, "\n ]"));
    for (int status = 0; status < DOCTOR_STATUS_END; status++)
        CC_TRY(buf_printf(out, ", \"%s\": %u", doctor_status_name((enum doctor_status)status),
                          counts->of[status]));
    return buf_append_str(out, "}\n");
}

/* --- both -------------------------------------------------------------------------------------------------------------- */

static cc_err
examine(const struct doctor *doctor, bool json, struct counts *counts, struct buf *out)
{
    const bool colored = command_may_color(command.source.environment);
    if (json)
        CC_TRY(buf_append_str(out, "{\"checks\": ["));
    for (size_t i = 0; i < doctor_row_count; i++) {
        struct doctor_finding finding;
        doctor_look(doctor, &doctor_rows[i], &finding);
        counts->of[finding.status]++;
        CC_TRY(json ? put_object(out, &doctor_rows[i], &finding, i == 0)
                    : put_line(out, &doctor_rows[i], &finding, colored));
    }
    return json ? put_counts(out, counts) : put_end(out, counts);
}

static int fail(cc_err err)
{
    (void)fprintf(stderr, "containment-chamber doctor: %s\n", error_text(err));
    return EXIT_CODE_FAILED;
}

int command_doctor(struct arguments *arguments)
{
    struct counts counts = {0};
    struct doctor_host host = doctor_this_host;
    struct doctor doctor = {.host = &host, .config = &config};
    CC_CLEANUP(buf_release) struct buf out = buf_init(OUTPUT_MAX);
    const bool json = command_take_switch(arguments, "--json");
    doctor.connects = command_take_switch(arguments, "--connect");
    int code = command_take_config(arguments, &command);
    if (code == EXIT_CODE_DONE)
        code = command_refuse_rest(arguments);
    if (code != EXIT_CODE_DONE)
        return code;
    host.root = test_switch_host_root();
    doctor.config_path = command.source.path;
    doctor.config_is_valid = command_check_config(&command, &config, NULL) == EXIT_CODE_DONE;
    cc_err err = examine(&doctor, json, &counts, &out);
    if (err.code)
        return fail(err);
    if (fwrite(out.data, 1, out.len, stdout) != out.len || fflush(stdout) != 0)
        return fail(CC_FAIL(IO, "standard output"));
    return counts.of[DOCTOR_FAIL] ? EXIT_CODE_FAILED : EXIT_CODE_DONE;
}
