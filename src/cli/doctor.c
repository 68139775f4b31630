#include "cli/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/num.h"

enum {
    KERNEL_FILE_MAX = 65536,
    PATH_SIZE = 4096
};

const struct doctor_row doctor_rows[] = {
#define D(name, Name, worst, of_config, why, fix)                                                  \
    {Name, DOCTOR_##worst, of_config, doctor_##name, why, fix},
#include "cli/doctor.def"
#undef D
};
const size_t doctor_row_count = ARRAY_LEN(doctor_rows);

const char *doctor_status_name(enum doctor_status status)
{
    static const char *const names[DOCTOR_STATUS_END] = {"ok", "skip", "warn", "fail"};
    return names[status];
}

CC_PRINTF(2, 0)
static void say(struct doctor_finding *finding, const char *fmt, va_list args)
{
    (void)vsnprintf(finding->text, sizeof finding->text, fmt, args);
}

void doctor_say(struct doctor_finding *finding, enum doctor_status status, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say(finding, fmt, args);
    va_end(args);
    finding->status = status;
}

/* The row's worst is put in its place by doctor_look(). */
void doctor_say_bad(struct doctor_finding *finding, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say(finding, fmt, args);
    va_end(args);
    finding->status = DOCTOR_STATUS_END;
}

void doctor_say_error(struct doctor_finding *finding, cc_err err)
{
    const char *detail = error_detail();
    doctor_say_bad(finding, "%s%s%s", error_text(err), detail[0] ? ": " : "", detail);
}

void doctor_look(const struct doctor *doctor,
                 const struct doctor_row *row,
                 struct doctor_finding *ret_finding)
{
    *ret_finding = (struct doctor_finding){.status = DOCTOR_STATUS_END};
    if (row->of_config && !doctor->config_is_valid)
        doctor_say(ret_finding, DOCTOR_SKIP, "not looked at: the configuration is not valid");
    else
        row->look(doctor, ret_finding);
    if (ret_finding->status == DOCTOR_STATUS_END)
        ret_finding->status = row->worst;
}

bool doctor_read(const struct doctor *doctor, const char *path, struct buf *ret_text)
{
    char whole[PATH_SIZE];
    int n = snprintf(whole, sizeof whole, "%s%s", doctor->host->root, path);
    *ret_text = buf_init(KERNEL_FILE_MAX);
    return n > 0 && (size_t)n < sizeof whole && !file_read(whole, ret_text).code;
}

bool doctor_read_number(const struct doctor *doctor, const char *path, uint64_t *ret_number)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(0);
    if (!doctor_read(doctor, path, &text))
        return false;
    struct span digits = buf_span(&text);
    while (digits.len && digits.data[digits.len - 1] == '\n')
        digits.len--;
    return !u64_parse(digits, ret_number).code;
}

bool doctor_in_child(bool (*work)(const void *context), const void *context)
{
    int status = 0;
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(work(context) ? 0 : 1);
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}
