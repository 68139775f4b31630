#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>

struct error_row {
    const char *name;
    enum error_class class;
    int status;
    const char *text;
};

static const struct error_row rows[ERROR_CODE_END] = {
    [ERROR_NONE] = {"NONE", CLASS_NONE, 200, "no error"},
#define E(name, class, status, text) [ERROR_##name] = {#name, CLASS_##class, status, text},
#include "base/error.def"
#undef E
};

static _Thread_local const char *last_detail;
static _Thread_local const char *last_file;
static _Thread_local int last_line;
static _Thread_local char place[128];

void cc_assert_failed(const char *cond, const char *file, int line)
{
    (void)fprintf(stderr, "assertion failed: %s at %s:%d\n", cond, file, line);
    abort();
}

cc_err error_make(enum error_code code, const char *static_detail, const char *file, int line)
{
    last_detail = static_detail;
    last_file = file;
    last_line = line;
    return (cc_err){(int)code};
}

static const struct error_row *row_of(cc_err err)
{
    if (err.code < 0 || err.code >= ERROR_CODE_END)
        return &rows[ERROR_PROTOCOL];
    return &rows[err.code];
}

const char *error_name(cc_err err)
{
    return row_of(err)->name;
}

const char *error_text(cc_err err)
{
    return row_of(err)->text;
}

int error_status(cc_err err)
{
    return row_of(err)->status;
}

enum error_class error_class(cc_err err)
{
    return row_of(err)->class;
}

const char *error_detail(void)
{
    return last_detail ? last_detail : "";
}

const char *error_place(void)
{
    if (!last_file)
        return "";
    (void)snprintf(place, sizeof place, "%s:%d", last_file, last_line);
    return place;
}

cc_err error_from_number(uint32_t number)
{
    if (number >= ERROR_CODE_END)
        return CC_FAIL(PROTOCOL, "error number out of the table");
    return (cc_err){(int)number};
}
